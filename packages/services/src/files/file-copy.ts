import { constants } from 'node:fs';
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { findEntry, listFolder } from './datastore-index.ts';
import { joinPath } from './datastore-path.ts';
import { type DatastoreRoot, openInRoot } from './datastore-root.ts';
import { syncFolder } from './durable-rename.ts';

const pieceBytes = 1_048_576;

/** Copies a file, or a folder with all that is in it, to a host path that must not be there. The caller cleans up. */
export async function copyTo(root: DatastoreRoot, path: string, target: string, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const entry = await findEntry(root, path);
  if (entry?.kind !== 'folder') return copyBytes(await openInRoot(root, path), target, signal);
  await mkdir(target);
  for (const { name } of await listFolder(root, path)) {
    await copyTo(root, joinPath(path, name), join(target, name), signal);
  }
  await syncFolder(target);
}

/** Takes the handle over. Blocks of zeros become holes. */
async function copyBytes(source: FileHandle, target: string, signal: AbortSignal): Promise<void> {
  let made: FileHandle | undefined;
  try {
    const { size, mode } = await source.stat();
    made = await open(target, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, mode & 0o777);
    await made.truncate(size);
    const piece = Buffer.alloc(pieceBytes);
    const zeros = Buffer.alloc(pieceBytes);
    for (let at = 0; ; ) {
      signal.throwIfAborted();
      const { bytesRead } = await source.read(piece, 0, pieceBytes, at);
      if (bytesRead === 0) break;
      const read = piece.subarray(0, bytesRead);
      if (at + bytesRead > size || !read.equals(zeros.subarray(0, bytesRead))) {
        for (let done = 0; done < bytesRead; ) {
          done += (await made.write(piece, done, bytesRead - done, at + done)).bytesWritten;
        }
      }
      at += bytesRead;
    }
    await made.sync();
  } finally {
    await made?.close();
    await source.close();
  }
}
