import {
  data,
  type ManagedObjectReference,
  type VirtualController,
  type VirtualDevice,
  type VirtualDeviceConfigSpec,
  type VirtualSerialPort,
} from '@hypostyle/vim';
import type { Static } from '@sinclair/typebox';
import { type CenterView, nameOf, read } from '../calls/center-view.ts';
import { AutomationError, invalidArgument } from '../errors.ts';
import { defined } from '../schemas/common.ts';
import type { DeviceReader } from './device-info.ts';
import type {
  cdromSpec,
  diskSpec,
  diskUpdate,
  ethernetSpec,
  floppySpec,
  nvmeSpec,
  parallelSpec,
  sataSpec,
  scsiSpec,
  serialSpec,
} from './device-schemas.ts';
import type { GuestDefaults } from './guest-defaults.ts';

type Family = 'IDE' | 'SCSI' | 'SATA' | 'NVME';
interface Place {
  readonly bus: number;
  readonly unit?: number | undefined;
}

const families = {
  IDE: { type: 'VirtualIDEController', units: 2, buses: 2, reserved: -1 },
  SCSI: { type: 'VirtualSCSIController', units: 16, buses: 4, reserved: 7 },
  SATA: { type: 'VirtualSATAController', units: 30, buses: 4, reserved: -1 },
  NVME: { type: 'VirtualNVMEController', units: 15, buses: 4, reserved: -1 },
} as const;

const scsiModels = {
  BUSLOGIC: 'VirtualBusLogicController',
  LSILOGIC: 'VirtualLsiLogicController',
  LSILOGICSAS: 'VirtualLsiLogicSASController',
  PVSCSI: 'ParaVirtualSCSIController',
} as const;
const sharings = { NONE: 'noSharing', VIRTUAL: 'virtualSharing', PHYSICAL: 'physicalSharing' } as const;
const ethernetModels = {
  E1000: 'VirtualE1000',
  E1000E: 'VirtualE1000e',
  PCNET32: 'VirtualPCNet32',
  VMXNET: 'VirtualVmxnet',
  VMXNET2: 'VirtualVmxnet2',
  VMXNET3: 'VirtualVmxnet3',
} as const;

/** Keys of controllers that every machine has. */
const superIoKey = 400;
const ideKey = 200;

/** Changes to the devices of a machine, one after another, as a ConfigSpec lists them. */
export class DevicePlan {
  readonly changes: VirtualDeviceConfigSpec[] = [];
  readonly #view: CenterView;
  readonly #defaults: GuestDefaults;
  /** Controllers of each family, there already or planned. */
  readonly #controllers: Record<Family, { key: number; bus: number }[]>;
  readonly #used = new Map<number, Set<number>>();
  #lastKey = 0;

