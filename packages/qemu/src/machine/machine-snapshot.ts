import { rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { HypervisorError, type MachineSnapshot, type MachineSnapshotTaken } from '@hypostyle/contracts';
import { hasOverlays, openOverlays } from '../blocks/snapshot-disks.ts';
import { messageOf, qemuErrors } from '../errors.ts';
import { readAddedMemory } from '../hotplug/engine-hardware.ts';
import type { Spawner } from '../process/spawner.ts';
import { isObject } from '../qmp/qmp-message.ts';
import { endDrain, readDrainError, readJson, syncFolder, waitUntilDrained } from './drained-image.ts';
import type { Engine } from './engine.ts';
import { encodeMemoryImageHeader } from './memory-image.ts';
import { isMigrating, migrationBlocked, migrationSettled, prepareMigration } from './migration.ts';
import { exists } from './run-files.ts';

/** What an owner is about to do, written down before the guest stands still. */
interface Saving {
  readonly path: string;
  readonly partialPath: string;
  readonly background: boolean;
}

/**
 * `RunningMachine.snapshotMachine`: the guest stands still, the disks get their overlays, and its memory of that moment
 * is sent to a process of its own while the guest runs on (QEMU's background snapshot). Where the kernel or the memory
 * cannot do that, the guest stands still until all was sent.
 */
export async function snapshotMachine(options: {
  readonly engine: Engine;
  readonly spawner: Spawner;
  readonly snapshot: MachineSnapshot;
}): Promise<MachineSnapshotTaken> {
  const { engine, snapshot } = options;
  const { run } = engine;
  const { path, overlays, onProgress } = snapshot;
  const begun = await readSaving(engine);
  if (await exists(path)) {
    await rm(run.saving, { force: true });
    return { background: begun?.background ?? true };
  }
  if (begun?.path === path) return await finish(engine, begun, onProgress);
  if (overlays.length > 0 && (await hasOverlays(engine, overlays)))
    throw qemuErrors.memoryFailed('The memory of the moment at which the disks were taken is lost.');
  const saving = await begin(options);
  return await finish(engine, saving, onProgress);
}

/** After an adoption: a guest that stands still for a snapshot that does not come goes on, and its memory is given up. */
export async function adoptSaving(engine: Engine): Promise<void> {
  const saving = await readSaving(engine);
  if (saving === undefined || (await isMigrating(engine))) return;
  const begun = (await exists(saving.path)) || ((await sizeOf(saving.partialPath)) > 0 && (await isSent(engine)));
  if (begun) await goOn(engine);
  else await giveUp(engine, saving);
}

async function begin({ engine, spawner, snapshot }: Parameters<typeof snapshotMachine>[0]): Promise<Saving> {
  const { run } = engine;
  const { path, overlays } = snapshot;
  const refused = (await migrationBlocked(engine)) ?? (await standsStill(engine));
  if (refused !== undefined) throw qemuErrors.blockFailed(`No snapshot was made: ${refused}.`);
  const partialPath = `${path}.partial`;
  await endDrain(run);
  await rm(partialPath, { force: true });
  const layers = await openOverlays(engine, overlays);
  let saving: Saving | undefined;
  let taken = false;
  try {
    const background = await canRunMeanwhile(engine);
    const addedMemory = await readAddedMemory(engine);
    saving = { path, partialPath, background };
    await writeFile(run.saving, JSON.stringify(saving), { mode: 0o600 });
    await spawner.drain({
      socketPath: run.migration,
      path: partialPath,
      header: encodeMemoryImageHeader({ ...engine.identity, addedMemory }).toString('base64'),
      markerPath: run.drained,
    });
    await engine.execute('stop');
    await layers.put();
    taken = true;
    await engine.execute('migrate', { uri: `unix:${run.migration}` });
    return saving;
  } catch (error) {
    if (!taken) await layers.drop();
    await giveUp(engine, { path, partialPath });
    if (error instanceof HypervisorError && error.code === 'not-running') throw error;
    if (taken) throw qemuErrors.memoryFailed(`The memory was not kept: ${messageOf(error)}`, error);
    throw qemuErrors.blockFailed(`No snapshot was made: ${messageOf(error)}`, error);
  }
}

async function finish(
  engine: Engine,
  saving: Saving,
  onProgress: MachineSnapshot['onProgress'],
): Promise<MachineSnapshotTaken> {
  const { run } = engine;
  try {
    const failure = await migrationSettled(engine, onProgress);
    if (failure !== undefined) throw new Error(failure);
    await goOn(engine);
    await waitUntilDrained(run.drained);
    await rename(saving.partialPath, saving.path);
    await syncFolder(dirname(saving.path));
    await rm(run.saving, { force: true });
    await prepareMigration(engine).catch(() => {});
    return { background: saving.background };
  } catch (error) {
    const reason = (await readDrainError(run.drained)) ?? messageOf(error);
    await giveUp(engine, saving);
    if (error instanceof HypervisorError && error.code === 'not-running') throw error;
    throw qemuErrors.memoryFailed(`The memory was not kept: ${reason}`, error);
  }
}

/** The guest goes on, and nothing of its memory stays. Asks for nothing that an engine which is gone must answer. */
async function giveUp(engine: Engine, { partialPath }: Pick<Saving, 'path' | 'partialPath'>): Promise<void> {
  const { run } = engine;
  if (!engine.isGone) {
    await engine.execute('migrate_cancel').catch(() => {});
    await migrationSettled(engine).catch(() => {});
    // From now on the guest may write: whoever comes after a kill must not take this memory for that of the disks.
    await rm(partialPath, { force: true }).catch(() => {});
    await goOn(engine).catch(() => {});
    await prepareMigration(engine).catch(() => {});
  }
  await endDrain(run).catch(() => {});
  await rm(partialPath, { force: true }).catch(() => {});
  await rm(run.saving, { force: true });
}

async function goOn(engine: Engine): Promise<void> {
  const status = await runState(engine);
  // One that stands still for a disk is let go by whoever sees to the disk.
  if (status === 'paused' || status === 'postmigrate' || status === 'finish-migrate') await engine.execute('cont');
}

/** Turns on what lets the guest run while its memory is sent. False: this kernel, or this memory, does not take it. */
async function canRunMeanwhile(engine: Engine): Promise<boolean> {
  try {
    await prepareMigration(engine, { background: true });
    return true;
  } catch {
    await prepareMigration(engine);
    return false;
  }
}

/** Why the guest does not run; undefined where it does. */
async function standsStill(engine: Engine): Promise<string | undefined> {
  const status = await runState(engine);
  return status === 'running' ? undefined : `the machine stands still (${status})`;
}

async function runState(engine: Engine): Promise<string> {
  const answer = await engine.execute('query-status');
  return isObject(answer) && typeof answer.status === 'string' ? answer.status : 'unknown';
}

/** Whether the last transfer of memory came to its end. */
async function isSent(engine: Engine): Promise<boolean> {
  const answer = await engine.execute('query-migrate');
  return isObject(answer) && answer.status === 'completed';
}

async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => undefined))?.size ?? 0;
}

async function readSaving({ run }: Engine): Promise<Saving | undefined> {
  const value = await readJson(run.saving);
  if (!isObject(value) || typeof value.path !== 'string' || typeof value.partialPath !== 'string') return undefined;
  return { path: value.path, partialPath: value.partialPath, background: value.background === true };
}
