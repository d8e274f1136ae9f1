import {
  type AnnotationSection,
  type ConfigEntry,
  type Content,
  type DiskDescription,
  type Envelope,
  type FileReference,
  formatEnvelope,
  type HardwareItem,
  type UnknownSection,
  type VirtualSystem,
} from '@hypostyle/ovf';
import {
  data,
  fault,
  type OvfCreateDescriptorParams,
  type OvfCreateDescriptorResult,
  type OvfFile,
  type ResourceAllocationInfo,
  type VirtualDevice,
  type VirtualMachineConfigInfo,
} from '@hypostyle/vim';
import { nvramKey } from '../import/import-devices.ts';
import { configOfSettings } from '../import/machine-settings.ts';
import { localizedFaults, ovfFaults } from '../import/ovf-faults.ts';
import { type ExportOption, exportOptionsOf } from './export-options.ts';
import { vAppSections } from './vapp-sections.ts';

const streamFormat = 'http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized';

interface ControllerKind {
  readonly resourceType: number;
  readonly subType?: string;
  readonly label: string;
}

/** CIM resource types of controllers, with the subtypes that tools know them by. */
const controllers: Readonly<Record<string, ControllerKind>> = {
  VirtualIDEController: { resourceType: 5, label: 'IDE' },
  VirtualBusLogicController: { resourceType: 6, subType: 'buslogic', label: 'SCSI' },
  VirtualLsiLogicController: { resourceType: 6, subType: 'lsilogic', label: 'SCSI' },
  VirtualLsiLogicSASController: { resourceType: 6, subType: 'lsilogicsas', label: 'SCSI' },
  ParaVirtualSCSIController: { resourceType: 6, subType: 'VirtualSCSI', label: 'SCSI' },
  VirtualAHCIController: { resourceType: 20, subType: 'vmware.sata.ahci', label: 'SATA' },
  VirtualNVMEController: { resourceType: 20, subType: 'vmware.nvme.controller', label: 'NVMe' },
};

const nics: Readonly<Record<string, string>> = {
  VirtualPCNet32: 'PCNet32',
  VirtualVmxnet: 'VmxNet',
  VirtualVmxnet2: 'VmxNet2',
  VirtualVmxnet3: 'VmxNet3',
  VirtualE1000: 'E1000',
  VirtualE1000e: 'E1000e',
};

/** What the machines of one package share. */
export interface PackageParts {
  readonly disks: DiskDescription[];
  readonly files: FileReference[];
  readonly networks: Set<string>;
  readonly envelopeSections: UnknownSection[];
  readonly skipped: string[];
}

interface Parts extends PackageParts {
  readonly items: HardwareItem[];
}

/** A machine of a package. */
export interface DescribedMachine {
  readonly config: VirtualMachineConfigInfo;
  /** Unique in the package. */
  readonly id: string;
  readonly name: string;
  readonly annotation: string;
  readonly options: ReadonlySet<ExportOption>;
  /** Files of its devices, by the end of their ids, such as `VirtualLsiLogicController0:0`; those that are used leave. */
  readonly files: Map<string, OvfFile>;
}

export function newPackageParts(): PackageParts {
  return { disks: [], files: [], networks: new Set(), envelopeSections: [], skipped: [] };
}

/**
 * OvfManager.CreateDescriptor for a machine: the descriptor of a package with the files that were got from its lease.
 * Devices that a package has no word for are named in the result's warnings. Throws InvalidArgument for a file of a
 * device that the machine has not.
 */
export function createDescriptor(
  config: VirtualMachineConfigInfo,
  parameters: OvfCreateDescriptorParams,
): OvfCreateDescriptorResult {
  const files = new Map((parameters.ovfFiles ?? []).map((file) => [placeOf(file.deviceId), file]));
  const name = parameters.name || config.name;
  const annotation = parameters.description || config.annotation || '';
  const parts = newPackageParts();
  const options = exportOptionsOf(parameters.exportOption);
  const content = describedMachine({ config, id: name, name, annotation, options, files }, parts);
  mustBeUsed(files);
  return descriptorResult(content, parts);
}

/** Throws InvalidArgument for a file that is of no device. */
export function mustBeUsed(files: ReadonlyMap<string, OvfFile>): void {
  const [unknown] = files.values();
  if (unknown === undefined) return;
  throw fault(
    'InvalidArgument',
    { invalidProperty: 'cdp.ovfFiles' },
    `The machine has no device '${unknown.deviceId.slice(0, 200)}'.`,
  );
}

