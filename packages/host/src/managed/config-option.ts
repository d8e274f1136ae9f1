import type { ControllerModel, NicModel } from '@hypostyle/contracts';
import { data, fault, type GuestOsDescriptor, type VirtualMachineConfigOption } from '@hypostyle/vim';
import type { HostCore } from '../host-core.ts';
import { resourceConfigOption } from '../pools/pool-config.ts';
import { defaultDevices } from '../projection/devices.ts';
import { machineCapability } from '../projection/runtime-info.ts';

/** Versions of virtual hardware that machines may have; the default one is that of new machines. */
export const hardwareVersions = [4, 7, 8, 9, 10, 11, 13, 14, 15, 17, 18, 19, 20, 21] as const;
export const defaultHardwareVersion = 19;

const controllers: Readonly<Partial<Record<ControllerModel, string>>> = {
  ide: 'VirtualIDEController',
  buslogic: 'VirtualBusLogicController',
  lsilogic: 'VirtualLsiLogicController',
  lsisas1068: 'VirtualLsiLogicSASController',
  pvscsi: 'ParaVirtualSCSIController',
  ahci: 'VirtualAHCIController',
  nvme: 'VirtualNVMEController',
};
const nics: Readonly<Partial<Record<NicModel, string>>> = {
  vlance: 'VirtualPCNet32',
  e1000: 'VirtualE1000',
  e1000e: 'VirtualE1000e',
  vmxnet3: 'VirtualVmxnet3',
};

export interface ConfigOptionRequest {
  /** `vmx-19`; that of new machines unless told. */
  readonly key?: string | undefined;
  /** Guests to tell of; all unless told. */
  readonly guestIds?: readonly string[] | undefined;
}

export function hardwareKey(version: number): string {
  return `vmx-${String(version).padStart(2, '0')}`;
}

/** EnvironmentBrowser.QueryConfigOption and QueryConfigOptionEx. Throws InvalidArgument for hardware that is none. */
export function configOption(core: HostCore, { key, guestIds }: ConfigOptionRequest): VirtualMachineConfigOption {
  const version = hardwareKey(defaultHardwareVersion);
  const asked = key === undefined || key === '' ? version : key;
  const hwVersion = hardwareVersions.find((each) => hardwareKey(each) === asked);
  if (hwVersion === undefined)
    throw fault('InvalidArgument', { invalidProperty: 'key' }, `There is no virtual hardware '${asked.slice(0, 80)}'.`);
  const wanted = guestIds === undefined || guestIds.length === 0 ? core.guestOs.all() : guestIds;
  const guestOSDescriptor = wanted.filter((id) => core.guestOs.known(id)).map((id) => guestDescriptor(core, id));
  return data('VirtualMachineConfigOption', {
    version: asked,
    description: `Virtual hardware version ${hwVersion}`,
    guestOSDescriptor,
    guestOSDefaultIndex: Math.max(
      0,
      guestOSDescriptor.findIndex(({ id }) => id === 'otherGuest64'),
    ),
    hardwareOptions: hardwareOption(core, hwVersion),
    capabilities: machineCapability(core.hypervisorInfo.capabilities),
    datastore: data('DatastoreOption', {}),
    defaultDevice: defaultDevices(),
    supportedMonitorType: ['release'],
    supportedOvfEnvironmentTransport: ['iso'],
  });
}

function hardwareOption({ limits, hypervisorInfo }: HostCore, hwVersion: number) {
  const option = (min: number, max: number, defaultValue: number) => data('IntOption', { min, max, defaultValue });
  const { controllerModels, nicModels } = hypervisorInfo.capabilities;
  const device = (type: string) =>
    data('VirtualDeviceOption', { type, deprecated: false, plugAndPlay: false, hotRemoveSupported: false });
  return data('VirtualHardwareOption', {
    hwVersion,
    virtualDeviceOption: [
      ...controllerModels.flatMap((model) => controllers[model] ?? []),
      ...nicModels.flatMap((model) => nics[model] ?? []),
      'VirtualDisk',
      'VirtualCdrom',
      'VirtualFloppy',
      'VirtualSerialPort',
    ].map(device),
    deviceListReadonly: false,
    numCPU: Array.from({ length: limits.cpus }, (_, index) => index + 1),
    numCoresPerSocket: option(1, limits.cpus, 1),
    numCpuReadonly: false,
    memoryMB: data('LongOption', { min: 4n, max: BigInt(limits.memoryMiB), defaultValue: 128n }),
    numPCIControllers: option(1, 1, 1),
    numIDEControllers: option(2, 2, 2),
    numUSBControllers: option(0, 0, 0),
    numUSBXHCIControllers: option(0, 0, 0),
    numSIOControllers: option(1, 1, 1),
    numPS2Controllers: option(1, 1, 1),
    resourceConfigOption: resourceConfigOption(),
  });
}

