import type { DiskChain } from '@hypostyle/services';
import { fault, type VimFault } from '@hypostyle/vim';
import type { Controller, Disk, MachineConfiguration } from './machine-configuration.ts';

/** VirtualSCSISharing, by what a `.vmx` has for it. */
const sharings = { none: 'noSharing', virtual: 'virtualSharing', physical: 'physicalSharing' } as const;

/** How the disks of a SCSI bus are shared, in the model's word. */
export function sharedBusWord({ sharedBus }: Pick<Controller, 'sharedBus'>): (typeof sharings)[keyof typeof sharings] {
  return sharings[sharedBus ?? 'none'];
}

/** Undefined for a word that there is not. */
export function sharedBusOf(word: string): Pick<Controller, 'sharedBus'> | undefined {
  if (word === sharings.none) return {};
  if (word === sharings.virtual) return { sharedBus: 'virtual' };
  if (word === sharings.physical) return { sharedBus: 'physical' };
  return undefined;
}

type Shares = Pick<MachineConfiguration, 'controllers'>;

/** Whether several machines may run with a disk at a time: by its own word, or by that of its SCSI bus. */
export function isShared({ controllers }: Shares, disk: Pick<Disk, 'multiWriter' | 'controllerKey'>): boolean {
  if (disk.multiWriter === true) return true;
  return controllers.find(({ key }) => key === disk.controllerKey)?.sharedBus !== undefined;
}

/** Why a disk cannot be written by several machines, in words; undefined where it can. */
export function unshareable(
  { mode }: Pick<Disk, 'mode'>,
  { links, thin }: Pick<DiskChain, 'links' | 'thin'>,
): string | undefined {
  if (mode === 'independent_nonpersistent') return 'what is written to it is dropped at power-off';
  if (links.length > 1) return 'it has a snapshot, or lies on another disk';
  if (links[0].kind !== 'flat') return 'it is sparse';
  if (thin) return 'it is thin; inflate it, or make one that is zeroed (eagerlyScrub)';
  return undefined;
}

/** A disk that is to be shared, and is not of the kind that can be: eager-zeroed thick, and without snapshots. */
export function unshareableFault(disk: string, reason: string, index = 0): VimFault {
  return fault(
    'InvalidDeviceBacking',
    { deviceIndex: index, property: 'virtualDeviceSpec.device.backing.sharing' },
    `${disk} cannot be written by several machines: ${reason}.`,
  );
}

/** Which of a machine's disks others may write, and whose word it is; undefined where there is none. */
export function sharedDiskFault(
  { controllers, disks }: Pick<MachineConfiguration, 'controllers' | 'disks'>,
  what: string,
  concerns: (disk: Disk) => boolean = () => true,
): VimFault | undefined {
  const index = disks.findIndex((disk) => isShared({ controllers }, disk) && concerns(disk));
  const disk = disks[index];
  if (disk === undefined) return undefined;
  const device = `Hard disk ${index + 1}`;
  return disk.multiWriter === true
    ? fault('MultiWriterNotSupported', { device }, `${device} is written by several machines: ${what}.`)
    : fault('SharedBusControllerNotSupported', { device }, `${device} is on a shared SCSI bus: ${what}.`);
}
