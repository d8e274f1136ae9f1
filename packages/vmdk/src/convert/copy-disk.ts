import { type DiskBatch, diskBatches } from '../stream/disk-batches.ts';
import { inOrder } from '../stream/ordered-work.ts';
import { type ConvertSource, flatFilesOf, isDisk } from './convert-source.ts';
import type { DiskSink } from './disk-sink.ts';
import { pageBuffers } from './page-buffers.ts';
import { withHoles } from './stored-runs.ts';

/** Bytes that are read and written at once. */
const batchBytes = 2 ** 20;
/** Reads that are underway, or wait to be written. */
const batchesAhead = 4;

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
  const buffers = pageBuffers(batchesAhead + sink.writesAtOnce + 1, batchBytes);
  const read = async (batch: DiskBatch) => {
    const buffer = buffers.pop() as Buffer;
    await batch.fill(buffer);
    return { batch, buffer };
  };
  const reads = inOrder(diskBatches(source, batchBytes, signal), batchesAhead, read);
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
