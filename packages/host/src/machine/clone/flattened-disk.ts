import { type DiskAllocation, splitPath } from '@hypostyle/services';
import type { MachineRecord } from '../record/machine-record.ts';

/** A disk that gets bytes of its own on the way: all of its chain in one flat file. */
export interface FlattenedDisk {
  /** Device key. */
  readonly key: number;
  readonly fileName: string;
  readonly allocation: DiskAllocation;
}

/** `web-000003.vmdk` is no name for a disk that stands on none. */
export function newNameOf(machine: MachineRecord, disk: FlattenedDisk): string {
  const plain = disk.fileName.replace(/-\d{6}\.vmdk$/i, '.vmdk');
  const others = machine.configuration.disks.filter(({ key }) => key !== disk.key);
  const taken = others.some(({ fileName }) => splitPath(fileName).name.replace(/-\d{6}\.vmdk$/i, '.vmdk') === plain);
  return taken ? disk.fileName : plain;
}
