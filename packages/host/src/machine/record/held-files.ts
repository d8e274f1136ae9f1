import { splitPath } from '@hypostyle/services';
import type { DiskFacts, MachineRecord } from './machine-record.ts';

type Held = Pick<MachineRecord, 'disks' | 'snapshots'>;

/** The disks of a machine as they are, and as each of its snapshots has them. */
export function heldDisks({ disks, snapshots }: Held): DiskFacts[] {
  return [...disks.values(), ...[...snapshots.views.values()].flatMap((view) => [...view.disks.values()])];
}

/** Paths of all files that a machine's disks need, with those that its snapshots keep. */
export function heldFiles(machine: Held): Set<string> {
  const files = new Set<string>();
  for (const { chain } of heldDisks(machine)) for (const link of chain) for (const file of link) files.add(file);
  return files;
}

/** Folders of its datastore in which a machine's disks, and those of its snapshots, lie. */
export function foldersOfDisks(machine: Held): Set<string> {
  return new Set([...heldFiles(machine)].map((file) => splitPath(file).folder));
}
