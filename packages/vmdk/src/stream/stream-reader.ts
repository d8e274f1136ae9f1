import { type Descriptor, maximumDescriptorBytes, parseDescriptor } from '../descriptor/descriptor.ts';
import { decodeDescriptor } from '../descriptor/descriptor-encoding.ts';
import type { Block } from '../disk/disk.ts';
import { VmdkError } from '../errors.ts';
import { sectorBytes } from '../size.ts';
import { defaultConcurrency, inflateGrain } from '../sparse/grain-codec.ts';
import { parseSparseHeader, type SparseHeader, sparseFlags } from '../sparse/sparse-header.ts';
import { ByteQueue } from './byte-queue.ts';
import { inOrder } from './ordered-work.ts';
import { countLeadingTables } from './stream-leading-tables.ts';
import { type CompressedGrain, compressedGrains } from './stream-markers.ts';

export interface StreamReaderOptions {
  /** Name for error messages. Default `stream`. */
  readonly name?: string;
  /** Grains expanded at once. Default 8. */
  readonly concurrency?: number;
  readonly signal?: AbortSignal;
}

/** A streamOptimized disk that comes as a stream. */
export interface StreamOptimizedReader {
  readonly virtualBytes: number;
  readonly grainBytes: number;
  readonly descriptor?: Descriptor;
  /**
   * Grains in ascending order, each expanded and checked, once. The stream must end with the tables, footer and end
   * marker that belong to it; `truncated` says at which byte it broke off, after every whole grain was yielded.
   */
  grains(): AsyncGenerator<Block, void, undefined>;
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
    const expand = async ({ lba, data, position }: CompressedGrain): Promise<Block> => {
      const offset = lba * sectorBytes;
      const bytes = Math.min(grainBytes, virtualBytes - offset);
      const grain = await expandGrain(data, grainBytes, name, position);
      if (grain.length >= bytes) return { offset, data: grain.subarray(0, bytes) };
      const reason = `expands to ${grain.length} of ${bytes} bytes`;
      throw new VmdkError('grain-corrupt', { file: name, place: `byte ${position}`, reason });
    };
    async function* grains() {
      try {
        const expected = await countLeadingTables(queue, header, name);
        const concurrency = options.concurrency ?? defaultConcurrency;
        for await (const grain of inOrder(compressedGrains(queue, header, name, expected), concurrency, expand)) {
          options.signal?.throwIfAborted();
          yield grain;
        }
      } finally {
        await queue.close();
      }
    }
    return { virtualBytes, grainBytes, ...(descriptor ? { descriptor } : {}), grains, close: () => queue.close() };
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

async function expandGrain(data: Buffer, grainBytes: number, name: string, position: number): Promise<Buffer> {
  try {
    return await inflateGrain(data, grainBytes);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new VmdkError('grain-corrupt', { file: name, place: `byte ${position}`, reason, cause });
  }
}
