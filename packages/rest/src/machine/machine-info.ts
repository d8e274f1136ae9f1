import {
  data,
  type VirtualController,
  type VirtualDevice,
  type VirtualDisk,
  type VirtualEthernetCard,
  type VirtualMachineBootOptionsBootableDevice,
  type VirtualMachineConfigInfo,
  type VirtualSCSIController,
  type VirtualSerialPort,
} from '@hypostyle/vim';
import type { Static } from '@sinclair/typebox';
import { notFound } from '../errors.ts';
import { machinePower } from '../operations/inventory-lists.ts';
import { defined } from '../schemas/common.ts';
import type { DeviceReader } from './device-info.ts';
import { guestOsOf, hardwareVersionOf } from './guest-os.ts';
import type { Machine } from './machine-reader.ts';
import type {
  bootDevices,
  bootDevicesSpec,
  bootInfo,
  bootUpdate,
  cpuInfo,
  hardwareInfo,
  machineInfo,
  memoryInfo,
} from './machine-schemas.ts';

/** Everything of one machine. */
export function machineInfoOf(machine: Machine): Static<typeof machineInfo> {
  const { config, devices } = machine;
  return {
    name: config.name,
    identity: { name: config.name, instance_uuid: config.instanceUuid ?? '', bios_uuid: config.uuid },
    power_state: machinePower(machine.object),
    instant_clone_frozen: false,
    guest_OS: guestOsOf(config.guestId),
    hardware: hardwareOf(config),
    boot: bootOf(config),
    boot_devices: bootDevicesOf(config, devices),
    cpu: cpuOf(config),
    memory: memoryOf(config),
    disks: byKey(devices.ofType<VirtualDisk>('VirtualDisk'), (each) => devices.disk(each)),
    nics: byKey(devices.ofType<VirtualEthernetCard>('VirtualEthernetCard'), (each) => devices.ethernet(each)),
    cdroms: byKey(devices.ofType('VirtualCdrom'), (each) => devices.cdrom(each)),
    floppies: byKey(devices.ofType('VirtualFloppy'), (each) => devices.floppy(each)),
    parallel_ports: byKey(devices.ofType('VirtualParallelPort'), (each) => devices.parallel(each)),
    serial_ports: byKey(devices.ofType<VirtualSerialPort>('VirtualSerialPort'), (each) => devices.serial(each)),
    sata_adapters: byKey(devices.ofType<VirtualController>('VirtualSATAController'), (each) => devices.sata(each)),
    scsi_adapters: byKey(devices.ofType<VirtualSCSIController>('VirtualSCSIController'), (each) => devices.scsi(each)),
    nvme_adapters: byKey(devices.ofType<VirtualController>('VirtualNVMEController'), (each) => devices.nvme(each)),
  };
}

export function hardwareOf(config: VirtualMachineConfigInfo): Static<typeof hardwareInfo> {
  const scheduled = config.scheduledHardwareUpgradeInfo;
  const policies = { never: 'NEVER', onSoftPowerOff: 'AFTER_CLEAN_SHUTDOWN', always: 'ALWAYS' } as const;
  return defined({
    version: hardwareVersionOf(config.version),
    upgrade_policy: policies[(scheduled?.upgradePolicy ?? 'never') as keyof typeof policies] ?? 'NEVER',
    upgrade_version: scheduled?.versionKey === undefined ? undefined : hardwareVersionOf(scheduled.versionKey),
    upgrade_status: (scheduled?.scheduledHardwareUpgradeStatus ?? 'none').toUpperCase() as 'NONE',
  });
}

export function cpuOf({
  hardware,
  cpuHotAddEnabled,
  cpuHotRemoveEnabled,
}: VirtualMachineConfigInfo): Static<typeof cpuInfo> {
  return {
    count: hardware.numCPU,
    cores_per_socket: hardware.numCoresPerSocket ?? 1,
    hot_add_enabled: cpuHotAddEnabled ?? false,
    hot_remove_enabled: cpuHotRemoveEnabled ?? false,
  };
}

export function memoryOf(config: VirtualMachineConfigInfo): Static<typeof memoryInfo> {
  const { hotPlugMemoryIncrementSize: step, hotPlugMemoryLimit: limit } = config;
  return defined({
    size_MiB: config.hardware.memoryMB,
    hot_add_enabled: config.memoryHotAddEnabled ?? false,
    hot_add_increment_size_MiB: step === undefined ? undefined : Number(step),
    hot_add_limit_MiB: limit === undefined ? undefined : Number(limit),
  });
}