export function descriptorResult(content: Content, parts: PackageParts): OvfCreateDescriptorResult {
  return data('OvfCreateDescriptorResult', {
    ovfDescriptor: formatEnvelope(envelopeOf(content, parts)),
    warning: localizedFaults(parts.skipped.map((name) => ovfFaults.remark(`The device '${name}' is not exported.`))),
  });
}

/** The virtual system of a machine; its disks, files and networks come to those of the package. */
export function describedMachine(machine: DescribedMachine, shared: PackageParts): VirtualSystem {
  const { config, id, name, annotation, options, files: left } = machine;
  const { numCPU, memoryMB, device = [], numCoresPerSocket } = config.hardware;
  const parts: Parts = { ...shared, items: [] };
  parts.items.push(
    {
      ...item(1, 3, `${numCPU} virtual CPU(s)`),
      allocationUnits: 'hertz * 10^6',
      virtualQuantity: numCPU,
      ...allocationOf(config.cpuAllocation),
      ...(numCoresPerSocket === undefined ? {} : { coresPerSocket: numCoresPerSocket }),
    },
    {
      ...item(2, 4, `${memoryMB}MB of memory`),
      allocationUnits: 'byte * 2^20',
      virtualQuantity: memoryMB,
      ...allocationOf(config.memoryAllocation),
    },
  );
  const ids = new Map<number, string>();
  for (const one of device) if (typeOf(one) in controllers) addController(one, parts, ids);
  for (const one of device) if (!(typeOf(one) in controllers)) addDevice(one, { device, parts, ids, left, options });
  const settings = [
    ...(config.firmware === undefined ? [] : [{ key: 'firmware', value: config.firmware }]),
    ...configOfSettings(config),
    ...(options.has('uuid') ? [{ key: 'uuid', value: config.uuid }] : []),
  ];
  const sections = vAppSections(config.vAppConfig);
  shared.envelopeSections.push(...sections.envelopeSections);
  return {
    kind: 'VirtualSystem',
    id,
    info: { text: 'A virtual machine' },
    name: { text: name },
    annotations: annotationsOf(annotation),
    products: sections.products,
    eulas: sections.eulas,
    otherSections: sections.otherSections,
    ...(sections.install === undefined ? {} : { install: sections.install }),
    operatingSystem: {
      info: { text: 'The kind of installed guest operating system' },
      // Other: the exact one is VMware's own word.
      id: 1,
      vmwareType: config.guestId,
      ...(config.guestFullName === '' ? {} : { description: { text: config.guestFullName } }),
    },
    hardware: [
      {
        info: { text: 'Virtual hardware requirements' },
        transports: config.vAppConfig?.ovfEnvironmentTransport ?? [],
        system: { elementName: 'Virtual Hardware Family', instanceId: '0', identifier: name, type: config.version },
        items: parts.items,
        // A deployer that does not know one is to go on without it.
        config: settings.map((setting) => ({ ...setting, required: false })),
        extraConfig: options.has('extraconfig') ? extraConfigOf(config) : [],
      },
    ],
  };
}

/** What a machine is granted, where that is not what every machine is. */
function allocationOf(allocation: ResourceAllocationInfo | undefined): Partial<HardwareItem> {
  const { reservation, limit, shares } = allocation ?? {};
  return {
    ...(Number(reservation ?? 0) > 0 ? { reservation: Number(reservation) } : {}),
    ...(Number(limit ?? -1) >= 0 ? { limit: Number(limit) } : {}),
    ...(shares?.level === 'custom' ? { weight: shares.shares } : {}),
  };
}

/** Texts but passwords, and none of the host's own: a package names its NVRAM by a file. */
function extraConfigOf({ extraConfig = [] }: VirtualMachineConfigInfo): ConfigEntry[] {
  return extraConfig.flatMap(({ key, value }) =>
    typeof value === 'string' && key !== nvramKey && !/password/i.test(key) ? [{ key, value, required: false }] : [],
  );
}

export function annotationsOf(annotation: string): readonly AnnotationSection[] {
  return annotation === '' ? [] : [{ info: { text: 'A human-readable annotation' }, annotation: { text: annotation } }];
}

function envelopeOf(content: Content, parts: PackageParts): Envelope {
  return {
    version: '1',
    files: parts.files,
    diskSection: { info: { text: 'Virtual disk information' }, disks: parts.disks },
    networkSection: {
      info: { text: 'The list of logical networks' },
      networks: [...parts.networks].map((network) => ({
        name: network,
        description: { text: `The ${network} network` },
      })),
    },
    otherSections: parts.envelopeSections,
    content,
    strings: [],
    warnings: [],
  };
}

