import { present } from '../envelope/element-reader.ts';
import type { ConfigEntry, DiskDescription, Envelope, FileReference, HardwareItem } from '../envelope/envelope.ts';
import { parseHostResource } from '../envelope/envelope-references.ts';
import { quantityInBytes } from '../envelope/units.ts';
import { OvfError, type OvfLocation, type OvfWarning } from '../errors.ts';
import { DevicePlacement } from './device-placement.ts';
import type {
  ControllerDescription,
  DeviceBase,
  DevicePlace,
  DiskDevice,
  HardwareDescription,
  MediaDevice,
  NicDevice,
  OtherDevice,
  PortDevice,
} from './hardware-description.ts';
import {
  type ControllerModel,
  nicModel,
  otherStorageModel,
  resourceType,
  scsiModel,
  subTypes,
} from './hardware-models.ts';

type Devices = Pick<
  HardwareDescription,
  'controllers' | 'disks' | 'cdroms' | 'floppies' | 'nics' | 'serials' | 'parallels' | 'otherDevices'
>;

const families: Readonly<Record<ControllerModel, ControllerDescription['family']>> = {
  ide: 'ide',
  ahci: 'sata',
  buslogic: 'scsi',
  lsilogic: 'scsi',
  lsilogicsas: 'scsi',
  pvscsi: 'scsi',
  nvme: 'nvme',
};

/** Buses of each family that a machine has. */
const busCount: Readonly<Record<ControllerDescription['family'], number>> = { ide: 2, scsi: 4, sata: 4, nvme: 4 };

/** Turns the items of one machine into devices. */
export class DeviceResolver {
  readonly #items: readonly HardwareItem[];
  readonly #fileName: string | undefined;
  readonly #warnings: OvfWarning[];
  readonly #disks: ReadonlyMap<string, DiskDescription>;
  readonly #files: ReadonlyMap<string, FileReference>;
  readonly #networks: ReadonlySet<string>;
  readonly #controllers = new Map<string, ControllerDescription>();
  readonly #placement = new DevicePlacement();

  constructor(
    envelope: Envelope,
    items: readonly HardwareItem[],
    fileName: string | undefined,
    warnings: OvfWarning[],
  ) {
    this.#items = items;
    this.#fileName = fileName;
    this.#warnings = warnings;
    this.#disks = new Map(envelope.diskSection?.disks.map((disk) => [disk.id, disk]));
    this.#files = new Map(envelope.files.map((file) => [file.id, file]));
    this.#networks = new Set(envelope.networkSection?.networks.map((network) => network.name));
  }