  constructor(view: CenterView, reader: DeviceReader, defaults: GuestDefaults) {
    this.#view = view;
    this.#defaults = defaults;
    const present = (family: Family) =>
      reader.ofType<VirtualController>(families[family].type).map(({ key, busNumber }) => ({ key, bus: busNumber }));
    this.#controllers = {
      // Every machine has both, told or not.
      IDE: [0, 1].map((bus) => ({ key: ideKey + bus, bus })),
      SCSI: present('SCSI'),
      SATA: present('SATA'),
      NVME: present('NVME'),
    };
    for (const { controllerKey, unitNumber } of reader.devices) {
      if (controllerKey !== undefined && unitNumber !== undefined) this.#taken(controllerKey).add(unitNumber);
    }
  }

  scsiAdapter(spec: Static<typeof scsiSpec>): void {
    const model = scsiModels[spec.type ?? this.#defaults.scsi];
    this.#addController('SCSI', model, spec.bus, { sharedBus: sharings[spec.sharing ?? 'NONE'] }, spec.pci_slot_number);
  }

  sataAdapter(spec: Static<typeof sataSpec>): void {
    this.#addController('SATA', 'VirtualAHCIController', spec.bus, {}, spec.pci_slot_number);
  }

  nvmeAdapter(spec: Static<typeof nvmeSpec>): void {
    this.#addController('NVME', 'VirtualNVMEController', spec.bus, {}, spec.pci_slot_number);
  }

  disk(spec: Static<typeof diskSpec>): void {
    if (spec.backing !== undefined && spec.new_vmdk !== undefined) {
      throw invalidArgument('Only one of backing and new_vmdk may be given.');
    }
    if (spec.new_vmdk?.storage_policy !== undefined) {
      throw new AutomationError('not_found', 'There are no storage policies.');
    }
    const family = spec.type ?? placedFamily(spec) ?? this.#defaults.diskFamily;
    const place = this.#place(family, spec);
    const created = spec.backing === undefined;
    if (!created && spec.backing?.vmdk_file === undefined) throw invalidArgument('The member vmdk_file is missing.');
    const bytes = spec.new_vmdk?.capacity ?? this.#defaults.diskBytes;
    this.#add(
      data('VirtualDisk', {
        key: this.#nextKey(),
        ...place,
        capacityInKB: created ? Math.ceil(bytes / 1_024) : 0,
        ...(created ? { capacityInBytes: bytes } : {}),
        backing: data('VirtualDiskFlatVer2BackingInfo', {
          // The server chooses the file of a new disk.
          fileName: spec.backing?.vmdk_file ?? '',
          diskMode: 'persistent',
          ...(created ? { thinProvisioned: true } : {}),
        }),
      }),
      created ? 'create' : undefined,
    );
  }

  diskBacking(device: VirtualDevice, { backing }: Static<typeof diskUpdate>): void {
    if (backing?.vmdk_file === undefined) throw invalidArgument('The member vmdk_file is missing.');
    const fileName = backing.vmdk_file;
    this.#edit({
      ...device,
      backing: data('VirtualDiskFlatVer2BackingInfo', { fileName, diskMode: 'persistent' }),
    } as VirtualDevice);
  }

  cdrom(spec: Static<typeof cdromSpec>): void {
    const family = spec.type ?? (spec.sata === undefined ? 'IDE' : 'SATA');
    this.#add(
      data('VirtualCdrom', {
        key: this.#nextKey(),
        ...this.#place(family, spec),
        backing: cdromBacking(spec),
        connectable: connectable(spec),
      }),
    );
  }

  floppy(spec: Static<typeof floppySpec>): void {
    this.#add(
      data('VirtualFloppy', {
        key: this.#nextKey(),
        controllerKey: superIoKey,
        backing: floppyBacking(spec),
        connectable: connectable(spec),
      }),
    );
  }

  ethernet(spec: Static<typeof ethernetSpec>): void {
    this.#add(
      data(
        ethernetModels[spec.type ?? this.#defaults.ethernet],
        defined({
          key: this.#nextKey(),
          ...this.#ethernetMembers(spec),
          backing: this.#networkBacking(spec.backing),
          connectable: connectable(spec),
          slotInfo: slot(spec.pci_slot_number),
        }),
      ),
    );
  }

  ethernetUpdate(device: VirtualDevice, spec: Static<typeof ethernetSpec>): void {
    this.#edit({
      ...device,
      ...this.#ethernetMembers(spec),
      ...(spec.backing === undefined ? {} : { backing: this.#networkBacking(spec.backing) }),
      connectable: connectable(spec, device),
    } as VirtualDevice);
  }

  serial(spec: Static<typeof serialSpec>): void {
    this.#add(
      data('VirtualSerialPort', {
        key: this.#nextKey(),
        controllerKey: superIoKey,
        yieldOnPoll: spec.yield_on_poll ?? false,
        backing: serialBacking(spec),
        connectable: connectable(spec),
      }),
    );
  }

  parallel(spec: Static<typeof parallelSpec>): void {
    const device = { key: this.#nextKey(), backing: parallelBacking(spec), connectable: connectable(spec) };
    this.#add(data('VirtualParallelPort', device));
  }

  cdromUpdate(device: VirtualDevice, spec: Static<typeof cdromSpec>): void {
    this.#edit({
      ...device,
      ...(spec.backing === undefined ? {} : { backing: cdromBacking(spec) }),
      connectable: connectable(spec, device),
    });
  }

  floppyUpdate(device: VirtualDevice, spec: Static<typeof floppySpec>): void {
    this.#edit({
      ...device,
      ...(spec.backing === undefined ? {} : { backing: floppyBacking(spec) }),
      connectable: connectable(spec, device),
    });
  }

  serialUpdate(device: VirtualSerialPort, spec: Static<typeof serialSpec>): void {
    const edited: VirtualSerialPort = {
      ...device,
      yieldOnPoll: spec.yield_on_poll ?? device.yieldOnPoll,
      ...(spec.backing === undefined ? {} : { backing: serialBacking(spec) }),
      connectable: connectable(spec, device),
    };
    this.#edit(edited);
  }

  parallelUpdate(device: VirtualDevice, spec: Static<typeof parallelSpec>): void {
    this.#edit({
      ...device,
      ...(spec.backing === undefined ? {} : { backing: parallelBacking(spec) }),
      connectable: connectable(spec, device),
    });
  }

  scsiUpdate(device: VirtualDevice, sharing: keyof typeof sharings): void {
    this.#edit({ ...device, sharedBus: sharings[sharing] } as VirtualDevice);
  }

  /** Connects or disconnects a device of a machine that is on. */
  connect(device: VirtualDevice, connected: boolean): void {
    this.#edit({ ...device, connectable: { ...connectable({}, device), connected } });
  }

  /** Takes a device off the machine; the file of a disk stays. */
  remove(device: VirtualDevice): void {
    this.changes.push(data('VirtualDeviceConfigSpec', { operation: 'remove', device }));
  }

  #ethernetMembers(spec: Static<typeof ethernetSpec>) {
    if (spec.mac_type === 'MANUAL' && spec.mac_address === undefined) {
      throw invalidArgument('The member mac_address is missing.');
    }
    return defined({
      addressType: spec.mac_type?.toLowerCase(),
      macAddress: spec.mac_address,
      wakeOnLanEnabled: spec.wake_on_lan_enabled,
      uptCompatibilityEnabled: spec.upt_compatibility_enabled,
    });
  }

  #networkBacking(backing: Static<typeof ethernetSpec>['backing']) {
    if (backing?.network === undefined) throw invalidArgument('The member network is missing.');
    if (backing.type === 'STANDARD_PORTGROUP') {
      const network = this.#view.get('Network', backing.network);
      return data('VirtualEthernetCardNetworkBackingInfo', {
        deviceName: nameOf(network),
        network: network.ref as ManagedObjectReference<'Network'>,
      });
    }
    if (backing.type !== 'DISTRIBUTED_PORTGROUP') {
      throw new AutomationError('unsupported', `A backing of type ${backing.type} is not supported.`);
    }
    const group = this.#view.get('DistributedVirtualPortgroup', backing.network);
    const config = read('DistributedVirtualPortgroup', group, 'config');
    const dvs = config?.distributedVirtualSwitch;
    const switchUuid =
      dvs === undefined ? undefined : read('DistributedVirtualSwitch', this.#view.registry.get(dvs), 'uuid');
    return data('VirtualEthernetCardDistributedVirtualPortBackingInfo', {
      port: data(
        'DistributedVirtualSwitchPortConnection',
        defined({
          switchUuid: switchUuid ?? '',
          portgroupKey: config?.key ?? group.ref.value,
          portKey: backing.distributed_port,
        }),
      ),
    });
  }

  #place(
    family: Family,
    spec: {
      readonly ide?: { readonly primary?: boolean; readonly master?: boolean };
      readonly scsi?: Place;
      readonly sata?: Place;
      readonly nvme?: Place;
    },
  ): { controllerKey: number; unitNumber: number } {
    const { ide } = spec;
    const told =
      family === 'IDE'
        ? ide === undefined
          ? undefined
          : {
              bus: ide.primary === undefined ? undefined : ide.primary ? 0 : 1,
              unit: ide.master === undefined ? undefined : ide.master ? 0 : 1,
            }
        : spec[family.toLowerCase() as 'scsi' | 'sata' | 'nvme'];
    const { units, reserved } = families[family];
    for (const controller of this.#controllers[family]) {
      if (told?.bus !== undefined && told.bus !== controller.bus) continue;
      const used = this.#taken(controller.key);
      const unit = told?.unit ?? firstFree(used, units, reserved);
      if (unit === undefined) continue;
      if (unit >= units || unit === reserved) throw invalidArgument(`There is no unit ${unit}.`);
      if (used.has(unit)) throw new AutomationError('resource_in_use', `Unit ${unit} of the bus is in use.`);
      used.add(unit);
      return { controllerKey: controller.key, unitNumber: unit };
    }
    if (family === 'IDE') throw new AutomationError('unable_to_allocate_resource', 'Both IDE buses are full.');
    this.#defaultController(family, told?.bus);
    return this.#place(family, spec);
  }

  #defaultController(family: Exclude<Family, 'IDE'>, bus: number | undefined): void {
    const place = bus === undefined ? {} : { bus };
    if (family === 'SCSI') this.scsiAdapter(place);
    else if (family === 'SATA') this.sataAdapter(place);
    else this.nvmeAdapter(place);
  }

  #addController(family: Exclude<Family, 'IDE'>, type: string, bus: number | undefined, members: object, pci?: number) {
    const taken = new Set(this.#controllers[family].map((each) => each.bus));
    const free = bus ?? firstFree(taken, families[family].buses, -1);
    if (free === undefined) throw new AutomationError('unable_to_allocate_resource', 'All buses are taken.');
    if (taken.has(free)) throw new AutomationError('resource_in_use', `The bus ${free} is in use.`);
    const key = this.#nextKey();
    const device = { _typeName: type, key, busNumber: free, ...members, ...defined({ slotInfo: slot(pci) }) };
    this.#add(device as unknown as VirtualDevice);
    this.#controllers[family].push({ key, bus: free });
  }

  #add(device: VirtualDevice, fileOperation?: 'create'): void {
    this.changes.push(
      data('VirtualDeviceConfigSpec', {
        operation: 'add',
        ...(fileOperation === undefined ? {} : { fileOperation }),
        device,
      }),
    );
  }

  #edit(device: VirtualDevice): void {
    this.changes.push(data('VirtualDeviceConfigSpec', { operation: 'edit', device }));
  }

  #taken(controllerKey: number): Set<number> {
    let used = this.#used.get(controllerKey);
    if (used === undefined) {
      used = new Set();
      this.#used.set(controllerKey, used);
    }
    return used;
  }

  /** New devices have keys of their own until the server numbers them. */
  #nextKey(): number {
    this.#lastKey -= 1;
    return this.#lastKey - 100;
  }
}

