import {
  type ControllerDescription,
  type DeviceBase,
  type DiskDevice,
  type Envelope,
  type FileReference,
  type HardwareDescription,
  type MediaDevice,
  type NicDevice,
  quantityInBytes,
  type ResolvedProperty,
} from '@hypostyle/ovf';
import {
  data,
  type ManagedObjectReference,
  type OvfFileItem,
  type VimFault,
  type VirtualDevice,
  type VirtualDeviceConfigSpec,
  type VirtualDisk,
} from '@hypostyle/vim';
import { importDeviceId } from './import-devices.ts';
import { ovfFaults } from './ovf-faults.ts';

export interface NamedNetwork {
  readonly ref: ManagedObjectReference<'Network'>;
  readonly name: string;
}

export type Provisioning = 'thin' | 'thick' | 'eagerZeroedThick';

export interface DeviceContext {
  readonly machine: string;
  readonly envelope: Envelope;
  readonly hardware: HardwareDescription;
  readonly properties: readonly ResolvedProperty[];
  readonly provisioning: Provisioning;
  /** The network for a name of the descriptor; undefined when there is none at all. */
  readonly networkOf: (name: string | undefined) => NamedNetwork | undefined;
}

export interface DeviceChanges {
  readonly changes: readonly VirtualDeviceConfigSpec[];
  readonly fileItems: readonly OvfFileItem[];
  readonly errors: readonly VimFault[];
  readonly warnings: readonly VimFault[];
}

const controllerClasses = {
  ide: { type: 'VirtualIDEController', key: 200 },
  ahci: { type: 'VirtualAHCIController', key: 15_000 },
  buslogic: { type: 'VirtualBusLogicController', key: 1000 },
  lsilogic: { type: 'VirtualLsiLogicController', key: 1000 },
  lsilogicsas: { type: 'VirtualLsiLogicSASController', key: 1000 },
  pvscsi: { type: 'ParaVirtualSCSIController', key: 1000 },
  nvme: { type: 'VirtualNVMEController', key: 31_000 },
} as const;

const nicClasses = {
  pcnet32: 'VirtualPCNet32',
  vmxnet: 'VirtualVmxnet',
  vmxnet2: 'VirtualVmxnet2',
  vmxnet3: 'VirtualVmxnet3',
  e1000: 'VirtualE1000',
  e1000e: 'VirtualE1000e',
} as const;

const cimTypes = { floppy: 14, cdrom: 15, disk: 17 } as const;

/** Every device of the hardware as a change that adds it, and the files that go with them. */
export function deviceChanges(context: DeviceContext): DeviceChanges {
  const builder = new DeviceBuilder(context);
  for (const controller of context.hardware.controllers) builder.controller(controller);
  for (const disk of context.hardware.disks) builder.disk(disk);
  for (const cdrom of context.hardware.cdroms) builder.cdrom(cdrom);
  context.hardware.floppies.forEach((floppy, index) => {
    builder.floppy(floppy, index);
  });
  for (const nic of context.hardware.nics) builder.nic(nic);
  for (const serial of context.hardware.serials) builder.serial(serial);
  return builder;
}

/** The file item of an upload. */
export function fileItem(deviceId: string, file: FileReference, cimType: number, create: boolean): OvfFileItem {
  return data('OvfFileItem', {
    deviceId,
    path: file.href,
    cimType,
    create,
    ...(file.compression === 'gzip' ? { compressionMethod: 'gzip' } : {}),
    ...(file.chunkSize === undefined ? {} : { chunkSize: file.chunkSize }),
    ...(file.size === undefined ? {} : { size: file.size }),
  });
}

class DeviceBuilder implements DeviceChanges {
  readonly changes: VirtualDeviceConfigSpec[] = [];
  readonly fileItems: OvfFileItem[] = [];
  readonly errors: VimFault[] = [];
  readonly warnings: VimFault[] = [];
  readonly #context: DeviceContext;
  readonly #controllers = new Map<string, { type: string; bus: number; key: number }>();
  readonly #nextKeys = new Map<number, number>();

  constructor(context: DeviceContext) {
    this.#context = context;
  }

  controller({ instanceId, model, family, bus, ...base }: ControllerDescription): void {
    const { type, key: first } = controllerClasses[model];
    const key = first + bus;
    this.#controllers.set(instanceId, { type, bus, key });
    const members = { key, busNumber: bus, ...described(base) };
    // SCSI controllers take unit 7 of their own bus.
    const scsi = { sharedBus: 'noSharing', scsiCtlrUnitNumber: 7 } as const;
    this.#add(data(type, family === 'scsi' ? { ...members, ...scsi } : members));
  }

