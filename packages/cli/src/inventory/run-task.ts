import { type ManagedObjectReference, VimFault } from '@hypostyle/vim';
import type { CommandContext } from '../command-context.ts';
import type { ServerSession } from '../connection/server-session.ts';
import { showProgress } from '../output/progress.ts';

/** Waits for a task, with a bar for the person. The message of its fault begins with `name`. */
export async function runTask(
  { client }: ServerSession,
  { terminal, signal }: CommandContext,
  name: string,
  start: () => Promise<ManagedObjectReference<'Task'>>,
): Promise<unknown> {
  const bar = showProgress(terminal, name, 100, 'percent');
  try {
    return await client.waitForTask(await start(), { signal, onProgress: (percent) => bar.update(percent) });
  } catch (error) {
    throw withName(name, error);
  } finally {
    bar.end();
  }
}

/** The same fault, telling which object it is about. */
export function withName(name: string, error: unknown): unknown {
  if (!(error instanceof VimFault) || error.message.includes(name)) return error;
  return new VimFault(error.type, error.detail, `${name}: ${error.message}`);
}