function placedFamily(spec: Static<typeof diskSpec>): Family | undefined {
  if (spec.ide !== undefined) return 'IDE';
  if (spec.scsi !== undefined) return 'SCSI';
  if (spec.sata !== undefined) return 'SATA';
  return spec.nvme === undefined ? undefined : 'NVME';
}

function firstFree(used: ReadonlySet<number>, count: number, reserved: number): number | undefined {
  for (let at = 0; at < count; at += 1) if (at !== reserved && !used.has(at)) return at;
  return undefined;
}

function connectable(
  spec: { readonly start_connected?: boolean; readonly allow_guest_control?: boolean },
  device?: VirtualDevice,
) {
  const now = device?.connectable;
  return data('VirtualDeviceConnectInfo', {
    startConnected: spec.start_connected ?? now?.startConnected ?? false,
    allowGuestControl: spec.allow_guest_control ?? now?.allowGuestControl ?? false,
    connected: now?.connected ?? spec.start_connected ?? false,
  });
}

function cdromBacking({ backing }: Static<typeof cdromSpec>) {
  if (backing?.type === 'ISO_FILE') {
    if (backing.iso_file === undefined) throw invalidArgument('The member iso_file is missing.');
    return data('VirtualCdromIsoBackingInfo', { fileName: backing.iso_file });
  }
  if (backing?.type === 'HOST_DEVICE') {
    const deviceName = backing.host_device ?? '';
    return backing.device_access_type === undefined || backing.device_access_type === 'EMULATION'
      ? data('VirtualCdromAtapiBackingInfo', { deviceName, useAutoDetect: backing.host_device === undefined })
      : data('VirtualCdromPassthroughBackingInfo', {
          deviceName,
          exclusive: backing.device_access_type === 'PASSTHRU_EXCLUSIVE',
          useAutoDetect: backing.host_device === undefined,
        });
  }
  return data('VirtualCdromRemotePassthroughBackingInfo', { deviceName: '', exclusive: false, useAutoDetect: false });
}

