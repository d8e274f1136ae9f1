import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { splitPath } from '@hypostyle/services';
import { fault, type RunningTask } from '@hypostyle/vim';
import type { HostCore } from '../../host-core.ts';
import { engineFound } from '../engine/engine-found.ts';
import type { MachineWatch } from '../engine/machine-watch.ts';
import { syncFolder } from '../files/machine-files.ts';
import { heldDisks } from '../record/held-files.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { releasedFiles } from './disk-forest.ts';
import type { MachineSnapshots } from './machine-snapshots.ts';
import { checkReadable, type MergeJournal, mergeDisks } from './merge-disks.ts';
import { refreshMachine } from './refresh-machine.ts';
import { removeFiles } from './remove-files.ts';
import { checkSnapshots, snapshotFault } from './snapshot-faults.ts';
import { readVmsd, writeVmsd } from './snapshot-files.ts';
import { findSnapshot, withDescendants, withoutSnapshots } from './snapshot-list.ts';

export interface RemoveInput {
  readonly id: string;
  /** `all`: every snapshot; `none`: only what is left to be merged. */
  readonly what: { readonly uid: number; readonly withChildren: boolean } | 'all' | 'none';
  readonly consolidate: boolean;
}

interface RemoveJournal {
  /** Snapshots that go, with their own files. */
  readonly uids: readonly number[];
  readonly ownFiles: readonly string[];
  /** Deltas that nothing reads without them; paths of the datastore. */
  readonly released: readonly string[];
  /** Disks that the snapshots kept, wherever they lie. */
  readonly owned: readonly string[];
  readonly merge: MergeJournal | undefined;
}

/**
 * Takes snapshots out of the list, removes what nobody reads any more, and merges what nothing needs to be apart. The
 * disks of the machine, and of all other snapshots, read as before, at every moment.
 */
export async function removeSnapshots(
  core: HostCore,
  watch: MachineWatch,
  task: RunningTask,
  input: RemoveInput,
): Promise<void> {
  const { id } = input;
  if (task.journaled !== undefined) await engineFound(core, task, id);
  const known = core.machines.get({ type: 'VirtualMachine', value: id });
  // A file that was not there when it was last looked for may be there again.
  const machine = heldDisks(known).some(({ problem }) => problem !== undefined)
    ? await refreshMachine(core, id)
    : known;
  checkSnapshots(machine);
  try {
    let plan = task.journaled as RemoveJournal | undefined;
    if (plan === undefined) {
      plan = planRemoval(machine, input);
      await task.journal(plan);
    }
    await takeOut(core, machine, plan);
    if (!input.consolidate) return;
    const { merge: begun, ...rest } = plan;
    await mergeDisks({
      core,
      watch,
      task,
      id,
      owned: new Set(plan.owned),
      begun,
      journal: (merge) => task.journal({ ...rest, merge } satisfies RemoveJournal),
    });
  } catch (error) {
    if (task.signal.aborted && error === task.signal.reason) throw error;
    throw snapshotFault(error, machine);
  } finally {
    await refreshMachine(core, id).catch((error: unknown) => core.onDefect('after snapshots were removed', error));
  }
}

function planRemoval(machine: MachineRecord, { what }: RemoveInput): RemoveJournal {
  const { snapshots } = machine;
  const uids = uidsOf(snapshots, what);
  for (const uid of uids) {
    const entry = findSnapshot(snapshots.entries, uid);
    if (entry?.cloned) throw fault('SnapshotLocked', {}, `Copies stand on the snapshot '${entry.name}'.`);
  }
  const views = new Map([...snapshots.views].filter(([uid]) => !uids.has(uid)));
  const after: MachineSnapshots = { ...snapshots, ...withoutSnapshots(snapshots, uids), views };
  if (uids.size > 0) checkReadable({ disks: machine.disks, snapshots: after });
  const released = releasedFiles(machine, { disks: machine.disks, snapshots: after });
  const ownFiles = snapshots.entries
    .filter(({ uid }) => uids.has(uid))
    .flatMap(({ fileName, memoryFile }) => [fileName, ...(memoryFile === undefined ? [] : [memoryFile])]);
  const owned = [...uids].flatMap((uid) =>
    [...(snapshots.views.get(uid)?.disks.values() ?? [])].flatMap(({ chain }) => chain[0]?.[0] ?? []),
  );
  return { uids: [...uids], ownFiles, released, owned, merge: undefined };
}

function uidsOf({ entries }: MachineSnapshots, what: RemoveInput['what']): Set<number> {
  if (what === 'all') return new Set(entries.map(({ uid }) => uid));
  if (what === 'none') return new Set();
  if (findSnapshot(entries, what.uid) === undefined) throw fault('NotFound', {}, 'The snapshot is gone.');
  return what.withChildren ? withDescendants(entries, what.uid) : new Set([what.uid]);
}

/** The list is the moment: what is not in it any more is not needed by it. */
async function takeOut(core: HostCore, machine: MachineRecord, plan: RemoveJournal): Promise<void> {
  if (plan.uids.length === 0) return;
  const { datastore, vmxPath, id } = machine;
  const { list } = await readVmsd(datastore, vmxPath);
  const gone = new Set(plan.uids);
  if (list.entries.some(({ uid }) => gone.has(uid))) await writeVmsd(datastore, vmxPath, withoutSnapshots(list, gone));
  const now = await refreshMachine(core, id);
  const directory = datastore.absolute(splitPath(vmxPath).folder);
  for (const name of plan.ownFiles) await rm(join(directory, name), { force: true });
  await removeFiles(core, now, plan.released);
  await syncFolder(directory);
}
