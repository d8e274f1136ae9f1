import { constants } from 'node:fs';
import { type FileHandle, lstat, open, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { faults, fileFault, systemCode } from '../errors.ts';
import type { TransferTarget } from '../leases/transfer-target.ts';
import { type DatastoreRoot, resolveInRoot, shownPath } from './datastore-root.ts';
import { renameNew, renameOver } from './durable-rename.ts';
import { checkFreeSpace } from './free-space.ts';
import { isHiddenPath, partialName } from './hidden-names.ts';

export interface ReceiveFileOptions {
  /** Takes the place of a file that is there; else FileAlreadyExists. */
  readonly overwrite: boolean;
  /** Bytes that must come, when they are known. */
  readonly contentLength?: number | undefined;
  readonly signal: AbortSignal;
}

export interface ReceivedFile {
  readonly bytes: number;
  /** False when it took the place of another. */
  readonly created: boolean;
}

/** Throws InvalidDatastorePath for the root and for names that this product keeps for itself. */
export function checkOrdinaryPath(root: DatastoreRoot, path: string): void {
  if (path === '') throw faults.invalidPath(shownPath(root, path), 'it names the datastore itself');
  if (isHiddenPath(path)) throw faults.invalidPath(shownPath(root, path), 'the name is reserved');
}

/**
 * Writes a file from a stream: it is whole and durable under its name, or not there at all. Throws the faults of files
 * and NoDiskSpace; the folder must exist.
 */
export async function receiveFile(
  root: DatastoreRoot,
  path: string,
  body: AsyncIterable<Uint8Array>,
  { overwrite, contentLength, signal }: ReceiveFileOptions,
): Promise<ReceivedFile> {
  checkOrdinaryPath(root, path);
  const shown = shownPath(root, path);
  const full = await resolveInRoot(root, path);
  const there = await kindOf(full);
  if (there === 'other') throw faults.notAFile(shown);
  if (there === 'file' && !overwrite) throw faults.exists(shown);
  await checkFreeSpace(root, path, contentLength ?? 0);
  const partial = join(dirname(full), partialName());
  try {
    const bytes = await writePartial(partial, body, contentLength, signal, shown);
    if (overwrite) await renameOver(partial, full);
    else await renameNew(partial, full, 'file');
    return { bytes, created: there === 'absent' };
  } catch (error) {
    await rm(partial, { force: true });
    if (signal.aborted) throw signal.reason;
    throw fileFault(error, shown, root.name);
  }
}

/** A lease's target that is an ordinary file, such as an NVRAM or an ISO image. */
export function fileUploadTarget(
  target: Omit<TransferTarget, 'receive' | 'provide' | 'disk'>,
  { root, path }: { readonly root: DatastoreRoot; readonly path: string },
): TransferTarget {
  return {
    ...target,
    disk: false,
    async receive(body, { contentLength, signal }) {
      await receiveFile(root, path, body, { overwrite: true, contentLength, signal });
    },
  };
}

async function kindOf(full: string): Promise<'absent' | 'file' | 'other'> {
  try {
    return (await lstat(full)).isFile() ? 'file' : 'other';
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return 'absent';
    throw error;
  }
}

async function writePartial(
  partial: string,
  body: AsyncIterable<Uint8Array>,
  contentLength: number | undefined,
  signal: AbortSignal,
  shown: string,
): Promise<number> {
  const handle = await open(partial, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o644);
  try {
    let bytes = 0;
    for await (const piece of body) {
      signal.throwIfAborted();
      if (contentLength !== undefined && bytes + piece.byteLength > contentLength) break;
      await writeAll(handle, piece, bytes);
      bytes += piece.byteLength;
    }
    signal.throwIfAborted();
    if (contentLength !== undefined && bytes !== contentLength) {
      throw faults.cannotCreate(shown, `${contentLength} bytes were announced, and not that many came`);
    }
    await handle.sync();
    return bytes;
  } finally {
    await handle.close();
  }
}

/** Writes every byte: write(2) may take fewer. */
export async function writeAll(handle: FileHandle, piece: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < piece.byteLength; ) {
    done += (await handle.write(piece, done, piece.byteLength - done, offset + done)).bytesWritten;
  }
}
