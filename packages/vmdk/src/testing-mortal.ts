import { AsyncLocalStorage } from 'node:async_hooks';
import files, { type FileHandle } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';

/** What a process that was killed does from then on: nothing. */
export class Killed extends Error {
  override readonly name = 'Killed';
}

interface Life {
  steps: number;
}

const life = new AsyncLocalStorage<Life>();
const changing = [
  'copyFile',
  'link',
  'mkdir',
  'open',
  'rename',
  'rm',
  'rmdir',
  'truncate',
  'unlink',
  'writeFile',
] as const;
const changingHandle = ['chmod', 'truncate', 'write', 'writeFile', 'writev'] as const;
/** Writes of this many bytes and more may be cut in the middle; the kernel copies smaller ones in one go. */
const tornBytes = 16_384;

type Methods = Record<string, (this: unknown, ...args: unknown[]) => Promise<unknown>>;

/**
 * From now on every change to files within `mortal` is a step that may be the last. Answers how to end that. For the
 * whole of a test's process.
 */
export async function gateFiles(): Promise<() => void> {
  const table = files as unknown as Methods;
  const handle = await files.open('/dev/null');
  const prototype = Object.getPrototypeOf(handle) as FileHandle & Methods;
  await handle.close();
  const undo = [...changing.map((name) => gate(table, name)), ...changingHandle.map((name) => gate(prototype, name))];
  syncBuiltinESMExports();
  return () => {
    for (const restore of undo) restore();
    syncBuiltinESMExports();
  };
}

/** Does work that is killed before its change number `steps`, counted from 0; says whether it lived to its end. */
export async function mortal(steps: number, work: () => Promise<void>): Promise<boolean> {
  try {
    await life.run({ steps }, work);
    return true;
  } catch (error) {
    for (let at: unknown = error; at instanceof Error; at = at.cause) if (at instanceof Killed) return false;
    throw error;
  }
}

function gate(methods: Methods, name: string): () => void {
  const original = methods[name];
  if (original === undefined) throw new Error(`no ${name}`);
  methods[name] = async function (...args) {
    const current = life.getStore();
    // Opening for reading changes nothing.
    const reads = name === 'open' && (args[1] === undefined || args[1] === 'r' || isReading(args[1]));
    if (current && !reads) {
      current.steps -= 1;
      if (current.steps === -1 && name === 'write') await tear(original, this, args);
      if (current.steps < 0) throw new Killed(name);
    }
    return original.apply(this, args);
  };
  return () => {
    methods[name] = original;
  };
}

function isReading(flags: unknown): boolean {
  return typeof flags === 'number' && (flags & (files.constants.O_WRONLY | files.constants.O_RDWR)) === 0;
}

/** The first half of the last write. */
async function tear(write: Methods[string], handle: unknown, args: readonly unknown[]): Promise<void> {
  const [buffer, offset, length, position] = args as [Uint8Array, number, number, number];
  if (length >= tornBytes) await write.call(handle, buffer, offset, Math.floor(length / 2), position);
}
