import { Type } from '@sinclair/typebox';
import { closed, identifier, name, oneOf, optionalBoolean, powerStates } from '../schemas/common.ts';
import {
  cdromInfo,
  cdromSpec,
  diskInfo,
  diskSpec,
  ethernetInfo,
  ethernetSpec,
  floppyInfo,
  floppySpec,
  nvmeInfo,
  nvmeSpec,
  parallelInfo,
  parallelSpec,
  sataInfo,
  sataSpec,
  scsiInfo,
  scsiSpec,
  serialInfo,
  serialSpec,
} from './device-schemas.ts';

const hardwareVersion = Type.String({ pattern: '^VMX_[0-9]{2}$' });
const upgradePolicy = oneOf('NEVER', 'AFTER_CLEAN_SHUTDOWN', 'ALWAYS');

export const hardwareInfo = Type.Object({
  version: Type.String(),
  upgrade_policy: upgradePolicy,
  upgrade_version: Type.Optional(Type.String()),
  upgrade_status: oneOf('NONE', 'PENDING', 'SUCCESS', 'FAILED'),
});
export const hardwareUpdate = closed({
  upgrade_policy: Type.Optional(upgradePolicy),
  upgrade_version: Type.Optional(hardwareVersion),
});
export const hardwareUpgrade = closed({ version: Type.Optional(hardwareVersion) });

export const cpuInfo = Type.Object({
  count: Type.Integer(),
  cores_per_socket: Type.Integer(),
  hot_add_enabled: Type.Boolean(),
  hot_remove_enabled: Type.Boolean(),
});
export const cpuUpdate = closed({
  count: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_024 })),
  cores_per_socket: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_024 })),
  hot_add_enabled: optionalBoolean,
  hot_remove_enabled: optionalBoolean,
});

export const memoryInfo = Type.Object({
  size_MiB: Type.Integer(),
  hot_add_enabled: Type.Boolean(),
  hot_add_increment_size_MiB: Type.Optional(Type.Integer()),
  hot_add_limit_MiB: Type.Optional(Type.Integer()),
});
export const memoryUpdate = closed({
  size_MiB: Type.Optional(Type.Integer({ minimum: 4, maximum: 25_165_824 })),
  hot_add_enabled: optionalBoolean,
});

const bootType = oneOf('BIOS', 'EFI');
const networkProtocol = oneOf('IPV4', 'IPV6');
export const bootInfo = Type.Object({
  type: bootType,
  efi_legacy_boot: optionalBoolean,
  network_protocol: Type.Optional(networkProtocol),
  delay: Type.Integer(),
  retry: Type.Boolean(),
  retry_delay: Type.Integer(),
  enter_setup_mode: Type.Boolean(),
});
export const bootUpdate = closed({
  type: Type.Optional(bootType),
  efi_legacy_boot: optionalBoolean,
  network_protocol: Type.Optional(networkProtocol),
  delay: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000_000 })),
  retry: optionalBoolean,
  retry_delay: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000_000 })),
  enter_setup_mode: optionalBoolean,
});

const bootDeviceType = oneOf('CDROM', 'DISK', 'ETHERNET', 'FLOPPY');
export const bootDevices = Type.Array(
  Type.Object({
    type: bootDeviceType,
    nic: Type.Optional(Type.String()),
    disks: Type.Optional(Type.Array(Type.String())),
  }),
);
export const bootDevicesSpec = Type.Array(
  closed({
    type: bootDeviceType,
    nic: Type.Optional(identifier),
    disks: Type.Optional(Type.Array(identifier, { maxItems: 64 })),
  }),
  { maxItems: 64 },
);

export const machineInfo = Type.Object({
  name: Type.String(),
  identity: Type.Object({ name: Type.String(), instance_uuid: Type.String(), bios_uuid: Type.String() }),
  power_state: powerStates,
  instant_clone_frozen: Type.Boolean(),
  guest_OS: Type.String(),
  hardware: hardwareInfo,
  boot: bootInfo,
  boot_devices: bootDevices,
  cpu: cpuInfo,
  memory: memoryInfo,
  disks: Type.Record(Type.String(), diskInfo),
  nics: Type.Record(Type.String(), ethernetInfo),
  cdroms: Type.Record(Type.String(), cdromInfo),
  floppies: Type.Record(Type.String(), floppyInfo),
  parallel_ports: Type.Record(Type.String(), parallelInfo),
  serial_ports: Type.Record(Type.String(), serialInfo),
  sata_adapters: Type.Record(Type.String(), sataInfo),
  scsi_adapters: Type.Record(Type.String(), scsiInfo),
  nvme_adapters: Type.Record(Type.String(), nvmeInfo),
});

const placement = closed({
  folder: Type.Optional(identifier),
  resource_pool: Type.Optional(identifier),
  host: Type.Optional(identifier),
  cluster: Type.Optional(identifier),
  datastore: Type.Optional(identifier),
});
export const machineSpec = closed({
  guest_OS: Type.String({ minLength: 1, maxLength: 80 }),
  name: Type.Optional(name),
  placement: Type.Optional(placement),
  hardware_version: Type.Optional(hardwareVersion),
  boot: Type.Optional(bootUpdate),
  boot_devices: Type.Optional(Type.Array(closed({ type: bootDeviceType }), { maxItems: 64 })),
  cpu: Type.Optional(cpuUpdate),
  memory: Type.Optional(memoryUpdate),
  disks: Type.Optional(Type.Array(diskSpec, { maxItems: 256 })),
  nics: Type.Optional(Type.Array(ethernetSpec, { maxItems: 64 })),
  cdroms: Type.Optional(Type.Array(cdromSpec, { maxItems: 64 })),
  floppies: Type.Optional(Type.Array(floppySpec, { maxItems: 2 })),
  parallel_ports: Type.Optional(Type.Array(parallelSpec, { maxItems: 3 })),
  serial_ports: Type.Optional(Type.Array(serialSpec, { maxItems: 32 })),
  scsi_adapters: Type.Optional(Type.Array(scsiSpec, { maxItems: 4 })),
  sata_adapters: Type.Optional(Type.Array(sataSpec, { maxItems: 4 })),
  nvme_adapters: Type.Optional(Type.Array(nvmeSpec, { maxItems: 4 })),
});
export const registerSpec = closed({
  datastore: Type.Optional(identifier),
  path: Type.Optional(Type.String({ minLength: 1, maxLength: 2_048 })),
  datastore_path: Type.Optional(Type.String({ minLength: 1, maxLength: 2_048 })),
  name: Type.Optional(name),
  placement: Type.Optional(placement),
});
export { placement as placementSpec };