function addController(controller: VirtualDevice, { items }: Parts, ids: Map<number, string>): void {
  const kind = controllers[typeOf(controller)];
  if (kind === undefined) return;
  const { key, busNumber = 0 } = controller as VirtualDevice & { readonly busNumber?: number };
  const id = items.length + 1;
  ids.set(key, `${id}`);
  items.push({
    ...item(id, kind.resourceType, `${kind.label} Controller ${busNumber}`),
    address: `${busNumber}`,
    ...(kind.subType === undefined ? {} : { resourceSubType: kind.subType }),
  });
}

interface Around {
  readonly device: readonly VirtualDevice[];
  readonly parts: Parts;
  readonly ids: ReadonlyMap<number, string>;
  /** Files that no device was found for yet. */
  readonly left: Map<string, OvfFile>;
  readonly options: ReadonlySet<ExportOption>;
}

function addDevice(one: VirtualDevice, around: Around): void {
  const { parts, ids, options } = around;
  const type = typeOf(one);
  const label = one.deviceInfo?.label ?? type;
  const id = parts.items.length + 1;
  const parent = one.controllerKey === undefined ? undefined : ids.get(one.controllerKey);
  const on = parent === undefined ? {} : { parent, addressOnParent: `${one.unitNumber ?? 0}` };
  if (type === 'VirtualDisk') {
    const diskId = addDisk(one, around);
    parts.items.push({ ...item(id, 17, label), ...on, hostResources: [`ovf:/disk/${diskId}`] });
  } else if (type === 'VirtualCdrom') {
    parts.items.push({ ...item(id, 15, label), ...on, automaticAllocation: false, required: false });
  } else if (type === 'VirtualFloppy') {
    parts.items.push({ ...item(id, 14, label), automaticAllocation: false, required: false });
  } else if (type in nics) {
    const network = (one.backing as { readonly deviceName?: string } | undefined)?.deviceName ?? 'VM Network';
    const { macAddress: mac } = one as VirtualDevice & { readonly macAddress?: string };
    parts.networks.add(network);
    parts.items.push({
      ...item(id, 10, label),
      resourceSubType: nics[type] ?? '',
      automaticAllocation: true,
      connections: [network],
      ...(mac !== undefined && options.has('mac') ? { address: mac } : {}),
      ...(one.unitNumber === undefined ? {} : { addressOnParent: `${one.unitNumber}` }),
    });
  } else if (!ownDevices.has(type)) parts.skipped.push(label);
}

/** Devices that every machine has without being told. */
const ownDevices = new Set([
  'VirtualPCIController',
  'VirtualPS2Controller',
  'VirtualSIOController',
  'VirtualKeyboard',
  'VirtualPointingDevice',
  'VirtualMachineVMCIDevice',
  'VirtualMachineVideoCard',
]);

function addDisk(disk: VirtualDevice, { device, parts, left }: Around): string {
  const controller = device.find(({ key }) => key === disk.controllerKey);
  const { busNumber = 0 } = (controller ?? {}) as { readonly busNumber?: number };
  const place = `${controller?._typeName}${busNumber}:${disk.unitNumber ?? 0}`;
  const file = left.get(place);
  left.delete(place);
  const id = `vmdisk${parts.disks.length + 1}`;
  const fileId = `file${parts.files.length + 1}`;
  const { capacityInBytes, capacityInKB } = disk as VirtualDevice & {
    readonly capacityInBytes?: number | bigint;
    readonly capacityInKB: number | bigint;
  };
  const bytes = Number(capacityInBytes ?? Number(capacityInKB) * 1024);
  if (file !== undefined)
    parts.files.push({
      id: fileId,
      href: file.path,
      size: Number(file.size),
      ...(file.compressionMethod === 'gzip' ? { compression: 'gzip' } : {}),
      ...(file.chunkSize === undefined ? {} : { chunkSize: Number(file.chunkSize) }),
    });
  parts.disks.push({
    id,
    capacity: { quantity: bytes, unit: 'byte', bytes },
    format: streamFormat,
    ...(file === undefined ? {} : { fileId }),
    ...(file?.populatedSize === undefined ? {} : { populatedSize: Number(file.populatedSize) }),
  });
  return id;
}

function typeOf({ _typeName = '' }: VirtualDevice): string {
  return _typeName;
}

/** `VirtualLsiLogicController0:0` of a lease's key `/7/VirtualLsiLogicController0:0`. */
function placeOf(deviceId: string): string {
  return deviceId.slice(deviceId.lastIndexOf('/') + 1);
}

function item(id: number, resourceType: number, name: string): HardwareItem {
  return { element: 'Item', instanceId: `${id}`, resourceType, elementName: { text: name } };
}
