import { type FSWatcher, watch } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { dirname } from 'node:path';

/**
 * Connects to a unix socket that may not be there yet: waits for it until `deadline` (milliseconds of
 * `performance.now`). Rejects with the last system error, or at once when `signal` is aborted.
 */
export async function connectUnix(options: {
  readonly path: string;
  readonly deadline: number;
  readonly signal?: AbortSignal;
}): Promise<Socket> {
  const { path, deadline, signal } = options;
  let watcher: FSWatcher | undefined;
  let wake: (() => void) | undefined;
  let changed = false;
  const notice = () => {
    changed = true;
    wake?.();
  };
  try {
    for (;;) {
      signal?.throwIfAborted();
      changed = false;
      try {
        return await connectOnce(path);
      } catch (error) {
        if (!isNotReady(error) || performance.now() >= deadline) throw error;
        // A socket that is bound and not listening yet refuses; listening follows within microseconds.
        const pause = codeOf(error) === 'ECONNREFUSED' ? 2 : 50;
        if (!watcher) {
          watcher = watch(dirname(path), notice);
          watcher.on('error', notice);
          continue;
        }
        if (changed) continue;
        await new Promise<void>((resolve) => {
          const timer = setTimeout(done, Math.max(1, Math.min(pause, deadline - performance.now())));
          function done() {
            clearTimeout(timer);
            signal?.removeEventListener('abort', done);
            wake = undefined;
            resolve();
          }
          wake = done;
          signal?.addEventListener('abort', done);
        });
      }
    }
  } finally {
    watcher?.close();
  }
}

function connectOnce(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(socket);
    });
  });
}

function isNotReady(error: unknown): boolean {
  const code = codeOf(error);
  return code === 'ENOENT' || code === 'ECONNREFUSED';
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
