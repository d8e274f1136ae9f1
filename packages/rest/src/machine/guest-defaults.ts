import type { GuestOsDescriptor, ManagedObjectReference } from '@hypostyle/vim';
import type { CenterView } from '../calls/center-view.ts';

/** What a machine gets where its creator told nothing. */
export interface GuestDefaults {
  readonly memoryMiB: number;
  readonly diskFamily: 'IDE' | 'SCSI' | 'SATA' | 'NVME';
  readonly diskBytes: number;
  readonly scsi: 'BUSLOGIC' | 'LSILOGIC' | 'LSILOGICSAS' | 'PVSCSI';
  readonly ethernet: 'E1000' | 'E1000E' | 'PCNET32' | 'VMXNET' | 'VMXNET2' | 'VMXNET3';
}

/** Where nobody recommends anything. */
export const plainDefaults: GuestDefaults = {
  memoryMiB: 2_048,
  diskFamily: 'SCSI',
  diskBytes: 16 * 2 ** 30,
  scsi: 'PVSCSI',
  ethernet: 'VMXNET3',
};

const scsiModels: Readonly<Record<string, GuestDefaults['scsi']>> = {
  VirtualBusLogicController: 'BUSLOGIC',
  VirtualLsiLogicController: 'LSILOGIC',
  VirtualLsiLogicSASController: 'LSILOGICSAS',
  ParaVirtualSCSIController: 'PVSCSI',
};
const families: Readonly<Record<string, GuestDefaults['diskFamily']>> = {
  VirtualIDEController: 'IDE',
  VirtualAHCIController: 'SATA',
  VirtualNVMEController: 'NVME',
};
const cards: Readonly<Record<string, GuestDefaults['ethernet']>> = {
  VirtualE1000: 'E1000',
  VirtualE1000e: 'E1000E',
  VirtualPCNet32: 'PCNET32',
  VirtualVmxnet2: 'VMXNET2',
  VirtualVmxnet3: 'VMXNET3',
};

/** What the environment recommends for the guest; plain values where it recommends nothing. */
export async function guestDefaults(
  view: CenterView,
  browser: ManagedObjectReference | undefined,
  guestId: string,
): Promise<GuestDefaults> {
  if (browser === undefined) return plainDefaults;
  try {
    const option = await view.invoke('EnvironmentBrowser', browser, 'QueryConfigOption', {});
    const described = option?.guestOSDescriptor.find(({ id }) => id === guestId);
    return described === undefined ? plainDefaults : recommended(described);
  } catch {
    // An environment that cannot be asked recommends nothing.
    return plainDefaults;
  }
}

function recommended(guest: GuestOsDescriptor): GuestDefaults {
  return {
    memoryMiB: guest.recommendedMemMB > 0 ? guest.recommendedMemMB : plainDefaults.memoryMiB,
    diskFamily: families[guest.recommendedDiskController] ?? 'SCSI',
    diskBytes: guest.recommendedDiskSizeMB > 0 ? guest.recommendedDiskSizeMB * 2 ** 20 : plainDefaults.diskBytes,
    scsi: scsiModels[guest.recommendedSCSIController ?? guest.recommendedDiskController] ?? plainDefaults.scsi,
    ethernet: cards[guest.recommendedEthernetCard ?? ''] ?? plainDefaults.ethernet,
  };
}
