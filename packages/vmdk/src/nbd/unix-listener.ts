import { once } from 'node:events';
import { chmod, lstat, mkdtemp, rename, rm, unlink } from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import { dirname, join } from 'node:path';
import { VmdkError } from '../errors.ts';

/** Longest path of a socket that Linux takes, in bytes. */
const maximumPathBytes = 107;

/**
 * Has a server listen on a socket that only its owner can use, from its first moment. Answers what takes it away.
 * Throws `exists` where somebody answers there or the file is no socket, and `nbd-listen`.
 */
export async function listenUnix(server: Server, socketPath: string): Promise<() => Promise<void>> {
  await makeWay(socketPath);
  // Made where nobody else can reach, and moved into place when its mode is right.
  let folder: string | undefined;
  try {
    folder = await mkdtemp(join(dirname(socketPath), '.n'));
    const first = join(folder, 's');
    if (Buffer.byteLength(first) > maximumPathBytes) throw new Error(`the path has over ${maximumPathBytes} bytes`);
    server.listen({ path: first });
    await once(server, 'listening');
    await chmod(first, 0o600);
    const { ino } = await lstat(first);
    await rename(first, socketPath);
    return async () => {
      server.close();
      const now = await lstat(socketPath).catch(() => undefined);
      // Another server may have taken the place.
      if (now?.ino === ino) await unlink(socketPath).catch(() => undefined);
    };
  } catch (cause) {
    server.close();
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new VmdkError('nbd-listen', { file: socketPath, reason, cause });
  } finally {
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }
}

async function makeWay(socketPath: string): Promise<void> {
  const found = await lstat(socketPath).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isSocket()) throw new VmdkError('exists', { file: socketPath, reason: 'it is not a socket' });
  if (await answers(socketPath))
    throw new VmdkError('exists', { file: socketPath, reason: 'another server listens there' });
}

function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    // Full of waiting clients is alive as well.
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'EAGAIN'));
  });
}