export function bootOf({ firmware, bootOptions }: VirtualMachineConfigInfo): Static<typeof bootInfo> {
  const isEfi = firmware === 'efi';
  return defined({
    type: isEfi ? ('EFI' as const) : ('BIOS' as const),
    efi_legacy_boot: isEfi ? false : undefined,
    network_protocol: isEfi
      ? bootOptions?.networkBootProtocol === 'ipv6'
        ? ('IPV6' as const)
        : ('IPV4' as const)
      : undefined,
    delay: Number(bootOptions?.bootDelay ?? 0),
    retry: bootOptions?.bootRetryEnabled ?? false,
    retry_delay: Number(bootOptions?.bootRetryDelay ?? 10_000),
    enter_setup_mode: bootOptions?.enterBIOSSetup ?? false,
  });
}

/** Members of a ConfigSpec for what is asked of the firmware. */
export function bootSpecOf(
  spec: Static<typeof bootUpdate>,
  order?: readonly VirtualMachineBootOptionsBootableDevice[],
) {
  return defined({
    firmware: spec.type?.toLowerCase(),
    bootOptions: data(
      'VirtualMachineBootOptions',
      defined({
        bootDelay: spec.delay,
        bootRetryEnabled: spec.retry,
        bootRetryDelay: spec.retry_delay,
        enterBIOSSetup: spec.enter_setup_mode,
        networkBootProtocol: spec.network_protocol?.toLowerCase(),
        bootOrder: order,
      }),
    ),
  });
}

/** Disks that follow each other are one entry, as the interface has it. */
export function bootDevicesOf(config: VirtualMachineConfigInfo, devices: DeviceReader): Static<typeof bootDevices> {
  const found: { type: 'CDROM' | 'DISK' | 'ETHERNET' | 'FLOPPY'; nic?: string; disks?: string[] }[] = [];
  for (const entry of config.bootOptions?.bootOrder ?? []) {
    const key = String((entry as { readonly deviceKey?: number }).deviceKey ?? '');
    const last = found.at(-1);
    switch (entry._typeName) {
      case 'VirtualMachineBootOptionsBootableDiskDevice':
        if (devices.find('VirtualDisk', key) === undefined) break;
        if (last?.disks !== undefined) last.disks.push(key);
        else found.push({ type: 'DISK', disks: [key] });
        break;
      case 'VirtualMachineBootOptionsBootableEthernetDevice':
        found.push({ type: 'ETHERNET', nic: key });
        break;
      case 'VirtualMachineBootOptionsBootableFloppyDevice':
        found.push({ type: 'FLOPPY' });
        break;
      default:
        found.push({ type: 'CDROM' });
    }
  }
  return found;
}

/** The boot order of a ConfigSpec. Fails with `not_found` for a device that the machine has not. */
export function bootOrderOf(
  entries: Static<typeof bootDevicesSpec>,
  devices: DeviceReader,
): VirtualMachineBootOptionsBootableDevice[] {
  const key = (type: string, id: string): number => {
    const device = devices.find(type, id);
    if (device === undefined) throw notFound(type, id);
    return device.key;
  };
  return entries.flatMap(({ type, nic, disks }): VirtualMachineBootOptionsBootableDevice[] => {
    if (type === 'CDROM') return [data('VirtualMachineBootOptionsBootableCdromDevice', {})];
    if (type === 'FLOPPY') return [data('VirtualMachineBootOptionsBootableFloppyDevice', {})];
    if (type === 'ETHERNET') {
      const nics = nic === undefined ? devices.ofType('VirtualEthernetCard').slice(0, 1) : undefined;
      const keys = nics?.map((each) => each.key) ?? [key('VirtualEthernetCard', nic ?? '')];
      return keys.map((deviceKey) => data('VirtualMachineBootOptionsBootableEthernetDevice', { deviceKey }));
    }
    const keys = disks?.map((id) => key('VirtualDisk', id)) ?? devices.ofType('VirtualDisk').map((each) => each.key);
    return keys.map((deviceKey) => data('VirtualMachineBootOptionsBootableDiskDevice', { deviceKey }));
  });
}

function byKey<D extends VirtualDevice, I>(devices: readonly D[], tell: (device: D) => I): Record<string, I> {
  return Object.fromEntries(devices.map((device) => [String(device.key), tell(device)]));
}
