import { Type } from '@sinclair/typebox';
import { closed, identifier, oneOf, optionalBoolean } from '../schemas/common.ts';

const ideSpec = closed({ primary: optionalBoolean, master: optionalBoolean });
const bus = Type.Integer({ minimum: 0, maximum: 3 });
const placeSpec = closed({ bus, unit: Type.Optional(Type.Integer({ minimum: 0, maximum: 64 })) });
const path = Type.String({ minLength: 1, maxLength: 2_048 });

export const diskTypes = oneOf('IDE', 'SCSI', 'SATA', 'NVME');
export const diskSpec = closed({
  type: Type.Optional(diskTypes),
  ide: Type.Optional(ideSpec),
  scsi: Type.Optional(placeSpec),
  sata: Type.Optional(placeSpec),
  nvme: Type.Optional(placeSpec),
  backing: Type.Optional(closed({ type: oneOf('VMDK_FILE'), vmdk_file: Type.Optional(path) })),
  new_vmdk: Type.Optional(
    closed({
      name: Type.Optional(Type.String({ minLength: 1, maxLength: 255 })),
      capacity: Type.Optional(Type.Integer({ minimum: 1, maximum: 2 ** 46 })),
      storage_policy: Type.Optional(closed({ policy: Type.String() })),
    }),
  ),
});
export const diskUpdate = closed({
  backing: Type.Optional(closed({ type: oneOf('VMDK_FILE'), vmdk_file: Type.Optional(path) })),
});

export const ethernetTypes = oneOf('E1000', 'E1000E', 'PCNET32', 'VMXNET', 'VMXNET2', 'VMXNET3');
export const macTypes = oneOf('MANUAL', 'GENERATED', 'ASSIGNED');
const networkBacking = closed({
  type: oneOf('STANDARD_PORTGROUP', 'HOST_DEVICE', 'DISTRIBUTED_PORTGROUP', 'OPAQUE_NETWORK'),
  network: Type.Optional(identifier),
  distributed_port: Type.Optional(Type.String({ maxLength: 256 })),
});
const ethernetMembers = {
  upt_compatibility_enabled: optionalBoolean,
  mac_type: Type.Optional(macTypes),
  mac_address: Type.Optional(Type.String({ pattern: '^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$' })),
  wake_on_lan_enabled: optionalBoolean,
  backing: Type.Optional(networkBacking),
  start_connected: optionalBoolean,
  allow_guest_control: optionalBoolean,
};
export const ethernetSpec = closed({
  type: Type.Optional(ethernetTypes),
  pci_slot_number: Type.Optional(Type.Integer({ minimum: 0 })),
  ...ethernetMembers,
});
export const ethernetUpdate = closed(ethernetMembers);

export const cdromTypes = oneOf('IDE', 'SATA');
const cdromBacking = closed({
  type: oneOf('ISO_FILE', 'HOST_DEVICE', 'CLIENT_DEVICE'),
  iso_file: Type.Optional(path),
  host_device: Type.Optional(Type.String({ maxLength: 256 })),
  device_access_type: Type.Optional(oneOf('EMULATION', 'PASSTHRU', 'PASSTHRU_EXCLUSIVE')),
});
const connectable = { start_connected: optionalBoolean, allow_guest_control: optionalBoolean };
export const cdromSpec = closed({
  type: Type.Optional(cdromTypes),
  ide: Type.Optional(ideSpec),
  sata: Type.Optional(placeSpec),
  backing: Type.Optional(cdromBacking),
  ...connectable,
});
export const cdromUpdate = closed({ backing: Type.Optional(cdromBacking), ...connectable });

const floppyBacking = closed({
  type: oneOf('IMAGE_FILE', 'HOST_DEVICE', 'CLIENT_DEVICE'),
  image_file: Type.Optional(path),
  host_device: Type.Optional(Type.String({ maxLength: 256 })),
});
export const floppySpec = closed({ backing: Type.Optional(floppyBacking), ...connectable });

const serialBacking = closed({
  type: oneOf('FILE', 'HOST_DEVICE', 'PIPE_SERVER', 'PIPE_CLIENT', 'NETWORK_SERVER', 'NETWORK_CLIENT'),
  file: Type.Optional(path),
  host_device: Type.Optional(Type.String({ maxLength: 256 })),
  pipe: Type.Optional(Type.String({ maxLength: 256 })),
  no_rx_loss: optionalBoolean,
  network_location: Type.Optional(Type.String({ maxLength: 1_024 })),
  proxy: Type.Optional(Type.String({ maxLength: 1_024 })),
});
export const serialSpec = closed({
  yield_on_poll: optionalBoolean,
  backing: Type.Optional(serialBacking),
  ...connectable,
});

