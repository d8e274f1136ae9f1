import { type DiskChain, faults } from '@hypostyle/services';
import { fault, type ManagedObjectReference } from '@hypostyle/vim';
import type { Datastore } from '../datastore/datastore.ts';
import type { HostCore } from '../host-core.ts';
import { claimOf } from '../machine/record/claims.ts';
import { asHeld, heldFiles, heldFilesOn } from '../machine/record/held-files.ts';
import type { MachineRecord } from '../machine/record/machine-record.ts';

type Core = Pick<HostCore, 'machines' | 'claims' | 'diskChildren'>;

/** A disk of a datastore, and the files that the work on it is about. Paths in the datastore. */
export interface LockedDisk {
  readonly datastore: Datastore;
  readonly path: string;
  readonly files: readonly string[];
}

/**
 * What work does with a disk. `read`: its bytes stay as they are. `arrange`: room is taken or given back, no byte
 * changes. `change`: bytes, capacity or name change, or it goes.
 */
export type DiskUse = 'read' | 'arrange' | 'change';

/** Paths in the datastore of the files of a disk: its own, or with those of all that it lies on where it is read. */
export function filesOfChain(datastore: Datastore, { links }: DiskChain, use: DiskUse): string[] {
  const relative = (path: string) => datastore.pathOf(path);
  return links
    .slice(0, use === 'read' ? undefined : 1)
    .flatMap(({ descriptorPath, extentPaths }) => [descriptorPath, ...extentPaths].map(relative));
}

/** Machines that have any of the files, in a disk or in a snapshot. */
export function holdersOf(core: Pick<Core, 'machines'>, { datastore, files }: LockedDisk): MachineRecord[] {
  return [...core.machines.all()].filter((machine) => {
    const held = heldFilesOn(machine, datastore);
    return files.some((file) => held.has(file));
  });
}

/**
 * Throws FileLocked where a machine, a snapshot or another disk needs the disk to stay as it is, TaskInProgress where
 * its machine is being worked on.
 */
export async function checkDisk(core: Core, disk: LockedDisk, use: DiskUse): Promise<void> {
  checkHolders(core, disk, use);
  if (use !== 'change') return;
  const { datastore, path, files } = disk;
  const folder = path.slice(0, Math.max(0, path.lastIndexOf('/')));
  for (const held of await core.diskChildren.held(datastore, [folder])) {
    const needed = heldFiles(held);
    if (files.some((file) => needed.has(file))) throw faults.locked(datastore.format(path));
  }
}

/** Has disks to itself, or reads them, until the answer is called; throws as `checkDisk` does, and at once. */
export function lockDisks(
  core: Core,
  task: ManagedObjectReference<'Task'>,
  disks: readonly { readonly disk: LockedDisk; readonly use: DiskUse }[],
): () => void {
  const keys: string[] = [];
  for (const { disk, use } of disks) {
    const { datastore, path } = disk;
    const place = claimOf.place(datastore.uuid, path);
    checkUnclaimed(core, disk, use);
    keys.push(use === 'read' ? claimOf.diskReader(datastore.uuid, path, task.value) : place);
    for (const machine of checkHolders(core, disk, use)) {
      // A machine goes on with its own work where only what its snapshots keep is read.
      if (use !== 'read' || isTop(asHeld(machine, datastore), disk.files))
        keys.push(claimOf.copying(machine.id, task.value));
      keys.push(claimOf.chains(machine.id, task.value));
    }
  }
  return core.claims.take([...new Set(keys)], task, () =>
    fault('TaskInProgress', { task }, 'The disk is being worked on.'),
  );
}

/** Throws FileLocked where other work has the disk, or reads it and this is to write. */
function checkUnclaimed(
  { claims }: Pick<Core, 'claims'>,
  { datastore, path }: Pick<LockedDisk, 'datastore' | 'path'>,
  use: DiskUse,
): void {
  const taken = claims.holder(claimOf.place(datastore.uuid, path)) !== undefined;
  const read = use !== 'read' && claims.isWithin(claimOf.diskReader(datastore.uuid, path));
  if (taken || read) throw faults.locked(datastore.format(path));
}

/** Throws FileLocked where a task has a disk that the machine is about to write. */
export function checkDisksUnclaimed(core: Pick<Core, 'claims'>, { datastore, disks }: MachineRecord): void {
  for (const { chain } of disks.values())
    for (const [path] of chain) if (path !== undefined) checkUnclaimed(core, datastore.locate(path), 'read');
  for (const { chain } of disks.values()) {
    const top = chain[0]?.[0];
    if (top !== undefined) checkUnclaimed(core, datastore.locate(top), 'change');
  }
}

function checkHolders(core: Pick<Core, 'machines' | 'claims'>, disk: LockedDisk, use: DiskUse): MachineRecord[] {
  const { datastore, path } = disk;
  const holders = holdersOf(core, disk);
  for (const machine of holders) {
    const running = machine.powerState === 'poweredOn';
    const held = asHeld(machine, datastore);
    const written = running && isTop(held, disk.files);
    if (written || (use !== 'read' && machine.powerState !== 'poweredOff')) throw faults.locked(datastore.format(path));
    if (use === 'change' && isBelow(held, disk.files)) throw faults.locked(datastore.format(path));
    const busy = core.claims.holder(claimOf.machine(machine.id)) ?? core.claims.holder(claimOf.merging(machine.id));
    if (busy !== undefined)
      throw fault(
        'TaskInProgress',
        { task: busy },
        `'${machine.configuration.name}', which has the disk, is being worked on; wait until that has ended.`,
      );
  }
  return holders;
}

/** Whether the machine's engine writes any of the files, or will: those of the top of a disk. */
function isTop({ disks }: Pick<MachineRecord, 'disks'>, files: readonly string[]): boolean {
  return [...disks.values()].some(({ chain: [top = []] }) => top.some((file) => files.includes(file)));
}

/** Whether a snapshot, or a disk above, has any of the files. */
function isBelow({ disks, snapshots }: Pick<MachineRecord, 'disks' | 'snapshots'>, files: readonly string[]): boolean {
  const below = [...disks.values()].flatMap(({ chain }) => chain.slice(1));
  const kept = [...snapshots.views.values()].flatMap((view) => [...view.disks.values()].flatMap(({ chain }) => chain));
  return [...below, ...kept].some((link) => link.some((file) => files.includes(file)));
}
