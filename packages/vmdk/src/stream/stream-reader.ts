import type { GrainWorkersOptions } from '../codec/grain-workers.ts';
import { type Descriptor, maximumDescriptorBytes, parseDescriptor } from '../descriptor/descriptor.ts';
import { decodeDescriptor } from '../descriptor/descriptor-encoding.ts';
import type { Block } from '../disk/disk.ts';
import { VmdkError } from '../errors.ts';
import { sectorBytes } from '../size.ts';
import { parseSparseHeader, type SparseHeader, sparseFlags } from '../sparse/sparse-header.ts';
import { ByteQueue } from './byte-queue.ts';
import { inflatedBatches } from './inflated-batches.ts';
import { countLeadingTables } from './stream-leading-tables.ts';
import { compressedGrains } from './stream-markers.ts';

export interface StreamReaderOptions {
  /** Name for error messages. Default `stream`. */
  readonly name?: string;
  /** Threads that expand. Default one a processor, 8 at most. */
  readonly workers?: number;
  /** Which decompressor. Default libdeflate where it can run, else zlib. */
  readonly codec?: GrainWorkersOptions['codec'];
  readonly signal?: AbortSignal;
}

/** A streamOptimized disk that comes as a stream. */
export interface StreamOptimizedReader {
  readonly virtualBytes: number;
  readonly grainBytes: number;
  readonly descriptor?: Descriptor;
  /**
   * Grains in ascending order, each expanded and checked, once; those of zeros are left out. The stream must end with the tables, footer and end
   * marker that belong to it; `truncated` says at which byte it broke off, after every whole grain was yielded.
   */
  grains(): AsyncGenerator<Block, void, undefined>;
  /**
   * The same a batch at a time, once, instead of `grains`: neighbours joined, grains of zeros left out. The data is
   * good until the next batch is asked for.
   */
  batches(): AsyncGenerator<readonly Block[], void, undefined>;
  /** Lets go of the source without reading on. */
  close(): Promise<void>;
}

/**
 * Reads a streamOptimized disk from a source that cannot seek. Resolves when header and descriptor have come. Also
 * takes the variant that `qemu-img convert` writes, with its tables in front and no end marker.
 */
export async function readStreamOptimized(
  source: AsyncIterable<Uint8Array>,
  options: StreamReaderOptions = {},
): Promise<StreamOptimizedReader> {
  const name = options.name ?? 'stream';
  const queue = new ByteQueue(source, name, options.signal);
  try {
    const header = parseSparseHeader(await queue.take(sectorBytes), name);
    const wanted = sparseFlags.compressed | sparseFlags.markers;
    if ((header.flags & wanted) !== wanted) {
      throw new VmdkError('header-invalid', { file: name, reason: 'it is no streamOptimized disk' });
    }
    const descriptor = await leadingDescriptor(queue, header, name);
    const virtualBytes = header.capacity * sectorBytes;
    const grainBytes = header.grainSectors * sectorBytes;
    async function* batches() {
      try {
        const expected = await countLeadingTables(queue, header, name);
        const packed = compressedGrains(queue, header, name, expected);
        for await (const blocks of inflatedBatches(
          packed,
          { virtualBytes, grainBytes, name },
          workerOptions(options),
        )) {
          options.signal?.throwIfAborted();
          yield blocks;
        }
      } finally {
        await queue.close();
      }
    }
    async function* grains() {
      for await (const blocks of batches()) yield* copiedGrains(blocks, grainBytes);
    }
    return {
      virtualBytes,
      grainBytes,
      ...(descriptor ? { descriptor } : {}),
      batches,
      grains,
      close: () => queue.close(),
    };
  } catch (error) {
    await queue.close();
    throw error;
  }
}

async function leadingDescriptor(
  queue: ByteQueue,
  header: SparseHeader,
  name: string,
): Promise<Descriptor | undefined> {
  const { descriptorOffset, descriptorSectors, overheadSectors } = header;
  if (descriptorOffset === 0 || descriptorSectors === 0) return undefined;
  const bytes = descriptorSectors * sectorBytes;
  if (bytes > maximumDescriptorBytes)
    throw new VmdkError('descriptor-too-large', { file: name, reason: `${bytes} bytes` });
  if (descriptorOffset + descriptorSectors > overheadSectors) {
    throw new VmdkError('header-invalid', { file: name, reason: 'the descriptor does not lie before the grains' });
  }
  await queue.skip(descriptorOffset * sectorBytes - queue.position);
  return parseDescriptor(decodeDescriptor(await queue.take(bytes), name), { file: name });
}

/** Each grain by itself, in memory of its own. */
function* copiedGrains(blocks: readonly Block[], grainBytes: number): Generator<Block, void, undefined> {
  for (const { offset, data } of blocks) {
    for (let done = 0; done < data.length; done += grainBytes) {
      yield { offset: offset + done, data: Buffer.from(data.subarray(done, done + grainBytes)) };
    }
  }
}

function workerOptions({ workers, codec }: StreamReaderOptions): Omit<GrainWorkersOptions, 'grainBytes'> {
  return { ...(workers === undefined ? {} : { workers }), ...(codec ? { codec } : {}) };
}
