/** CIM_ResourceAllocationSettingData.ResourceType (DSP1041 and CIM schema). */
export const resourceType = {
  other: 1,
  processor: 3,
  memory: 4,
  ideController: 5,
  scsiController: 6,
  ethernet: 10,
  otherNetwork: 11,
  floppy: 14,
  cdrom: 15,
  dvd: 16,
  disk: 17,
  otherStorage: 20,
  serial: 21,
  parallel: 22,
  usb: 23,
  graphics: 24,
  storageExtent: 31,
  sound: 35,
} as const;

export type ControllerModel = 'ide' | 'ahci' | 'buslogic' | 'lsilogic' | 'lsilogicsas' | 'pvscsi' | 'nvme';
export type NicModel = 'pcnet32' | 'vmxnet' | 'vmxnet2' | 'vmxnet3' | 'e1000' | 'e1000e' | 'virtio';

/** Names in ResourceSubType, lower-case, to SCSI models; `LsiLogicSAS` is written by several tools. */
const scsiModels: Readonly<Record<string, ControllerModel>> = {
  buslogic: 'buslogic',
  lsilogic: 'lsilogic',
  lsilogicsas: 'lsilogicsas',
  virtualscsi: 'pvscsi',
  pvscsi: 'pvscsi',
  'virtio-scsi': 'pvscsi',
};

const otherStorageModels: Readonly<Record<string, ControllerModel>> = {
  ahci: 'ahci',
  'vmware.sata.ahci': 'ahci',
  sata: 'ahci',
  'vmware.nvme.controller': 'nvme',
  nvme: 'nvme',
};

/** `Flexible` is PCNet32 until the guest's tools switch it over. */
const nicModels: Readonly<Record<string, NicModel>> = {
  pcnet32: 'pcnet32',
  flexible: 'pcnet32',
  vmxnet: 'vmxnet',
  vmxnet2: 'vmxnet2',
  enhancedvmxnet: 'vmxnet2',
  vmxnet3: 'vmxnet3',
  e1000: 'e1000',
  e1000e: 'e1000e',
  virtio: 'virtio',
  'virtio-net': 'virtio',
};

/** A ResourceSubType names alternatives, best first (DSP0243 8.3): the first that is known, if any is. */
function firstKnown<Model>(subType: string | undefined, models: Readonly<Record<string, Model>>): Model | undefined {
  for (const name of subTypes(subType)) if (Object.hasOwn(models, name)) return models[name];
  return undefined;
}

export function subTypes(subType: string | undefined): string[] {
  return (subType ?? '')
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((name) => name !== '');
}

/** Without a subtype SCSI is LSI Logic, the default of VMware's tools. */
export function scsiModel(subType: string | undefined): ControllerModel | undefined {
  return subTypes(subType).length === 0 ? 'lsilogic' : firstKnown(subType, scsiModels);
}

export function otherStorageModel(subType: string | undefined): ControllerModel | undefined {
  return firstKnown(subType, otherStorageModels);
}

/** Without a subtype a NIC is what every guest of its time had a driver for. */
export function nicModel(subType: string | undefined): NicModel | undefined {
  return subTypes(subType).length === 0 ? 'pcnet32' : firstKnown(subType, nicModels);
}

/** Values that CIM assigns (2.19: 1 to 33; 34 is the TPM of later ones). */
export const standardResourceTypes: ReadonlySet<number> = new Set(Array.from({ length: 34 }, (_, index) => index + 1));

type ParentTest = (parent: { readonly resourceType: number; readonly resourceSubType?: string }) => boolean;

const holdsNothing: ReadonlySet<number> = new Set([
  resourceType.processor,
  resourceType.memory,
  resourceType.ethernet,
  resourceType.disk,
]);

/** What an item may be on, where that is certain; absent where anything may hold it. */
export function parentKinds(item: {
  readonly resourceType: number;
  readonly resourceSubType?: string;
}): ParentTest | undefined {
  if (subTypes(item.resourceSubType)[0] === 'vmware.nvdimm.device') {
    return (parent) => subTypes(parent.resourceSubType)[0] === 'vmware.nvdimm.controller';
  }
  // CIM has many buses, and vendors have their own: only what surely is none is refused.
  if (item.resourceType === resourceType.disk) return (parent) => !holdsNothing.has(parent.resourceType);
  return undefined;
}
