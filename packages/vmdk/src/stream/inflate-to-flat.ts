import { constants } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Descriptor } from '../descriptor/descriptor.ts';
import { syncFolder } from '../descriptor/descriptor-file.ts';
import type { Block, Disk } from '../disk/disk.ts';
import { fileError, VmdkError } from '../errors.ts';
import { readStreamOptimized } from './stream-reader.ts';

/** Neighbouring blocks are written together up to this many bytes. */
const writeBytes = 2 ** 20;

export interface InflateOptions {
  /** Largest capacity that is accepted; `capacity-exceeded` before anything is written. */
  readonly capacityBytes: number;
  /** Name of a stream for error messages. */
  readonly name?: string;
  readonly signal?: AbortSignal;
  /** Called with the bytes of the disk that have been passed. */
  readonly onProgress?: (progress: { readonly doneBytes: number; readonly totalBytes: number }) => void;
}

export interface InflateResult {
  /** Capacity of the source and length of the file. */
  readonly virtualBytes: number;
  /** Bytes that were not zero and so were written. */
  readonly writtenBytes: number;
  readonly descriptor?: Descriptor;
}

/**
 * Writes the bytes of a disk, or of a streamOptimized stream, to a flat file with holes where the disk is zero. The
 * target is made new (a file in its place is emptied), durable when this resolves, and gone when it fails.
 */
export async function inflateToFlat(
  source: Disk | AsyncIterable<Uint8Array>,
  targetPath: string,
  options: InflateOptions,
): Promise<InflateResult> {
  const signal = options.signal ? { signal: options.signal } : {};
  if ('virtualBytes' in source)
    return writeFlat(source, gather(source.blocks(signal)), source.path, targetPath, options);
  const name = options.name ?? 'stream';
  const reader = await readStreamOptimized(source, { name, ...signal });
  try {
    return await writeFlat(reader, reader.batches(), name, targetPath, options);
  } finally {
    await reader.close();
  }
}

async function writeFlat(
  disk: { readonly virtualBytes: number; readonly descriptor?: Descriptor },
  batches: AsyncIterable<readonly Block[]>,
  name: string,
  path: string,
  options: InflateOptions,
): Promise<InflateResult> {
  const { virtualBytes, descriptor } = disk;
  if (virtualBytes > options.capacityBytes) {
    const reason = `${virtualBytes} bytes, ${options.capacityBytes} expected`;
    throw new VmdkError('capacity-exceeded', { file: name, reason });
  }
  options.signal?.throwIfAborted();
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW;
  const handle = await open(path, flags, 0o644).catch((error: unknown) => {
    throw fileError(error, path);
  });
  let complete = false;
  try {
    await onTarget(path, () => handle.truncate(virtualBytes));
    let writtenBytes = 0;
    for await (const blocks of batches) {
      options.signal?.throwIfAborted();
      for (const { offset, data } of blocks) {
        await onTarget(path, () => writeAll(handle, data, offset));
        writtenBytes += data.length;
        options.onProgress?.({ doneBytes: offset + data.length, totalBytes: virtualBytes });
      }
    }
    options.signal?.throwIfAborted();
    await onTarget(path, () => handle.sync());
    await onTarget(path, () => syncFolder(dirname(path)));
    options.onProgress?.({ doneBytes: virtualBytes, totalBytes: virtualBytes });
    complete = true;
    return { virtualBytes, writtenBytes, ...(descriptor ? { descriptor } : {}) };
  } finally {
    await handle.close();
    if (!complete) await rm(path, { force: true });
  }
}

/** Joins neighbouring blocks. */
async function* gather(blocks: AsyncIterable<Block>): AsyncGenerator<readonly Block[], void, undefined> {
  let pieces: Uint8Array[] = [];
  let offset = 0;
  let length = 0;
  const joined = () => [{ offset, data: Buffer.concat(pieces) }];
  for await (const block of blocks) {
    if (pieces.length > 0 && (block.offset !== offset + length || length >= writeBytes)) {
      yield joined();
      pieces = [];
    }
    if (pieces.length === 0) {
      offset = block.offset;
      length = 0;
    }
    pieces.push(block.data);
    length += block.data.length;
  }
  if (pieces.length > 0) yield joined();
}

async function writeAll(handle: FileHandle, data: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < data.length; ) {
    done += (await handle.write(data, done, data.length - done, offset + done)).bytesWritten;
  }
}

async function onTarget<Result>(path: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw fileError(error, path);
  }
}