function floppyBacking({ backing }: Static<typeof floppySpec>) {
  if (backing?.type === 'IMAGE_FILE') {
    if (backing.image_file === undefined) throw invalidArgument('The member image_file is missing.');
    return data('VirtualFloppyImageBackingInfo', { fileName: backing.image_file });
  }
  return backing?.type === 'HOST_DEVICE'
    ? data('VirtualFloppyDeviceBackingInfo', { deviceName: backing.host_device ?? '' })
    : data('VirtualFloppyRemoteDeviceBackingInfo', { deviceName: '', useAutoDetect: false });
}

function serialBacking({ backing }: Static<typeof serialSpec>) {
  switch (backing?.type) {
    case 'FILE':
      if (backing.file === undefined) throw invalidArgument('The member file is missing.');
      return data('VirtualSerialPortFileBackingInfo', { fileName: backing.file });
    case 'PIPE_SERVER':
    case 'PIPE_CLIENT':
      if (backing.pipe === undefined) throw invalidArgument('The member pipe is missing.');
      return data('VirtualSerialPortPipeBackingInfo', {
        pipeName: backing.pipe,
        endpoint: backing.type === 'PIPE_CLIENT' ? 'client' : 'server',
        noRxLoss: backing.no_rx_loss ?? false,
      });
    case 'NETWORK_SERVER':
    case 'NETWORK_CLIENT':
      if (backing.network_location === undefined) throw invalidArgument('The member network_location is missing.');
      return data(
        'VirtualSerialPortURIBackingInfo',
        defined({
          serviceURI: backing.network_location,
          direction: backing.type === 'NETWORK_CLIENT' ? 'client' : 'server',
          proxyURI: backing.proxy,
        }),
      );
    default:
      return data('VirtualSerialPortDeviceBackingInfo', { deviceName: backing?.host_device ?? '' });
  }
}

function parallelBacking({ backing }: Static<typeof parallelSpec>) {
  if (backing?.type !== 'FILE')
    return data('VirtualParallelPortDeviceBackingInfo', { deviceName: backing?.host_device ?? '' });
  if (backing.file === undefined) throw invalidArgument('The member file is missing.');
  return data('VirtualParallelPortFileBackingInfo', { fileName: backing.file });
}

function slot(pciSlotNumber: number | undefined) {
  return pciSlotNumber === undefined ? undefined : data('VirtualDevicePciBusSlotInfo', { pciSlotNumber });
}
