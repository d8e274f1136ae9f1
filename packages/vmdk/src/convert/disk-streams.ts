import type { Block } from '../disk/disk.ts';
import { VmdkError } from '../errors.ts';
import { diskBatches } from '../stream/disk-batches.ts';
import { inOrder } from '../stream/ordered-work.ts';
import type { BlockSource } from '../stream/stream-writer.ts';
import { type ConvertSource, flatFilesOf, isDisk, type OrderedSource } from './convert-source.ts';
import { withHoles } from './stored-runs.ts';

const batchBytes = 2 ** 20;
const batchesAhead = 4;

/** What the writer of streams takes, with the holes of flat files known. */
export async function blockSource(source: ConvertSource, signal?: AbortSignal): Promise<BlockSource> {
  if (!isDisk(source)) return { virtualBytes: source.virtualBytes, blocks: keptBlocks(source) };
  const files = flatFilesOf(source);
  return files ? withHoles(source, files, signal) : source;
}

/** Blocks in memory of their own. */
async function* keptBlocks(source: OrderedSource): AsyncGenerator<Block, void, undefined> {
  for await (const blocks of source.batches()) {
    for (const { offset, data } of blocks) yield { offset, data: Buffer.from(data) };
  }
}

/** Every byte of a disk in order, zeros too, as a raw image has them; for a pipe. */
export async function* rawStream(source: ConvertSource, signal?: AbortSignal): AsyncGenerator<Buffer, void, undefined> {
  const zeros = Buffer.alloc(batchBytes);
  let at = 0;
  async function* gap(end: number) {
    for (; at < end; at += Math.min(zeros.length, end - at)) yield zeros.subarray(0, end - at);
  }
  for await (const { offset, data } of isDisk(source) ? readBlocks(source, signal) : keptBlocks(source)) {
    signal?.throwIfAborted();
    yield* gap(offset);
    yield Buffer.from(data.buffer, data.byteOffset, data.length);
    at = offset + data.length;
  }
  yield* gap(source.virtualBytes);
}

async function* readBlocks(
  disk: Extract<ConvertSource, { readInto: unknown }>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Block, void, undefined> {
  const files = flatFilesOf(disk);
  const source = files ? await withHoles(disk, files, signal) : disk;
  yield* inOrder(diskBatches(source, batchBytes, signal), batchesAhead, async (batch) => {
    const data = Buffer.allocUnsafeSlow(batch.bytes);
    await batch.fill(data);
    return { offset: batch.offset, data };
  });
}

/** A raw image that comes as a stream of known length; `truncated` or `trailing-data` when it is not that. */
export function rawSource(bytes: AsyncIterable<Uint8Array>, virtualBytes: number, name: string): OrderedSource {
  return {
    virtualBytes,
    async *batches() {
      let offset = 0;
      for await (const data of bytes) {
        if (offset + data.length > virtualBytes) {
          throw new VmdkError('trailing-data', { file: name, reason: `more than ${virtualBytes} bytes` });
        }
        if (data.length > 0) yield [{ offset, data }];
        offset += data.length;
      }
      if (offset < virtualBytes) {
        throw new VmdkError('truncated', { file: name, reason: `${offset} of ${virtualBytes} bytes came` });
      }
    },
  };
}
