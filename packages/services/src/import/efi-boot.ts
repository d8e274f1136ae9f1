import { fault, type VimFault, type VirtualDeviceConfigSpec, type VirtualMachineConfigSpec } from '@hypostyle/vim';

/** Controllers at which the EFI firmware of hosts finds systems: Debian's OVMF has no drivers for others. */
const bootable = /^Virtual(IDE|AHCI|SATA|NVME)Controller$/;

/** What is said of a machine whose EFI firmware will not find any of its disks; undefined where it will. */
export function efiBootWarning({ firmware, deviceChange = [] }: VirtualMachineConfigSpec): VimFault | undefined {
  if (firmware !== 'efi') return undefined;
  const devices = deviceChange.map(({ device }: VirtualDeviceConfigSpec) => device);
  const controllers = new Map(devices.map(({ key, _typeName }) => [key, _typeName ?? '']));
  const types = devices
    .filter(({ _typeName }) => _typeName === 'VirtualDisk')
    // The channels of IDE are there without being asked for.
    .map(({ controllerKey = 200 }) => controllers.get(controllerKey) ?? 'VirtualIDEController');
  if (types.length === 0 || types.some((type) => bootable.test(type))) return undefined;
  const reason = `The machine starts by EFI, whose firmware here finds systems on IDE, SATA and NVMe disks, and its disks are at a ${types[0]}: give its first disk a SATA or NVMe controller before it is powered on.`;
  return fault('GenericVmConfigFault', { reason }, reason);
}
