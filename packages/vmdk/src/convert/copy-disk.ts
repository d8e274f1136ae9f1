import { type DiskBatch, diskBatches } from '../stream/disk-batches.ts';
import { inOrder } from '../stream/ordered-work.ts';
import { type ConvertSource, flatFilesOf, isDisk } from './convert-source.ts';
import type { DiskSink } from './disk-sink.ts';
import { pageBuffers } from './page-buffers.ts';
import { withHoles } from './stored-runs.ts';

/** Bytes that are read and written at once, and how many reads are underway or wait to be written. */
interface Batches {
  readonly bytes: number;
  readonly ahead: number;
}

const plainBatches: Batches = { bytes: 2 ** 21, ahead: 4 };
/** Each is expanded by one processor. */
const compressedBatches: Batches = { bytes: 2 ** 20, ahead: 8 };

export interface ConvertProgress {
  /** Bytes of the disk that have been passed. */
  readonly doneBytes: number;
  readonly totalBytes: number;
}

export interface CopyOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: ConvertProgress) => void;
}

/** Passes the bytes of a disk to a sink. */
export async function copyDisk(source: ConvertSource, sink: DiskSink, options: CopyOptions): Promise<void> {
  const { signal, onProgress } = options;
  const totalBytes = source.virtualBytes;
  for await (const doneBytes of isDisk(source) ? copyBatches(source, sink, signal) : copyBlocks(source, sink)) {
    signal?.throwIfAborted();
    onProgress?.({ doneBytes, totalBytes });
  }
}

/** Reads ahead of the writes. */
async function* copyBatches(
  disk: Extract<ConvertSource, { readInto: unknown }>,
  sink: DiskSink,
  signal: AbortSignal | undefined,
): AsyncGenerator<number, void, undefined> {
  const files = flatFilesOf(disk);
  const source = files ? await withHoles(disk, files, signal) : disk;
  const { bytes, ahead } = disk.descriptor?.createType === 'streamOptimized' ? compressedBatches : plainBatches;
  const buffers = pageBuffers(ahead + sink.writesAtOnce + 1, bytes);
  const read = async (batch: DiskBatch) => {
    const buffer = buffers.pop() as Buffer;
    await batch.fill(buffer);
    return { batch, buffer };
  };
  const reads = inOrder(diskBatches(source, bytes, signal), ahead, read);
  yield* inOrder(reads, sink.writesAtOnce, async ({ batch, buffer }) => {
    await sink.write(batch.offset, buffer.subarray(0, batch.bytes));
    buffers.push(buffer);
    return batch.offset + batch.bytes;
  });
}

async function* copyBlocks(
  source: Exclude<ConvertSource, { readInto: unknown }>,
  sink: DiskSink,
): AsyncGenerator<number, void, undefined> {
  for await (const blocks of source.batches()) {
    for (const { offset, data } of blocks) {
      await sink.write(offset, data);
      yield offset + data.length;
    }
  }
}
