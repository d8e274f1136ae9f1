import type {
  Schema,
  VirtualController,
  VirtualDevice,
  VirtualDisk,
  VirtualEthernetCard,
  VirtualSCSIController,
  VirtualSerialPort,
} from '@hypostyle/vim';
import type { Static } from '@sinclair/typebox';
import { defined } from '../schemas/common.ts';
import type {
  cdromInfo,
  diskInfo,
  ethernetInfo,
  floppyInfo,
  nvmeInfo,
  parallelInfo,
  sataInfo,
  scsiInfo,
  serialInfo,
} from './device-schemas.ts';

type Backing = Readonly<Record<string, unknown>> & { readonly _typeName?: string };

/** The devices of one machine, as this interface tells them. */
export class DeviceReader {
  readonly devices: readonly VirtualDevice[];
  readonly #schema: Schema;
  readonly #byKey: ReadonlyMap<number, VirtualDevice>;

  constructor(schema: Schema, devices: readonly VirtualDevice[]) {
    this.#schema = schema;
    this.devices = devices;
    this.#byKey = new Map(devices.map((device) => [device.key, device]));
  }

  /** Whether the device is of that type or one that derives from it. */
  isA(device: VirtualDevice | undefined, type: string): boolean {
    return device?._typeName !== undefined && this.#schema.isSubtype(device._typeName, type);
  }

  ofType<D extends VirtualDevice = VirtualDevice>(type: string): D[] {
    return this.devices.filter((device): device is D => this.isA(device, type));
  }

  /** By device key, as this interface writes it. */
  find<D extends VirtualDevice = VirtualDevice>(type: string, id: string): D | undefined {
    const device = /^-?\d{1,9}$/.test(id) ? this.#byKey.get(Number(id)) : undefined;
    return this.isA(device, type) ? (device as D) : undefined;
  }

  disk(device: VirtualDisk): Static<typeof diskInfo> {
    return defined({
      label: labelOf(device),
      ...this.#place(device),
      backing: defined({ type: 'VMDK_FILE' as const, vmdk_file: textOf(device.backing as Backing, 'fileName') }),
      capacity: Number(device.capacityInBytes ?? Number(device.capacityInKB) * 1_024),
    }) as Static<typeof diskInfo>;
  }

  cdrom(device: VirtualDevice): Static<typeof cdromInfo> {
    const backing = backingOf(device);
    const type = this.#backingType(backing, 'ISO_FILE', 'VirtualCdromIsoBackingInfo');
    return defined({
      label: labelOf(device),
      ...this.#place(device),
      backing: defined({
        type,
        iso_file: type === 'ISO_FILE' ? textOf(backing, 'fileName') : undefined,
        host_device: type === 'HOST_DEVICE' ? textOf(backing, 'deviceName') : undefined,
        device_access_type: type === 'ISO_FILE' ? undefined : 'EMULATION',
      }),
      ...connectionOf(device),
    }) as Static<typeof cdromInfo>;
  }

  floppy(device: VirtualDevice): Static<typeof floppyInfo> {
    const backing = backingOf(device);
    const type = this.#backingType(backing, 'IMAGE_FILE', 'VirtualFloppyImageBackingInfo');
    return {
      label: labelOf(device),
      backing: defined({
        type,
        image_file: type === 'IMAGE_FILE' ? textOf(backing, 'fileName') : undefined,
        host_device: type === 'HOST_DEVICE' ? textOf(backing, 'deviceName') : undefined,
      }),
      ...connectionOf(device),
    };
  }

  ethernet(device: VirtualEthernetCard): Static<typeof ethernetInfo> {
    return defined({
      label: labelOf(device),
      type: ethernetTypeOf(device),
      upt_compatibility_enabled: device.uptCompatibilityEnabled,
      mac_type: (device.addressType ?? 'generated').toUpperCase() as 'GENERATED',
      mac_address: device.macAddress,
      pci_slot_number: slotOf(device),
      wake_on_lan_enabled: device.wakeOnLanEnabled ?? false,
      backing: networkOf(backingOf(device)),
      ...connectionOf(device),
    });
  }

  serial(device: VirtualSerialPort): Static<typeof serialInfo> {
    return {
      label: labelOf(device),
      yield_on_poll: device.yieldOnPoll,
      backing: serialBackingOf(backingOf(device)),
      ...connectionOf(device),
    };
  }

  parallel(device: VirtualDevice): Static<typeof parallelInfo> {
    const backing = backingOf(device);
    const file = textOf(backing, 'fileName');
    return {
      label: labelOf(device),
      backing:
        file === undefined
          ? defined({ type: 'HOST_DEVICE' as const, host_device: textOf(backing, 'deviceName') })
          : { type: 'FILE' as const, file },
      ...connectionOf(device),
    };
  }

  scsi(device: VirtualSCSIController): Static<typeof scsiInfo> {
    const sharing = { noSharing: 'NONE', virtualSharing: 'VIRTUAL', physicalSharing: 'PHYSICAL' } as const;
    const types = {
      VirtualBusLogicController: 'BUSLOGIC',
      VirtualLsiLogicController: 'LSILOGIC',
      VirtualLsiLogicSASController: 'LSILOGICSAS',
    } as const;
    return defined({
      label: labelOf(device),
      type: types[device._typeName as keyof typeof types] ?? 'PVSCSI',
      scsi: { bus: device.busNumber, unit: device.scsiCtlrUnitNumber ?? 7 },
      pci_slot_number: slotOf(device),
      sharing: sharing[device.sharedBus] ?? 'NONE',
    });
  }