/** What a guest gets on, as far as this host has it. */
function guestDescriptor({ limits, hypervisorInfo, guestOs }: HostCore, id: string): GuestOsDescriptor {
  const { controllerModels, nicModels, efi } = hypervisorInfo.capabilities;
  const disks = controllerModels.flatMap((model) => controllers[model] ?? []);
  const cards = nicModels.flatMap((model) => nics[model] ?? []);
  const first = (among: readonly string[], preferred: readonly string[]) =>
    preferred.find((each) => among.includes(each)) ?? among[0] ?? '';
  const family = familyOf(id);
  const scsi = first(
    disks,
    family === 'windowsGuest' ? ['VirtualLsiLogicSASController'] : ['ParaVirtualSCSIController'],
  );
  const memoryMiB = Math.min(limits.memoryMiB, family === 'windowsGuest' ? 4096 : 2048);
  const firmware = efi ? ['bios', 'efi'] : ['bios'];
  return data('GuestOsDescriptor', {
    id,
    family,
    fullName: guestOs.fullName(id),
    supportedMaxCPUs: limits.cpus,
    numSupportedPhysicalSockets: limits.cpus,
    numSupportedCoresPerSocket: limits.cpus,
    supportedMinMemMB: 4,
    supportedMaxMemMB: limits.memoryMiB,
    recommendedMemMB: memoryMiB,
    recommendedColorDepth: 32,
    supportedDiskControllerList: disks,
    recommendedSCSIController: scsi,
    recommendedDiskController: scsi,
    supportedNumDisks: 60,
    recommendedDiskSizeMB: family === 'windowsGuest' ? 40_960 : 16_384,
    recommendedCdromController: first(disks, ['VirtualAHCIController', 'VirtualIDEController']),
    supportedEthernetCard: cards,
    recommendedEthernetCard: first(cards, ['VirtualVmxnet3', 'VirtualE1000e', 'VirtualE1000']),
    supportsSlaveDisk: true,
    smcRequired: false,
    supportsWakeOnLan: false,
    supportsVMI: false,
    supportsMemoryHotAdd: false,
    supportsCpuHotAdd: false,
    supportsCpuHotRemove: false,
    supportedFirmware: firmware,
    recommendedFirmware: 'bios',
    supports3D: false,
    recommended3D: false,
    smcRecommended: false,
    ich7mRecommended: false,
    usbRecommended: false,
    supportLevel: 'supported',
    supportedForCreate: true,
    vRAMSizeInKB: data('IntOption', { min: 16_384, max: 16_384, defaultValue: 16_384 }),
    numSupportedFloppyDevices: 2,
    supportsPvscsiControllerForBoot: disks.includes('ParaVirtualSCSIController'),
    diskUuidEnabled: false,
    supportsHotPlugPCI: false,
  });
}

function familyOf(id: string): string {
  if (/^win/.test(id)) return 'windowsGuest';
  if (/^darwin/.test(id)) return 'darwinGuestFamily';
  if (/^(solaris)/.test(id)) return 'solarisGuest';
  if (/^(netware|nld|oes)/.test(id)) return 'netwareGuest';
  return /^(other\d*Guest|other\d*-64Guest|otherGuest|freebsd|dos|os2|openServer|unixWare|vmkernel|eComStation)/.test(
    id,
  )
    ? 'otherGuestFamily'
    : 'linuxGuest';
}
