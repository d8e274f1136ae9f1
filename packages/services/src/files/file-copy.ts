import { constants } from 'node:fs';
import { chmod, type FileHandle, mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import type { DiskCopying } from '@hypostyle/contracts';
import { findEntry, listFolder } from './datastore-index.ts';
import { joinPath } from './datastore-path.ts';
import { type DatastoreRoot, openInRoot, resolveInRoot } from './datastore-root.ts';
import { syncFolder } from './durable-rename.ts';

const pieceBytes = 1_048_576;
/** Files from this size on are copied by another process, which knows their holes. */
const largeBytes = 16 * pieceBytes;

export interface CopyWatch {
  readonly signal: AbortSignal;
  readonly images?: DiskCopying;
  /** Told of bytes that were stored since the last time, or passed over in a small file. */
  readonly onBytes: (bytes: number) => void;
}

/** Copies a file, or a folder with all that is in it, to a host path that must not be there. The caller cleans up. */
export async function copyTo(root: DatastoreRoot, path: string, target: string, watch: CopyWatch): Promise<void> {
  watch.signal.throwIfAborted();
  const entry = await findEntry(root, path);
  if (entry?.kind !== 'folder') return copyOne(root, path, target, watch);
  await mkdir(target);
  for (const { name } of await listFolder(root, path)) {
    await copyTo(root, joinPath(path, name), join(target, name), watch);
  }
  await syncFolder(target);
}

/** Bytes that a file, or all in a folder, take on their file system. */
export async function storedBytesOf(root: DatastoreRoot, path: string): Promise<number> {
  const entry = await findEntry(root, path);
  if (entry?.kind !== 'folder') {
    const handle = await openInRoot(root, path);
    try {
      return (await handle.stat()).blocks * 512;
    } finally {
      await handle.close();
    }
  }
  let bytes = 0;
  for (const { name } of await listFolder(root, path)) bytes += await storedBytesOf(root, joinPath(path, name));
  return bytes;
}

async function copyOne(root: DatastoreRoot, path: string, target: string, watch: CopyWatch): Promise<void> {
  const source = await openInRoot(root, path);
  const { size, mode, blocks } = await source.stat();
  const { images, signal, onBytes } = watch;
  if (images === undefined || size < largeBytes) return copyBytes(source, target, watch);
  await source.close();
  let told = 0;
  await images.copyDisk({
    layers: [{ format: 'raw', path: await resolveInRoot(root, path) }],
    path: target,
    signal,
    onProgress: (fraction) => {
      onBytes(fraction * blocks * 512 - told);
      told = fraction * blocks * 512;
    },
  });
  await chmod(target, mode & 0o777);
}

/** Takes the handle over. Blocks of zeros become holes. */
async function copyBytes(source: FileHandle, target: string, { signal, onBytes }: CopyWatch): Promise<void> {
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
        onBytes(bytesRead);
      }
      at += bytesRead;
    }
    await made.sync();
  } finally {
    await made?.close();
    await source.close();
  }
}
