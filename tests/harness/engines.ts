import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { hostGroupsOf, removeGroup } from './engine-groups.ts';

/** A QEMU process as proc(5) shows it. */
export interface Engine {
  readonly pid: number;
  readonly arguments: readonly string[];
}

/** Running engines of one home: each holds the lock file of its machine there. */
export async function enginesOf(home: string): Promise<Engine[]> {
  const engines: Engine[] = [];
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const pid = Number(entry);
    const line = await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '');
    if (!/qemu-system-/.test(line.split('\0', 1)[0] ?? '')) continue;
    if (await holdsFileBelow(pid, home)) engines.push({ pid, arguments: line.split('\0').slice(0, -1) });
  }
  return engines;
}

/** The value of an option such as `-m`. */
export function argumentOf(engine: Engine, option: string): string | undefined {
  const at = engine.arguments.indexOf(option);
  return at < 0 ? undefined : engine.arguments[at + 1];
}

/** Memory of the guest, MiB; an engine may round it down by some pages. */
export function memoryMiBOf(engine: Engine): number {
  const size = /^(\d+)K$/.exec(argumentOf(engine, '-m') ?? '')?.[1];
  if (size === undefined) throw new Error(`no memory size in KiB: ${engine.arguments.join(' ')}`);
  return Math.round(Number(size) / 1024);
}

/** Path of the unix socket of an engine's first serial port. */
export function serialSocketOf(engine: Engine): string {
  const chardev = engine.arguments.find((argument) => argument.includes('id=serial0,'));
  const path = chardev && /path=([^,]+)/.exec(chardev)?.[1];
  if (!path) throw new Error('the engine has no serial port');
  return path;
}

/** Ends the engines of one home whose service has ended, and waits until they and the groups that held them are gone. */
export async function endEngines(home: string): Promise<void> {
  const groups = new Set<string>();
  for (let left = await enginesOf(home); left.length > 0; left = await enginesOf(home)) {
    for (const { pid } of left) {
      for (const group of await hostGroupsOf(pid)) groups.add(group);
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It ended by itself.
      }
    }
    await sleep(50);
  }
  for (const group of groups) await removeGroup(group);
}

async function holdsFileBelow(pid: number, folder: string): Promise<boolean> {
  const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => []);
  for (const descriptor of descriptors) {
    const target = await readlink(join('/proc', `${pid}`, 'fd', descriptor)).catch(() => '');
    if (target.startsWith(`${folder}/`)) return true;
  }
  return false;
}