const parallelTypes = oneOf('FILE', 'HOST_DEVICE');
export const parallelSpec = closed({
  backing: Type.Optional(
    closed({
      type: parallelTypes,
      file: Type.Optional(path),
      host_device: Type.Optional(Type.String({ maxLength: 256 })),
    }),
  ),
  ...connectable,
});

export const scsiTypes = oneOf('BUSLOGIC', 'LSILOGIC', 'LSILOGICSAS', 'PVSCSI');
export const scsiSharing = oneOf('NONE', 'VIRTUAL', 'PHYSICAL');
export const scsiSpec = closed({
  type: Type.Optional(scsiTypes),
  bus: Type.Optional(bus),
  pci_slot_number: Type.Optional(Type.Integer({ minimum: 0 })),
  sharing: Type.Optional(scsiSharing),
});
export const scsiUpdate = closed({ sharing: Type.Optional(scsiSharing) });
export const sataSpec = closed({
  type: Type.Optional(oneOf('AHCI')),
  bus: Type.Optional(bus),
  pci_slot_number: Type.Optional(Type.Integer({ minimum: 0 })),
});
export const nvmeSpec = closed({
  bus: Type.Optional(bus),
  pci_slot_number: Type.Optional(Type.Integer({ minimum: 0 })),
});

// What the interface tells of devices.
const ide = Type.Optional(Type.Object({ primary: Type.Boolean(), master: Type.Boolean() }));
const place = Type.Optional(Type.Object({ bus: Type.Integer(), unit: Type.Integer() }));
const connection = {
  state: oneOf('CONNECTED', 'RECOVERABLE_ERROR', 'UNRECOVERABLE_ERROR', 'NOT_CONNECTED', 'UNKNOWN'),
  start_connected: Type.Boolean(),
  allow_guest_control: Type.Boolean(),
};
const slot = { pci_slot_number: Type.Optional(Type.Integer()) };
const text = Type.Optional(Type.String());

export const diskInfo = Type.Object({
  label: Type.String(),
  type: diskTypes,
  ide,
  scsi: place,
  sata: place,
  nvme: place,
  backing: Type.Object({ type: oneOf('VMDK_FILE'), vmdk_file: text }),
  capacity: Type.Optional(Type.Integer()),
});
export const ethernetInfo = Type.Object({
  label: Type.String(),
  type: ethernetTypes,
  upt_compatibility_enabled: optionalBoolean,
  mac_type: macTypes,
  mac_address: text,
  ...slot,
  wake_on_lan_enabled: Type.Boolean(),
  backing: Type.Object({
    type: oneOf('STANDARD_PORTGROUP', 'HOST_DEVICE', 'DISTRIBUTED_PORTGROUP', 'OPAQUE_NETWORK'),
    network: text,
    network_name: text,
    distributed_switch_uuid: text,
    distributed_port: text,
    connection_cookie: Type.Optional(Type.Integer()),
    host_device: text,
    opaque_network_type: text,
    opaque_network_id: text,
  }),
  ...connection,
});
export const cdromInfo = Type.Object({
  label: Type.String(),
  type: cdromTypes,
  ide,
  sata: place,
  backing: Type.Object({
    type: oneOf('ISO_FILE', 'HOST_DEVICE', 'CLIENT_DEVICE'),
    iso_file: text,
    host_device: text,
    auto_detect: optionalBoolean,
    device_access_type: text,
  }),
  ...connection,
});
export const floppyInfo = Type.Object({
  label: Type.String(),
  backing: Type.Object({
    type: oneOf('IMAGE_FILE', 'HOST_DEVICE', 'CLIENT_DEVICE'),
    image_file: text,
    host_device: text,
    auto_detect: optionalBoolean,
  }),
  ...connection,
});
export const serialInfo = Type.Object({
  label: Type.String(),
  yield_on_poll: Type.Boolean(),
  backing: Type.Object({
    type: oneOf('FILE', 'HOST_DEVICE', 'PIPE_SERVER', 'PIPE_CLIENT', 'NETWORK_SERVER', 'NETWORK_CLIENT'),
    file: text,
    host_device: text,
    pipe: text,
    no_rx_loss: optionalBoolean,
    network_location: text,
    proxy: text,
  }),
  ...connection,
});
export const parallelInfo = Type.Object({
  label: Type.String(),
  backing: Type.Object({ type: parallelTypes, file: text, host_device: text, auto_detect: optionalBoolean }),
  ...connection,
});
export const scsiInfo = Type.Object({
  label: Type.String(),
  type: scsiTypes,
  scsi: Type.Object({ bus: Type.Integer(), unit: Type.Integer() }),
  ...slot,
  sharing: scsiSharing,
});
export const sataInfo = Type.Object({ label: Type.String(), type: oneOf('AHCI'), bus: Type.Integer(), ...slot });
export const nvmeInfo = Type.Object({ label: Type.String(), bus: Type.Integer(), ...slot });
