import { constants } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import type { Disk } from '@hypostyle/vmdk';
import { diskFault } from '../disks/disk-faults.ts';
import { openDiskInRoot } from '../disks/open-disk-in-root.ts';
import { faults, fileFault } from '../errors.ts';
import { joinPath, splitPath } from '../files/datastore-path.ts';
import { type DatastoreRoot, openInRoot, shownPath } from '../files/datastore-root.ts';
import type { ByteRange } from './byte-range.ts';

/** Something with bytes that can be read anywhere. A stream that was begun closes it at its end. */
export interface ServedFile {
  readonly size: number;
  readonly modified?: Date;
  /** Strong validator, with its quotes. */
  readonly etag?: string;
  stream(range: ByteRange | undefined, signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** May be called again. */
  close(): Promise<void>;
}

const pieceBytes = 262_144;

/** A file of the datastore, or `folder` where the path leads to one. Throws faults. */
export async function openServedFile(root: DatastoreRoot, path: string): Promise<ServedFile | 'folder'> {
  const handle = await openInRoot(root, path, constants.O_RDONLY);
  let kept = false;
  try {
    const stats = await handle.stat({ bigint: true });
    if (stats.isDirectory()) return 'folder';
    kept = true;
    const size = Number(stats.size);
    return {
      size,
      modified: new Date(Number(stats.mtimeMs)),
      etag: `"${stats.mtimeNs.toString(36)}-${size.toString(36)}-${stats.ino.toString(36)}"`,
      stream: (range, signal) => readPieces(root, path, handle, wholeOr(range, size), signal),
      close: () => handle.close(),
    };
  } finally {
    if (!kept) await handle.close();
  }
}

/** Name of the disk that `X-flat.vmdk` would be the bytes of. */
export function diskOfFlatName(path: string): string | undefined {
  const { folder, name } = splitPath(path);
  const match = /^(.+)-flat(\.vmdk)$/i.exec(name);
  return match === null ? undefined : joinPath(folder, `${match[1]}${match[2]}`);
}

/** The bytes of a disk of any kind, its whole chain, as if it were flat. Throws faults. */
export async function openFlatView(root: DatastoreRoot, diskPath: string): Promise<ServedFile> {
  const disk = await openDiskInRoot(root, diskPath);
  let closed: Promise<void> | undefined;
  const close = () => {
    closed ??= disk.close();
    return closed;
  };
  return {
    size: disk.virtualBytes,
    async *stream(range, signal) {
      try {
        yield* readDisk(root, diskPath, disk, wholeOr(range, disk.virtualBytes), signal);
      } finally {
        await close();
      }
    },
    close,
  };
}

function wholeOr(range: ByteRange | undefined, size: number): ByteRange {
  return range ?? { first: 0, last: size - 1 };
}

async function* readPieces(
  root: DatastoreRoot,
  path: string,
  handle: FileHandle,
  { first, last }: ByteRange,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    for (let at = first; at <= last; ) {
      signal.throwIfAborted();
      const piece = Buffer.allocUnsafe(Math.min(pieceBytes, last + 1 - at));
      const { bytesRead } = await handle.read(piece, 0, piece.length, at);
      if (bytesRead === 0) throw faults.cannotAccess(shownPath(root, path), 'it became shorter while it was read');
      at += bytesRead;
      yield piece.subarray(0, bytesRead);
    }
  } catch (error) {
    throw signal.aborted ? signal.reason : fileFault(error, shownPath(root, path), root.name);
  } finally {
    await handle.close();
  }
}

async function* readDisk(
  root: DatastoreRoot,
  path: string,
  disk: Disk,
  { first, last }: ByteRange,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    for (let at = first; at <= last; ) {
      signal.throwIfAborted();
      const piece = await disk.read(at, Math.min(pieceBytes, last + 1 - at));
      at += piece.length;
      yield piece;
    }
  } catch (error) {
    throw signal.aborted ? signal.reason : diskFault(error, root, path);
  }
}
