import { once } from 'node:events';
import { open, readFile, rm } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { isObject } from '../qmp/qmp-message.ts';
import type { RunDirectory } from './run-directory.ts';

/** How long the memory image may take to be on disk after the engine has sent the last byte, milliseconds. */
const syncDeadlineMs = 300_000;

/** Waits until the spawner process has a memory image on disk. Throws its reason when it has not. */
export async function waitUntilDrained(markerPath: string): Promise<void> {
  const deadline = performance.now() + syncDeadlineMs;
  for (let pause = 2; ; pause = Math.min(pause * 2, 200)) {
    const marker = await readJson(markerPath);
    if (isObject(marker)) {
      if (typeof marker.error === 'string') throw new Error(marker.error);
      return;
    }
    if (performance.now() > deadline) throw new Error('the memory image did not reach the disk in time');
    await sleep(pause);
  }
}

/** Why the spawner process has no memory image on disk; undefined where it said nothing of that. */
export async function readDrainError(markerPath: string): Promise<string | undefined> {
  const marker = await readJson(markerPath);
  return isObject(marker) && typeof marker.error === 'string' ? marker.error : undefined;
}

/** Ends a drain that still waits for its engine, so that it says nothing of a later one. */
export async function endDrain(run: RunDirectory): Promise<void> {
  const socket = createConnection(run.migration);
  const connected = await once(socket, 'connect').then(
    () => true,
    () => false,
  );
  socket.destroy();
  if (connected) await waitUntilDrained(run.drained).catch(() => {});
  await Promise.all([run.migration, run.drained].map((path) => rm(path, { force: true })));
}

/** Undefined where there is no such file, or no whole one. */
export async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as unknown;
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Makes what was renamed in a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