  sata(device: VirtualController): Static<typeof sataInfo> {
    return defined({
      label: labelOf(device),
      type: 'AHCI' as const,
      bus: device.busNumber,
      pci_slot_number: slotOf(device),
    });
  }

  nvme(device: VirtualController): Static<typeof nvmeInfo> {
    return defined({ label: labelOf(device), bus: device.busNumber, pci_slot_number: slotOf(device) });
  }

  /** The bus that a device is on, and where. */
  #place(device: VirtualDevice): object {
    const controller = this.#byKey.get(device.controllerKey ?? Number.NaN) as VirtualController | undefined;
    const bus = controller?.busNumber ?? 0;
    const unit = device.unitNumber ?? 0;
    if (this.isA(controller, 'VirtualSCSIController')) return { type: 'SCSI', scsi: { bus, unit } };
    if (this.isA(controller, 'VirtualSATAController')) return { type: 'SATA', sata: { bus, unit } };
    if (this.isA(controller, 'VirtualNVMEController')) return { type: 'NVME', nvme: { bus, unit } };
    return { type: 'IDE', ide: { primary: bus === 0, master: unit === 0 } };
  }

  #backingType<F extends string>(backing: Backing, file: F, fileType: string): F | 'HOST_DEVICE' | 'CLIENT_DEVICE' {
    if (backing._typeName === fileType) return file;
    return backing._typeName?.includes('Remote') === true ? 'CLIENT_DEVICE' : 'HOST_DEVICE';
  }
}

const ethernetTypes = {
  VirtualE1000: 'E1000',
  VirtualE1000e: 'E1000E',
  VirtualPCNet32: 'PCNET32',
  VirtualVmxnet: 'VMXNET',
  VirtualVmxnet2: 'VMXNET2',
} as const;

function ethernetTypeOf(device: VirtualDevice): Static<typeof ethernetInfo>['type'] {
  return ethernetTypes[device._typeName as keyof typeof ethernetTypes] ?? 'VMXNET3';
}

function networkOf(backing: Backing): Static<typeof ethernetInfo>['backing'] {
  const port = backing.port as { portgroupKey?: string; switchUuid?: string; portKey?: string } | undefined;
  if (port !== undefined) {
    return defined({
      type: 'DISTRIBUTED_PORTGROUP' as const,
      network: port.portgroupKey,
      distributed_switch_uuid: port.switchUuid,
      distributed_port: port.portKey,
    });
  }
  if (backing._typeName === 'VirtualEthernetCardOpaqueNetworkBackingInfo') {
    return defined({
      type: 'OPAQUE_NETWORK' as const,
      opaque_network_type: textOf(backing, 'opaqueNetworkType'),
      opaque_network_id: textOf(backing, 'opaqueNetworkId'),
    });
  }
  const network = backing.network as { readonly value: string } | undefined;
  return defined({
    type: 'STANDARD_PORTGROUP' as const,
    network: network?.value,
    network_name: textOf(backing, 'deviceName'),
  });
}

function serialBackingOf(backing: Backing): Static<typeof serialInfo>['backing'] {
  const endpoint = textOf(backing, 'endpoint');
  const noRxLoss = backing.noRxLoss as boolean | undefined;
  switch (backing._typeName) {
    case 'VirtualSerialPortFileBackingInfo':
      return defined({ type: 'FILE' as const, file: textOf(backing, 'fileName') });
    case 'VirtualSerialPortPipeBackingInfo':
      return defined({
        type: endpoint === 'client' ? ('PIPE_CLIENT' as const) : ('PIPE_SERVER' as const),
        pipe: textOf(backing, 'pipeName'),
        no_rx_loss: noRxLoss,
      });
    case 'VirtualSerialPortURIBackingInfo':
      return defined({
        type: textOf(backing, 'direction') === 'client' ? ('NETWORK_CLIENT' as const) : ('NETWORK_SERVER' as const),
        network_location: textOf(backing, 'serviceURI'),
        proxy: textOf(backing, 'proxyURI'),
      });
    default:
      return defined({ type: 'HOST_DEVICE' as const, host_device: textOf(backing, 'deviceName') });
  }
}

function connectionOf({ connectable }: VirtualDevice) {
  const errors = { recoverableError: 'RECOVERABLE_ERROR', unrecoverableError: 'UNRECOVERABLE_ERROR' } as const;
  const failed = errors[connectable?.status as keyof typeof errors];
  return {
    state: failed ?? (connectable?.connected === true ? ('CONNECTED' as const) : ('NOT_CONNECTED' as const)),
    start_connected: connectable?.startConnected ?? false,
    allow_guest_control: connectable?.allowGuestControl ?? false,
  };
}

function labelOf(device: VirtualDevice): string {
  return device.deviceInfo?.label ?? `Device ${device.key}`;
}

function slotOf({ slotInfo }: VirtualDevice): number | undefined {
  return (slotInfo as { readonly pciSlotNumber?: number } | undefined)?.pciSlotNumber;
}

function backingOf(device: VirtualDevice): Backing {
  return (device.backing ?? {}) as unknown as Backing;
}

function textOf(backing: Backing | undefined, member: string): string | undefined {
  const value = backing?.[member];
  return typeof value === 'string' && value !== '' ? value : undefined;
}
