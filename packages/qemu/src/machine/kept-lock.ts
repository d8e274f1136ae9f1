import { createHash } from 'node:crypto';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, qemuErrors } from '../errors.ts';
import type { Spawner } from '../process/spawner.ts';
import { isObject } from '../qmp/qmp-message.ts';
import type { Engine } from './engine.ts';
import type { RunDirectory } from './run-directory.ts';

/** How long the process may take to end once nobody writes to its pipe, seconds. */
const freedWithin = 5;

/**
 * Has a lock held for an engine that was started with another one, for as long as the engine lives: by a process that
 * reads a pipe which the engine has open. Made again, it changes nothing. Rejects with `locked`.
 */
export async function keepLock(engine: Engine, spawner: Spawner, lockPath: string): Promise<void> {
  const name = nameOf(lockPath);
  const pipePath = engine.run.lockPipe(name);
  const known = (await keptLocks(engine)).includes(name);
  if (!known) {
    await rm(pipePath, { force: true });
    await writeFile(`${pipePath}.json`, JSON.stringify(lockPath), { mode: 0o600 });
    await spawner.run(['mkfifo', '-m', '600', pipePath]);
    await engine.execute('chardev-add', { id: name, backend: { type: 'pipe', data: { device: pipePath } } });
  }
  const answer = await spawner.keep({ lockPath, pipePath }).catch((error: unknown) => messageOf(error));
  // By the process of an earlier request.
  if (answer === 'held' || (known && answer === 'locked')) return;
  await drop(engine, name);
  throw answer === 'locked' ? qemuErrors.locked(lockPath) : qemuErrors.blockFailed(`${lockPath}: ${answer}`);
}

/** The lock is free when it resolves. */
export async function letGoOfLock(engine: Engine, spawner: Spawner, lockPath: string): Promise<void> {
  const name = nameOf(lockPath);
  if (!(await keptLocks(engine)).includes(name)) return;
  await engine.execute('chardev-remove', { id: name });
  await untilFree(spawner, lockPath);
  await drop(engine, name);
}

/** Lets go of all but one of the locks that are held for an engine. */
export async function keepOnlyLock(engine: Engine, lockPath: string): Promise<void> {
  for (const name of await keptLocks(engine)) if (name !== nameOf(lockPath)) await drop(engine, name);
}

/** Once an engine is gone: its kept locks are free when it resolves. */
export async function locksFreed(run: RunDirectory, spawner: Spawner): Promise<void> {
  const names = await readdir(run.path).catch(() => []);
  for (const name of names) {
    if (!/^lock[0-9a-f]{8}-/.test(name) || !name.endsWith(`-${run.token}.json`)) continue;
    const lockPath: unknown = JSON.parse(await readFile(join(run.path, name), 'utf8'));
    if (typeof lockPath === 'string') await untilFree(spawner, lockPath);
  }
}

/** A process that ends lets go of its pipe and of its lock one after the other. */
async function untilFree(spawner: Spawner, lockPath: string): Promise<void> {
  // Where the folder is gone, so is the lock.
  await spawner.run(['flock', '--timeout', `${freedWithin}`, lockPath, 'true']).catch(() => {});
}

async function drop(engine: Engine, name: string): Promise<void> {
  await engine.execute('chardev-remove', { id: name }).catch(() => {});
  const pipePath = engine.run.lockPipe(name);
  for (const path of [pipePath, `${pipePath}.json`]) await rm(path, { force: true });
}

async function keptLocks(engine: Engine): Promise<string[]> {
  const devices = await engine.execute('query-chardev');
  return (Array.isArray(devices) ? devices : [])
    .map((device: unknown) => String(isObject(device) ? device.label : ''))
    .filter((label) => /^lock[0-9a-f]{8}$/.test(label));
}

function nameOf(lockPath: string): string {
  return `lock${createHash('sha1').update(lockPath).digest('hex').slice(0, 8)}`;
}