  disk(device: DiskDevice): void {
    const place = this.#controllers.get(device.controller);
    const bytes = this.#capacity(device);
    if (place === undefined || bytes === undefined || !this.#acceptable(device)) return;
    const { provisioning, machine } = this.#context;
    const disk: VirtualDisk = data('VirtualDisk', {
      key: this.#key(2000),
      controllerKey: place.key,
      unitNumber: device.unit,
      capacityInKB: Math.ceil(bytes / 1024),
      capacityInBytes: bytes,
      ...described(device),
      backing: data('VirtualDiskFlatVer2BackingInfo', {
        fileName: device.file?.href ?? '',
        diskMode: diskMode(device.config['backing.diskMode']),
        thinProvisioned: provisioning === 'thin',
        eagerlyScrub: provisioning === 'eagerZeroedThick',
      }),
    });
    if (device.file === undefined) {
      this.#add(disk, 'create');
      return;
    }
    this.#add(disk);
    this.fileItems.push(fileItem(importDeviceId(machine, place, device.unit), device.file, cimTypes.disk, false));
  }

  cdrom(device: MediaDevice): void {
    const place = device.controller === undefined ? undefined : this.#controllers.get(device.controller);
    if (place === undefined || device.unit === undefined) {
      this.warnings.push(ovfFaults.remark(`The CD-ROM drive ${device.label} is on no controller and was left out.`));
      return;
    }
    const backing =
      device.file === undefined
        ? data('VirtualCdromRemotePassthroughBackingInfo', { deviceName: '', exclusive: false })
        : data('VirtualCdromIsoBackingInfo', { fileName: device.file.href });
    const { key, type, bus } = place;
    const connectable = connection(device.connected);
    const members = { key: this.#key(3000), controllerKey: key, unitNumber: device.unit, backing, connectable };
    this.#add(data('VirtualCdrom', { ...members, ...described(device) }));
    if (device.file === undefined) return;
    const id = importDeviceId(this.#context.machine, { type, bus }, device.unit);
    this.fileItems.push(fileItem(id, device.file, cimTypes.cdrom, true));
  }

  floppy(device: MediaDevice, index: number): void {
    const backing =
      device.file === undefined
        ? data('VirtualFloppyRemoteDeviceBackingInfo', { deviceName: '' })
        : data('VirtualFloppyImageBackingInfo', { fileName: device.file.href });
    const connectable = connection(device.connected);
    const members = { key: 8000 + index, unitNumber: index, backing, connectable };
    this.#add(data('VirtualFloppy', { ...members, ...described(device) }));
    if (device.file === undefined) return;
    const id = importDeviceId(this.#context.machine, { type: 'VirtualFloppy', bus: 0 }, index);
    this.fileItems.push(fileItem(id, device.file, cimTypes.floppy, true));
  }

  nic(device: NicDevice): void {
    const { model } = device;
    const type = model === 'virtio' ? 'VirtualVmxnet3' : nicClasses[model];
    if (model === 'virtio') {
      this.warnings.push(
        ovfFaults.remark(`The network card ${device.label} becomes a VMXNET3 in place of a virtio one.`),
      );
    }
    const network = this.#context.networkOf(device.network);
    if (network === undefined) {
      this.errors.push(ovfFaults.noNetwork());
      return;
    }
    this.#add(
      data(type, {
        key: this.#key(4000),
        addressType: device.mac === undefined ? 'generated' : 'manual',
        wakeOnLanEnabled: device.config.wakeOnLanEnabled?.toLowerCase() !== 'false',
        connectable: connection(device.connected),
        backing: data('VirtualEthernetCardNetworkBackingInfo', { deviceName: network.name, network: network.ref }),
        ...described(device),
        ...(device.mac === undefined ? {} : { macAddress: device.mac }),
      }),
    );
  }

  serial(device: DeviceBase & { readonly connected: boolean }): void {
    const members = { key: this.#key(9000), yieldOnPoll: device.config.yieldOnPoll?.toLowerCase() !== 'false' };
    const backing = data('VirtualSerialPortFileBackingInfo', { fileName: '' });
    const connectable = connection(device.connected);
    this.#add(data('VirtualSerialPort', { ...members, ...described(device), connectable, backing }));
  }

  #add(device: VirtualDevice, fileOperation?: 'create'): void {
    this.changes.push(
      data('VirtualDeviceConfigSpec', {
        operation: 'add',
        device,
        ...(fileOperation === undefined ? {} : { fileOperation }),
      }),
    );
  }

  #key(first: number): number {
    const key = this.#nextKeys.get(first) ?? first;
    this.#nextKeys.set(first, key + 1);
    return key;
  }

  #capacity({ capacity, capacityProperty, disk, label, instanceId }: DiskDevice): number | undefined {
    let bytes = capacity;
    if (capacityProperty !== undefined) {
      const quantity = Number(this.#context.properties.find(({ key }) => key === capacityProperty.key)?.value);
      if (Number.isFinite(quantity)) bytes = quantityInBytes(quantity, capacityProperty.unit);
    }
    const line = disk?.line ?? 0;
    if (bytes === undefined || bytes <= 0 || !Number.isSafeInteger(bytes)) {
      const message = `The disk ${label} (InstanceID ${instanceId}) has no capacity.`;
      this.errors.push(ovfFaults.missingElement(line, 'capacity', message));
      return undefined;
    }
    return Math.ceil(bytes / 512) * 512;
  }

  /** Reports a disk whose file no upload could turn into a disk of ours. */
  #acceptable({ disk, label }: DiskDevice): boolean {
    const lineNumber = disk?.line ?? 0;
    if (disk?.parentId !== undefined) {
      const message = `The disk ${label} is a delta of another one, which is not supported.`;
      this.errors.push(ovfFaults.unsupportedAttribute(lineNumber, 'Disk', 'parentRef', message));
      return false;
    }
    if (disk?.fileId === undefined || disk.format === undefined || /vmdk/i.test(disk.format)) return true;
    const members = { lineNumber, elementName: 'Disk', attributeName: 'format', value: disk.format };
    this.errors.push(ovfFaults.unsupportedAttributeValue(members, `The format of the disk ${label} is not VMDK.`));
    return false;
  }
}

function described({ label }: Pick<DeviceBase, 'label'>) {
  return label === '' ? {} : { deviceInfo: data('Description', { label, summary: '' }) };
}

const diskModes = new Set(['persistent', 'independent_persistent', 'independent_nonpersistent']);

function diskMode(said: string | undefined): string {
  return said !== undefined && diskModes.has(said) ? said : 'persistent';
}

function connection(startConnected: boolean) {
  return data('VirtualDeviceConnectInfo', { startConnected, allowGuestControl: true, connected: false });
}
