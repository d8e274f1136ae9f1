import { constants } from 'node:fs';
import { type FileHandle, lstat, open, rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { type AdapterType, flatDescriptor, flatNameOf, inflateToFlat, writeDescriptor } from '@hypostyle/vmdk';
import { faults } from '../errors.ts';
import { joinPath, splitPath } from '../files/datastore-path.ts';
import { type DatastoreRoot, resolveInRoot, shownPath } from '../files/datastore-root.ts';
import { renameNew, renameOver } from '../files/durable-rename.ts';
import { checkOrdinaryPath, writeAll } from '../files/file-upload.ts';
import { checkFreeSpace } from '../files/free-space.ts';
import type { TransferTarget } from '../leases/transfer-target.ts';
import { diskFault } from './disk-faults.ts';

export interface DiskUpload {
  readonly root: DatastoreRoot;
  /** Where the descriptor goes, such as `web/web.vmdk`; the bytes go to `web/web-flat.vmdk`. The folder must exist. */
  readonly path: string;
  /** Size of the disk, a multiple of 512. A larger upload is refused, a smaller one filled up with zeros. */
  readonly capacityBytes: number;
  /** `thin` leaves holes, `thick` writes every byte. */
  readonly provisioning: 'thin' | 'thick';
  /** Default `lsilogic`. */
  readonly adapterType?: AdapterType;
  readonly hardwareVersion?: number;
  /** The file as a whole is gzipped (OvfFileItem.compressionMethod). */
  readonly gzip?: boolean;
  /** Take the place of a disk that is there. Default: FileAlreadyExists. */
  readonly replace?: boolean;
}

export interface DiskReceiving {
  readonly contentLength?: number | undefined;
  readonly signal: AbortSignal;
  /** Called while work goes on without reading. */
  readonly onBytes?: (count: number) => void;
}

/** Read at once when holes are looked for. */
const pieceBytes = 1_048_576;

/**
 * Receives a streamOptimized disk into a flat one, descriptor last. It is durable when this resolves; when it rejects
 * nothing is left. Throws IncorrectFileType for what is no such disk or too large, NoDiskSpace, and the faults of files.
 */
export async function receiveDisk(
  body: AsyncIterable<Uint8Array>,
  upload: DiskUpload,
  { contentLength, signal, onBytes = () => {} }: DiskReceiving,
): Promise<void> {
  const { root, path, capacityBytes, provisioning, replace = false } = upload;
  checkOrdinaryPath(root, path);
  if (!/\.vmdk$/i.test(path)) throw faults.invalidPath(shownPath(root, path), 'a disk ends in .vmdk');
  const full = await resolveInRoot(root, path);
  const flatName = flatNameOf(path);
  const flat = await resolveInRoot(root, joinPath(splitPath(path).folder, flatName));
  if (!replace && (await anyThere(full, flat))) throw faults.exists(shownPath(root, path));
  await checkFreeSpace(root, path, provisioning === 'thick' ? capacityBytes : (contentLength ?? 0));
  const partial = `${flat}.partial`;
  let renamed = false;
  try {
    const source = upload.gzip ? gunzip(body, signal) : body;
    await inflateToFlat(source, partial, { capacityBytes, name: shownPath(root, path), signal });
    await finishExtent(partial, capacityBytes, provisioning, signal, onBytes);
    if (replace) await renameOver(partial, flat);
    else await renameNew(partial, flat, 'file');
    renamed = true;
    const descriptor = flatDescriptor({
      virtualBytes: capacityBytes,
      flatName,
      thin: provisioning === 'thin',
      ...(upload.adapterType === undefined ? {} : { adapterType: upload.adapterType }),
      ...(upload.hardwareVersion === undefined ? {} : { hardwareVersion: upload.hardwareVersion }),
    });
    await writeDescriptor(full, descriptor, { replace });
  } catch (error) {
    await rm(partial, { force: true });
    if (renamed && !replace) await rm(flat, { force: true });
    if (signal.aborted) throw signal.reason;
    throw diskFault(error, root, path);
  }
}

/** A lease's target that receives a disk. */
export function diskUploadTarget(
  target: Omit<TransferTarget, 'receive' | 'provide' | 'disk' | 'capacityBytes'>,
  upload: DiskUpload,
): TransferTarget {
  return {
    ...target,
    disk: true,
    capacityBytes: upload.capacityBytes,
    receive: (body, options) => receiveDisk(body, upload, options),
  };
}

async function anyThere(...paths: string[]): Promise<boolean> {
  const found = await Promise.all(
    paths.map((path) =>
      lstat(path).then(
        () => true,
        () => false,
      ),
    ),
  );
  return found.includes(true);
}

async function* gunzip(body: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const source = Readable.from(body, { objectMode: false });
  const inflated = createGunzip();
  source.once('error', (error) => inflated.destroy(error));
  source.pipe(inflated);
  const stop = () => inflated.destroy(signal.reason instanceof Error ? signal.reason : undefined);
  signal.addEventListener('abort', stop, { once: true });
  try {
    yield* inflated;
  } finally {
    signal.removeEventListener('abort', stop);
    source.destroy();
    inflated.destroy();
  }
}

/** Brings the extent to its size, has every byte on disk where it is thick, and makes it durable. */
async function finishExtent(
  path: string,
  capacityBytes: number,
  provisioning: 'thin' | 'thick',
  signal: AbortSignal,
  onBytes: (count: number) => void,
): Promise<void> {
  const handle = await open(path, constants.O_RDWR | constants.O_NOFOLLOW);
  try {
    await handle.truncate(capacityBytes);
    if (provisioning === 'thick') await fillHoles(handle, capacityBytes, signal, onBytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Writes zeros where there are zeros: holes become space that cannot run out later. */
async function fillHoles(
  handle: FileHandle,
  bytes: number,
  signal: AbortSignal,
  onBytes: (count: number) => void,
): Promise<void> {
  const piece = Buffer.alloc(pieceBytes);
  for (let offset = 0; offset < bytes; ) {
    signal.throwIfAborted();
    const { bytesRead } = await handle.read(piece, 0, Math.min(pieceBytes, bytes - offset), offset);
    if (bytesRead === 0) throw new Error('the extent ended while it was filled');
    for (const [start, end] of zeroRuns(piece.subarray(0, bytesRead))) {
      await writeAll(handle, piece.subarray(start, end), offset + start);
    }
    offset += bytesRead;
    onBytes(0);
  }
}

const zeroBlock = Buffer.alloc(4096);

/** Runs of whole blocks that are zero, as start and end. */
function* zeroRuns(piece: Buffer): Generator<readonly [number, number], void, undefined> {
  let start: number | undefined;
  for (let at = 0; at < piece.length; at += zeroBlock.length) {
    const block = piece.subarray(at, at + zeroBlock.length);
    if (block.equals(zeroBlock.subarray(0, block.length))) {
      start ??= at;
    } else if (start !== undefined) {
      yield [start, at];
      start = undefined;
    }
  }
  if (start !== undefined) yield [start, piece.length];
}
