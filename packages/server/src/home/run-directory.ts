import { createHash } from 'node:crypto';
import { chmod, mkdir, readdir, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ServerError } from '../errors.ts';
import { makePrivateFolder } from './private-folder.ts';

/** A socket's path has 107 bytes; the engine's folders and names below need about 60. */
const longest = 47;

export interface RunDirectoryOptions {
  readonly userId?: number;
  /** `XDG_RUNTIME_DIR`. */
  readonly runtimeDirectory?: string | undefined;
}

/** Where a home's sockets are: a short path that is the same at each start. */
export function runDirectoryOf(home: string, options: RunDirectoryOptions = {}): string {
  const { userId = process.getuid?.() ?? 0, runtimeDirectory = process.env.XDG_RUNTIME_DIR } = options;
  const id = createHash('sha256').update(home).digest('hex').slice(0, 8);
  if (userId === 0) return join('/run/hypostyle', id);
  const candidates = [
    ...(runtimeDirectory ? [join(runtimeDirectory, `hypostyle-${id}`)] : []),
    join(tmpdir(), `hypostyle-${userId}-${id}`),
  ];
  return candidates.find((path) => path.length <= longest) ?? join('/tmp', `hypostyle-${userId}-${id}`);
}

/** Makes the run directory, mode 0700; refuses one that somebody else owns. */
export async function openRunDirectory(home: string, options: RunDirectoryOptions = {}): Promise<string> {
  const path = runDirectoryOf(home, options);
  try {
    if (path.startsWith('/run/hypostyle/')) {
      await mkdir('/run/hypostyle', { recursive: true, mode: 0o711 });
      await chmod('/run/hypostyle', 0o711);
    }
    await makePrivateFolder(path);
    return path;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ServerError('run-directory-invalid', `${reason}. Remove it, or start as the user who owns it.`, {
      cause: error,
    });
  }
}

/** Removes the run directory if no machine runs: the sockets of those that do are in it. Never throws. */
export async function removeRunDirectory(path: string): Promise<void> {
  const names = await readdir(path).catch(() => []);
  for (const name of [...names.map((name) => join(path, name)), path]) await rmdir(name).catch(() => {});
}
