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
