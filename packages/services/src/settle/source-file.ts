import { constants, copyFile, type FileHandle, link, open, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { systemCode } from '../errors.ts';
import { syncFolder } from '../files/durable-rename.ts';

const pieceBytes = 4 * 1_048_576;
/** What a file system says that has no such thing, or does not do it for this file. */
const cannot = new Set(['EXDEV', 'EPERM', 'EACCES', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'ENOTTY', 'EINVAL', 'EMLINK']);

/** What says that a file is still the same, and was not written to. */
export interface FileIdentity {
  readonly inode: string;
  readonly bytes: number;
  /** Nanoseconds since the epoch. */
  readonly modified: string;
}

export async function fileIdentity(path: string): Promise<FileIdentity> {
  const { ino, size, mtimeNs } = await stat(path, { bigint: true });
  return { inode: String(ino), bytes: Number(size), modified: String(mtimeNs) };
}

export function sameFile(a: FileIdentity, b: FileIdentity): boolean {
  return a.inode === b.inode && a.bytes === b.bytes && a.modified === b.modified;
}

export interface BringSource {
  readonly from: string;
  /** Must not be there. */
  readonly to: string;
  /** The part of `from` that is wanted. */
  readonly offset: number;
  readonly length: number;
  readonly signal: AbortSignal;
  /** Told of bytes that were copied. */
  readonly onBytes?: (count: number) => void;
}

/**
 * Brings a large file that is only read to another folder: its blocks shared where the file system does that, a second
 * name of it else, and as the last resort a copy of the part. Answers where in `to` the part lies. Durable; nothing
 * stays when it fails.
 */
export async function bringSource(source: BringSource): Promise<{ readonly offset: number }> {
  const { from, to, offset } = source;
  try {
    if ((await shareBlocks(from, to)) || (await secondName(from, to))) {
      await syncFolder(dirname(to));
      return { offset };
    }
    await copyPart(source);
    await syncFolder(dirname(to));
    return { offset: 0 };
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') await rm(to, { force: true });
    throw error;
  }
}

/** A copy of its own that takes no space: what is written to the original later does not reach it. */
async function shareBlocks(from: string, to: string): Promise<boolean> {
  try {
    await copyFile(from, to, constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL);
  } catch (error) {
    if (systemCode(error) === 'EEXIST') throw error;
    await rm(to, { force: true });
    return false;
  }
  const file = await open(to, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
  return true;
}

async function secondName(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (cannot.has(systemCode(error) ?? '')) return false;
    throw error;
  }
}

async function copyPart({ from, to, offset, length, signal, onBytes }: BringSource): Promise<void> {
  let made: FileHandle | undefined;
  const file = await open(from, 'r');
  try {
    made = await open(to, 'wx', 0o600);
    const piece = Buffer.allocUnsafe(pieceBytes);
    for (let done = 0; done < length; ) {
      signal.throwIfAborted();
      const { bytesRead } = await file.read(piece, 0, Math.min(pieceBytes, length - done), offset + done);
      if (bytesRead === 0) throw new Error(`${from} ended while it was copied`);
      for (let written = 0; written < bytesRead; ) {
        written += (await made.write(piece, written, bytesRead - written, done + written)).bytesWritten;
      }
      done += bytesRead;
      onBytes?.(bytesRead);
    }
    await made.sync();
  } finally {
    await made?.close();
    await file.close();
  }
}