  resolve(): Devices {
    for (const item of this.#items) this.#controller(item);
    const disks: DiskDevice[] = [];
    const cdroms: MediaDevice[] = [];
    const floppies: MediaDevice[] = [];
    const nics: NicDevice[] = [];
    const serials: PortDevice[] = [];
    const parallels: PortDevice[] = [];
    const otherDevices: OtherDevice[] = [];
    const push = <Device>(list: Device[], device: Device | undefined) => {
      if (device !== undefined) list.push(device);
    };
    // Disks choose their places first: a CD-ROM at the place of a disk gives way.
    for (const item of this.#items) {
      if (item.resourceType === resourceType.disk || item.resourceType === resourceType.storageExtent) {
        push(disks, this.#disk(item));
      }
    }
    for (const item of this.#items) {
      switch (item.resourceType) {
        case resourceType.processor:
        case resourceType.memory:
        case resourceType.disk:
        case resourceType.storageExtent:
          break;
        case resourceType.cdrom:
        case resourceType.dvd:
          push(cdroms, this.#cdrom(item));
          break;
        case resourceType.floppy:
          floppies.push(this.#media(item));
          break;
        case resourceType.ethernet:
          push(nics, this.#nic(item));
          break;
        case resourceType.serial:
          serials.push({ ...base(item), connected: item.automaticAllocation ?? true });
          break;
        case resourceType.parallel:
          parallels.push({ ...base(item), connected: item.automaticAllocation ?? true });
          break;
        default:
          if (!this.#controllers.has(item.instanceId)) push(otherDevices, this.#other(item));
      }
    }
    return {
      controllers: [...this.#controllers.values()],
      disks,
      cdroms,
      floppies,
      nics,
      serials,
      parallels,
      otherDevices,
    };
  }

  #at(item: HardwareItem): OvfLocation {
    return { file: this.#fileName, line: item.line, section: 'VirtualHardwareSection' };
  }

  #warn(item: HardwareItem, detail: string): void {
    this.#warnings.push({ detail: `${describe(item)}: ${detail}`, location: this.#at(item) });
  }

  /** Leaves an optional item out; throws for a required one. */
  #unsupported(item: HardwareItem, detail: string): undefined {
    if (item.required !== false)
      throw new OvfError('hardware-unsupported', `${describe(item)}: ${detail}`, this.#at(item));
    this.#warn(item, `${detail}; it is optional and was left out`);
    return undefined;
  }

  #invalid(item: HardwareItem, detail: string): never {
    throw new OvfError('hardware-invalid', `${describe(item)}: ${detail}`, this.#at(item));
  }

  #controller(item: HardwareItem): void {
    let model: ControllerModel | undefined;
    if (item.resourceType === resourceType.ideController) model = 'ide';
    else if (item.resourceType === resourceType.scsiController) {
      model = scsiModel(item.resourceSubType);
      if (model === undefined) {
        this.#unsupported(item, `there is no SCSI controller of the type "${item.resourceSubType}"`);
        return;
      }
    } else if (item.resourceType === resourceType.otherStorage) {
      model = otherStorageModel(item.resourceSubType);
    }
    if (model === undefined) return;
    const family = families[model];
    const taken = new Set([...this.#controllers.values()].filter((c) => c.family === family).map((c) => c.bus));
    const said = /^\d{1,2}$/.test(item.address ?? '') ? Number(item.address) : undefined;
    let bus = said ?? 0;
    if (taken.has(bus) || bus >= busCount[family]) {
      for (bus = 0; taken.has(bus); bus += 1);
      if (said !== undefined && taken.has(said)) this.#warn(item, `bus ${said} is taken, it became bus ${bus}`);
    }
    if (bus >= busCount[family]) this.#invalid(item, `there are more than ${busCount[family]} ${family} controllers`);
    this.#controllers.set(item.instanceId, { ...base(item), model, family, bus });
  }

  /** The place that Parent and AddressOnParent say, or a free one near it. */
  #place(item: HardwareItem): DevicePlace | undefined {
    let controller = item.parent === undefined ? this.#firstController(item) : this.#controllers.get(item.parent);
    if (controller === undefined) {
      const parent = this.#items.find((candidate) => candidate.instanceId === item.parent);
      if (parent !== undefined)
        return this.#unsupported(item, `it is on ${describe(parent)}, which holds no disks or drives`);
      return this.#unsupported(item, `there is no controller ${item.parent}`);
    }
    let unit = /^\d{1,3}$/.test(item.addressOnParent ?? '') ? Number(item.addressOnParent) : undefined;
    if (unit !== undefined && controller.family === 'ide' && (unit === 2 || unit === 3)) {
      // VirtualBox says one IDE controller with four places.
      controller = this.#secondIde(controller);
      unit -= 2;
    }
    if (unit !== undefined && this.#placement.take(controller, unit))
      return { controller: controller.instanceId, unit };
    const siblings = [...this.#controllers.values()].filter((other) => other.family === controller.family);
    const full = [controller, ...siblings].every((sibling) => this.#placement.isFull(sibling));
    if (full && controller.family === 'ide' && siblings.length < 2) siblings.push(this.#secondIde(controller));
    for (const candidate of [controller, ...siblings]) {
      const free = this.#placement.takeFree(candidate);
      if (free === undefined) continue;
      if (unit !== undefined)
        this.#warn(item, `unit ${unit} of ${controller.label} cannot be had, it became unit ${free}`);
      return { controller: candidate.instanceId, unit: free };
    }
    return this.#unsupported(item, `${controller.label} has no free unit`);
  }

  /** For an item that names no controller: the first, or one to put it on. */
  #firstController(item: HardwareItem): ControllerDescription {
    const first = this.#controllers.values().next().value;
    if (first !== undefined) return first;
    const isDisk = item.resourceType === resourceType.disk || item.resourceType === resourceType.storageExtent;
    const model = isDisk ? 'lsilogic' : 'ide';
    this.#warn(item, `it has no controller, so there is one of the type ${model}`);
    const controller: ControllerDescription = {
      instanceId: 'implied-controller',
      label: 'implied controller',
      optional: false,
      config: {},
      model,
      family: families[model],
      bus: 0,
    };
    this.#controllers.set(controller.instanceId, controller);
    return controller;
  }

  #secondIde(first: ControllerDescription): ControllerDescription {
    const existing = [...this.#controllers.values()].find((other) => other.family === 'ide' && other !== first);
    if (existing !== undefined) return existing;
    const second = {
      ...first,
      instanceId: `${first.instanceId}-secondary`,
      label: `${first.label} (secondary)`,
      bus: 1 - first.bus,
    };
    this.#controllers.set(second.instanceId, second);
    return second;
  }

  #disk(item: HardwareItem): DiskDevice | undefined {
    const place = this.#place(item);
    if (place === undefined) return undefined;
    const resource = parseHostResource(item.hostResources?.[0] ?? '');
    const disk = resource?.kind === 'disk' ? this.#disks.get(resource.id) : undefined;
    const fileId = resource?.kind === 'file' ? resource.id : disk?.fileId;
    const file = fileId === undefined ? undefined : this.#files.get(fileId);
    const blank = item.hostResources === undefined ? this.#blankCapacity(item) : undefined;
    if (disk === undefined && file === undefined && blank === undefined) {
      return this.#unsupported(item, `its HostResource "${item.hostResources?.[0] ?? ''}" is no disk of the package`);
    }
    const capacity = disk?.capacity ?? blank;
    return {
      ...base(item),
      ...place,
      ...present('disk', disk),
      ...present('file', file),
      ...(capacity === undefined
        ? {}
        : 'bytes' in capacity
          ? { capacity: capacity.bytes }
          : { capacityProperty: { key: capacity.property, unit: capacity.unit } }),
    };
  }

  /** Capacity of a disk that is said by its quantity alone (DSP0243 8.3). */
  #blankCapacity(item: HardwareItem): { readonly bytes: number } | undefined {
    if (item.virtualQuantity === undefined) return undefined;
    const unit = item.allocationUnits ?? item.virtualQuantityUnits ?? 'byte';
    return { bytes: quantityInBytes(item.virtualQuantity, unit, this.#at(item)) };
  }

  #cdrom(item: HardwareItem): MediaDevice | undefined {
    const place = this.#place(item);
    return place && { ...this.#media(item), ...place };
  }

  #media(item: HardwareItem): MediaDevice {
    const resource = parseHostResource(item.hostResources?.[0] ?? '');
    const file = resource?.kind === 'file' ? this.#files.get(resource.id) : undefined;
    return { ...base(item), ...present('file', file), connected: item.automaticAllocation ?? file !== undefined };
  }

  #nic(item: HardwareItem): NicDevice | undefined {
    const model = nicModel(item.resourceSubType);
    if (model === undefined) return this.#unsupported(item, `there is no NIC of the type "${item.resourceSubType}"`);
    const network = item.connections?.[0];
    if (network !== undefined && !this.#networks.has(network)) {
      this.#invalid(item, `the network "${network}" is not in the NetworkSection`);
    }
    return {
      ...base(item),
      model,
      ...present('network', network),
      ...present('mac', macAddress(item.address)),
      connected: item.automaticAllocation ?? true,
    };
  }

  #other(item: HardwareItem): OtherDevice | undefined {
    const subType = subTypes(item.resourceSubType)[0] ?? '';
    if (item.resourceType === resourceType.graphics) return { ...base(item), kind: 'display', item };
    if (item.resourceType === resourceType.sound) return { ...base(item), kind: 'sound', item };
    if (item.resourceType === resourceType.usb) return { ...base(item), kind: 'usb', item };
    if (item.resourceType === resourceType.other) {
      if (subType === 'vmware.vmci') return { ...base(item), kind: 'vmci', item };
      if (subType === 'vmware.vtpm') return { ...base(item), kind: 'tpm', item };
      if (subType.startsWith('vmware.soundcard')) return { ...base(item), kind: 'sound', item };
    }
    const what = item.resourceSubType ?? item.otherResourceType ?? '';
    return this.#unsupported(
      item,
      `the resource type ${item.resourceType} ${what ? `"${what}" ` : ''}is not supported`,
    );
  }
}

function describe(item: HardwareItem): string {
  const label = item.elementName?.text || item.caption?.text;
  return `the item with InstanceID ${item.instanceId}${label ? ` (${label})` : ''}`;
}

function base(item: HardwareItem): DeviceBase {
  return {
    instanceId: item.instanceId,
    label: item.elementName?.text || item.caption?.text || `device ${item.instanceId}`,
    optional: item.required === false,
    config: configRecord(item.config),
  };
}

/** Entries by key, in an object that no key can upset. */
export function configRecord(entries: readonly ConfigEntry[] = []): Readonly<Record<string, string>> {
  const values: Record<string, string> = Object.create(null);
  for (const { key, value } of entries) values[key] = value;
  return values;
}

/** A MAC address in any usual form; absent for anything else, which Address may also hold. */
function macAddress(address: string | undefined): string | undefined {
  const digits = address?.trim().replace(/[:.-]/g, '').toLowerCase() ?? '';
  return /^[0-9a-f]{12}$/.test(digits) ? digits.match(/../g)!.join(':') : undefined;
}
