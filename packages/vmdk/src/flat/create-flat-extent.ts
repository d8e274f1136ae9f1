import { execFile } from 'node:child_process';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncFolder } from '../descriptor/descriptor-file.ts';
import { fileError } from '../errors.ts';
import { capacityInSectors } from '../size.ts';

/** Room for a flat disk: taken as it is written, taken at once, or taken and filled with zeros. */
export type Allocation = 'thin' | 'thick' | 'eager';

export interface CreateFlatExtentOptions {
  readonly path: string;
  readonly virtualBytes: number;
  /**
   * `thin`: one hole. `thick`: all room reserved, by the file system where it can (fallocate), otherwise with zeros.
   * `eager`: zeros written throughout. Default `thin`.
   */
  readonly allocation?: Allocation;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: { readonly doneBytes: number; readonly totalBytes: number }) => void;
}

/** Makes the file with a flat disk's bytes; `exists` when there is one. It is gone again when it fails. */
export async function createFlatExtent(options: CreateFlatExtentOptions): Promise<void> {
  const { path, virtualBytes, allocation = 'thin', onProgress } = options;
  capacityInSectors(virtualBytes, path);
  let made = false;
  try {
    const handle = await open(path, 'wx');
    made = true;
    try {
      await handle.truncate(virtualBytes);
      const reserved = allocation === 'thick' && (await reserve(path, virtualBytes, options.signal));
      if (reserved) onProgress?.({ doneBytes: virtualBytes, totalBytes: virtualBytes });
      else if (allocation !== 'thin') await writeZeros(handle, options);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await syncFolder(dirname(path));
  } catch (error) {
    if (made) await rm(path, { force: true });
    if (options.signal?.aborted) throw error;
    throw fileError(error, path);
  }
}

async function writeZeros(handle: FileHandle, options: CreateFlatExtentOptions): Promise<void> {
  const { virtualBytes } = options;
  const zeros = Buffer.alloc(2 ** 20);
  for (let done = 0; done < virtualBytes; ) {
    options.signal?.throwIfAborted();
    done += (await handle.write(zeros, 0, Math.min(zeros.length, virtualBytes - done), done)).bytesWritten;
    options.onProgress?.({ doneBytes: done, totalBytes: virtualBytes });
  }
}

/**
 * Reserves room without writing it. False where neither file system nor machine can, or there is too little room: the
 * zeros that are written instead tell which.
 */
async function reserve(path: string, bytes: number, signal: AbortSignal | undefined): Promise<boolean> {
  signal?.throwIfAborted();
  const reserved = await new Promise<boolean>((resolve) => {
    const options = { timeout: 60_000, ...(signal ? { signal } : {}) };
    execFile('fallocate', ['--length', String(bytes), '--', path], options, (error) => resolve(!error));
  });
  signal?.throwIfAborted();
  return reserved;
}
