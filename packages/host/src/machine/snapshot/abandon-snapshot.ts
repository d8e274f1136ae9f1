import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { splitPath } from '@hypostyle/services';
import { fault } from '@hypostyle/vim';
import { claimOf } from '../record/claims.ts';
import { type CreateJournal, type CreateWork, memoryFiles } from './create-work.ts';
import { mergeDisks } from './merge-disks.ts';
import { refreshMachine } from './refresh-machine.ts';
import { overlaysOf } from './take-disks.ts';

/**
 * Takes back a snapshot whose memory could not be kept, though its disks were taken: what the machine wrote since is
 * merged into what it was before. Always throws why, SnapshotFault.
 */
export async function abandonSnapshot(work: CreateWork, plan: CreateJournal, reason: string): Promise<never> {
  const { core, task, machine } = work;
  const { datastore, vmxPath, id } = machine;
  const { merge: begun, ...rest } = { ...plan, failed: reason };
  await task.journal({ ...rest, merge: begun } satisfies CreateJournal);
  const folder = datastore.absolute(splitPath(vmxPath).folder);
  for (const name of [plan.entry.fileName, ...memoryFiles(plan.entry)]) await rm(join(folder, name), { force: true });
  await refreshMachine(core, id);
  if (begun === undefined) await tellGenerations(work, plan);
  let left = '';
  try {
    await takeBackDisks(work, plan, (merge) => task.journal({ ...rest, merge } satisfies CreateJournal));
  } catch (error) {
    core.onDefect('disks of a snapshot that was not taken', error);
    left = ' Its disks are to be consolidated.';
  }
  await refreshMachine(core, id);
  throw fault('SnapshotFault', {}, `No snapshot was taken: ${reason}${left}`);
}

/** The engine keeps what changes in the generations that began with the deltas: they go on being told of. */
async function tellGenerations({ core, machine }: CreateWork, plan: CreateJournal): Promise<void> {
  const engine = core.machines.engine(machine.id);
  if (plan.generations.length === 0 || engine === undefined || engine.state === 'stopped') return;
  // Of an engine that does not say it, every epoch ends: nothing is left out that way.
  const begun = await engine.hasOverlays(overlaysOf(machine, plan)).catch(() => false);
  if (begun) await core.changes.began(machine.id, plan.entry.uid, plan.generations);
  else await core.changes.end(machine.id);
}

async function takeBackDisks(
  { core, watch, task, machine }: CreateWork,
  plan: CreateJournal,
  journal: Parameters<typeof mergeDisks>[0]['journal'],
): Promise<void> {
  const { datastore, vmxPath, id } = machine;
  const busy = () => fault('TaskInProgress', { task: task.ref }, 'Disks of the machine are being merged.');
  const reader = core.claims.holderWithin(claimOf.chains(id));
  if (reader !== undefined) throw fault('TaskInProgress', { task: reader }, 'A disk of the machine is being read.');
  const release = core.claims.take([claimOf.merging(id)], task.ref, busy);
  try {
    const owned = plan.deltas.flatMap(({ over }) => datastore.relative(vmxPath, over) ?? []);
    await mergeDisks({ core, watch, task, id, owned: new Set(owned), begun: plan.merge, journal });
  } finally {
    release();
  }
}
