import { splitPath } from '@hypostyle/services';
import type { Datastore } from '../../datastore/datastore.ts';
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

type Placed = Held & Pick<MachineRecord, 'datastore'>;

/** As `heldDisks`, by the paths that machines of a datastore have. */
export function heldDisksOn(machine: Placed, datastore: Datastore): DiskFacts[] {
  return heldDisks(asHeld(machine, datastore));
}

/** A machine's disks and snapshots by the paths that machines of a datastore have. */
export function asHeld(machine: Placed, datastore: Datastore): Held {
  if (machine.datastore === datastore) return machine;
  const path = (file: string) => datastore.pathFrom(machine.datastore, file);
  const placed = (disks: ReadonlyMap<number, DiskFacts>) =>
    new Map(
      [...disks].map(([key, facts]) => [key, { ...facts, chain: facts.chain.map((link) => link.map(path)) }] as const),
    );
  const views = [...machine.snapshots.views].map(
    ([uid, view]) => [uid, { ...view, disks: placed(view.disks) }] as const,
  );
  return { disks: placed(machine.disks), snapshots: { ...machine.snapshots, views: new Map(views) } };
}

/** As `heldFiles`, by the paths that machines of a datastore have. */
export function heldFilesOn(machine: Placed, datastore: Datastore): Set<string> {
  const files = heldFiles(machine);
  if (machine.datastore === datastore) return files;
  return new Set([...files].map((file) => datastore.pathFrom(machine.datastore, file)));
}

/** Datastores beside its own on which a machine has disks, or its snapshots. */
export function otherDatastores(machine: Placed): Set<Datastore> {
  const found = new Set<Datastore>();
  for (const file of heldFiles(machine)) found.add(machine.datastore.locate(file).datastore);
  found.delete(machine.datastore);
  return found;
}

/** Folders of its datastore in which a machine's disks, and those of its snapshots, lie. */
export function foldersOfDisks(machine: Held): Set<string> {
  return new Set([...heldFiles(machine)].map((file) => splitPath(file).folder));
}
