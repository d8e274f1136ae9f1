import { rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { messageOf, qemuErrors } from '../errors.ts';
import { readAddedMemory } from '../hotplug/engine-hardware.ts';
import type { Spawner } from '../process/spawner.ts';
import { isObject } from '../qmp/qmp-message.ts';
import { readDrainError, readJson, syncFolder, waitUntilDrained } from './drained-image.ts';
import type { Engine } from './engine.ts';
import { encodeMemoryImageHeader } from './memory-image.ts';
import { migrationBlocked, migrationSettled, prepareMigration } from './migration.ts';

/**
 * Writes the machine's memory to `path`, durably; the engine then stands still, to be ended by the caller.
 * On failure the machine runs on and `suspend-failed` is thrown. What is under way is written down in the run
 * directory, so that a later owner finishes it with `finishSuspend`.
 */
export async function suspendTo(options: {
  readonly engine: Engine;
  readonly spawner: Spawner;
  readonly path: string;
}): Promise<void> {
  const { engine, spawner, path } = options;
  const { run } = engine;
  const partialPath = `${path}.partial`;
  const blocked = await migrationBlocked(engine);
  if (blocked !== undefined) throw qemuErrors.suspendFailed(`The machine runs on: ${blocked}.`);
  try {
    // What an earlier owner began, and nobody finished, is for nothing.
    const former = (await readPlan(run.suspending))?.partialPath ?? partialPath;
    await Promise.all([run.drained, run.migration, former, partialPath].map((file) => rm(file, { force: true })));
    await writeFile(run.suspending, JSON.stringify({ path, partialPath }), { mode: 0o600 });
    const addedMemory = await readAddedMemory(engine);
    await spawner.drain({
      socketPath: run.migration,
      path: partialPath,
      header: encodeMemoryImageHeader({ ...engine.identity, addedMemory }).toString('base64'),
      markerPath: run.drained,
    });
    await prepareMigration(engine);
    await engine.execute('stop');
    await engine.execute('migrate', { uri: `unix:${run.migration}` });
  } catch (error) {
    await runOn(engine, partialPath);
    throw qemuErrors.suspendFailed(`The machine runs on: ${messageOf(error)}`, error);
  }
  await finishSuspend(engine);
}

/** Waits for a suspend under way and makes its file appear. False: there is none. Rejects as `suspendTo`. */
export async function finishSuspend(engine: Engine): Promise<boolean> {
  const plan = await readPlan(engine.run.suspending);
  if (!plan) return false;
  try {
    const failure = await migrationSettled(engine);
    if (failure !== undefined) throw new Error(failure);
    await waitUntilDrained(engine.run.drained);
    await rename(plan.partialPath, plan.path);
    await syncFolder(dirname(plan.path));
    return true;
  } catch (error) {
    const reason = (await readDrainError(engine.run.drained)) ?? messageOf(error);
    await runOn(engine, plan.partialPath);
    throw qemuErrors.suspendFailed(`The machine runs on: ${reason}`, error);
  }
}

async function runOn(engine: Engine, partialPath: string): Promise<void> {
  await engine.execute('migrate_cancel').catch(() => {});
  await migrationSettled(engine).catch(() => {});
  await engine.execute('cont').catch(() => {});
  await rm(engine.run.suspending, { force: true });
  await rm(partialPath, { force: true }).catch(() => {});
}

async function readPlan(path: string): Promise<{ path: string; partialPath: string } | undefined> {
  const value = await readJson(path);
  if (!isObject(value) || typeof value.path !== 'string' || typeof value.partialPath !== 'string') return undefined;
  return { path: value.path, partialPath: value.partialPath };
}
