import { AsyncLocalStorage } from 'node:async_hooks';
import files from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';

/** The process that work belongs to: a step of it that changes files may be its last. */
export const processOf = new AsyncLocalStorage<{ gate(): Promise<void> }>();

const changing = ['mkdir', 'open', 'rename', 'rm', 'rmdir', 'writeFile'] as const;

/** From now on every change to files is a step of its process; the answer ends that. For the whole of a test's process. */
export function gateFiles(): () => void {
  const table = files as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
  const originals = changing.map((name) => [name, table[name]] as const);
  for (const [name, original] of originals) {
    table[name] = async (...args) => {
      await processOf.getStore()?.gate();
      return original?.call(files, ...args);
    };
  }
  syncBuiltinESMExports();
  return () => {
    for (const [name, original] of originals) if (original !== undefined) table[name] = original;
    syncBuiltinESMExports();
  };
}
