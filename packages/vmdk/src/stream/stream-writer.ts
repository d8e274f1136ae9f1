import { GrainWorkers, type GrainWorkersOptions } from '../codec/grain-workers.ts';
import { newContentId } from '../descriptor/content-id.ts';
import type { Descriptor } from '../descriptor/descriptor.ts';
import { buildDescriptor } from '../descriptor/descriptor-edit.ts';
import { encodeDescriptor } from '../descriptor/descriptor-encoding.ts';
import { diskDatabase } from '../descriptor/disk-database.ts';
import type { AdapterType } from '../descriptor/geometry.ts';
import type { Block, Disk } from '../disk/disk.ts';
import { VmdkError } from '../errors.ts';
import { capacityInSectors, roundUp, sectorBytes } from '../size.ts';
import { directoryEntries, formatSparseHeader, type SparseHeader, sparseFlags } from '../sparse/sparse-header.ts';
import { blockBatches, diskBatches } from './disk-batches.ts';
import { formatMarker, markerTypes } from './markers.ts';
import { inOrder } from './ordered-work.ts';

const grainSectors = 128;
const grainBytes = grainSectors * sectorBytes;
const entriesPerTable = 512;
const tableSectors = (entriesPerTable * 4) / sectorBytes;
const overheadSectors = 128;
const descriptorOffset = 1;
/** Where libdeflate is faster than zlib's 6 and smaller (ADR 16). */
const defaultLevel = 5;

export interface StreamOptimizedOptions {
  /** Name of the file that this becomes; the descriptor names itself by it. Default `disk.vmdk`. */
  readonly name?: string;
  /** Default `lsilogic`. */
  readonly adapterType?: AdapterType;
  /** Default random. */
  readonly contentId?: number;
  /** More entries of the disk database, keys without the `ddb.` in front. */
  readonly ddb?: Readonly<Record<string, string>>;
  /** Deflate level, 1 fastest to 9 smallest. Default 5. */
  readonly level?: number;
  /** Threads that compress. Default one a processor, 8 at most. */
  readonly workers?: number;
  /** Which compressor. Default libdeflate where it can run, else zlib. */
  readonly codec?: GrainWorkersOptions['codec'];
  readonly signal?: AbortSignal;
  /** Called with the bytes of the disk that have been passed. */
  readonly onProgress?: (progress: { readonly doneBytes: number; readonly totalBytes: number }) => void;
}

/** Source of a new disk: an open one, or its blocks in ascending order. */
export type BlockSource =
  | Pick<Disk, 'virtualBytes' | 'map' | 'readInto'>
  | { readonly virtualBytes: number; readonly blocks: AsyncIterable<Block> };

/**
 * Writes a streamOptimized disk in one pass, as chunks in order; zero grains are left out. Memory is bounded by the
 * grains in flight. Throws `block-order` when the blocks do not ascend.
 */
export async function* writeStreamOptimized(
  source: BlockSource,
  options: StreamOptimizedOptions = {},
): AsyncGenerator<Buffer, void, undefined> {
  const name = options.name ?? 'disk.vmdk';
  const level = options.level ?? defaultLevel;
  const { virtualBytes } = source;
  const descriptor = streamDescriptor(virtualBytes, name, options);
  const header: SparseHeader = {
    version: 3,
    flags: sparseFlags.newlineTest | sparseFlags.compressed | sparseFlags.markers,
    capacity: capacityInSectors(virtualBytes, name),
    grainSectors,
    descriptorOffset,
    descriptorSectors: overheadSectors - descriptorOffset,
    entriesPerTable,
    redundantDirectoryOffset: 0,
    directoryOffset: 'at-end',
    overheadSectors,
    unclean: false,
    compression: 1,
  };
  yield leadingSectors(header, descriptor, name);
  const workers = new GrainWorkers({ grainBytes, ...workerOptions(options) });
  const batches =
    'readInto' in source
      ? diskBatches(source, workers.batchBytes, options.signal)
      : blockBatches(source.blocks, workers.batchBytes, virtualBytes, name);
  const packed = inOrder(batches, workers.slots, async (batch) => {
    const slot = await workers.acquire();
    await batch.fill(slot.input);
    const bytes = roundUp(batch.bytes, grainBytes);
    slot.input.fill(0, batch.bytes, bytes);
    return { slot, batch, ...(await slot.deflate({ bytes, firstSector: batch.offset / sectorBytes, level })) };
  });
  const directory = Buffer.alloc(roundUp(directoryEntries(header) * 4, sectorBytes));
  let sector = overheadSectors;
  let table = Buffer.alloc(tableSectors * sectorBytes);
  let tableIndex = -1;
  // Each table follows its last grain, so that no more than one is kept.
  const finishTable = () => {
    directory.writeUInt32LE(sector + 1, tableIndex * 4);
    const bytes = Buffer.concat([formatMarker(markerTypes.grainTable, tableSectors), table]);
    table = Buffer.alloc(tableSectors * sectorBytes);
    sector += 1 + tableSectors;
    return bytes;
  };
  try {
    for await (const { slot, batch, grains, recordBytes } of packed) {
      options.signal?.throwIfAborted();
      const records = Buffer.from(
        slot.output.subarray(
          0,
          recordBytes.reduce((sum, bytes) => sum + bytes, 0),
        ),
      );
      slot.release();
      for (const [place, grain] of grains.entries()) {
        const index = batch.offset / grainBytes + grain;
        const needed = Math.floor(index / entriesPerTable);
        if (needed !== tableIndex && tableIndex >= 0) yield finishTable();
        tableIndex = needed;
        table.writeUInt32LE(sector, (index % entriesPerTable) * 4);
        sector += (recordBytes[place] as number) / sectorBytes;
        if (sector + tableSectors > 0xffffffff) {
          throw new VmdkError('too-large', { file: name, reason: 'over 2 TiB of compressed grains' });
        }
      }
      // A batch lies within one table, as both are powers of two.
      if (records.length > 0) yield records;
      options.onProgress?.({ doneBytes: batch.offset + batch.bytes, totalBytes: virtualBytes });
    }
  } finally {
    await workers.close();
  }
  if (tableIndex >= 0) yield finishTable();
  yield Buffer.concat([
    formatMarker(markerTypes.grainDirectory, directory.length / sectorBytes),
    directory,
    formatMarker(markerTypes.footer, 1),
    formatSparseHeader({ ...header, directoryOffset: sector + 1 }),
    formatMarker(markerTypes.endOfStream, 0),
  ]);
  options.onProgress?.({ doneBytes: virtualBytes, totalBytes: virtualBytes });
}

function workerOptions({ workers, codec }: StreamOptimizedOptions): Omit<GrainWorkersOptions, 'grainBytes'> {
  return { ...(workers === undefined ? {} : { workers }), ...(codec ? { codec } : {}) };
}

function streamDescriptor(virtualBytes: number, name: string, options: StreamOptimizedOptions): Descriptor {
  const contentId = options.contentId ?? newContentId();
  return buildDescriptor({
    createType: 'streamOptimized',
    contentId,
    extents: [{ access: 'RW', sectors: capacityInSectors(virtualBytes, name), type: 'SPARSE', file: name }],
    ddb: {
      ...diskDatabase({ virtualBytes, adapterType: options.adapterType ?? 'lsilogic', contentId }),
      ...options.ddb,
    },
  });
}

function leadingSectors(header: SparseHeader, descriptor: Descriptor, name: string): Buffer {
  const bytes = Buffer.alloc(overheadSectors * sectorBytes);
  const text = encodeDescriptor(descriptor, name);
  if (text.length > header.descriptorSectors * sectorBytes) {
    throw new VmdkError('too-large', { file: name, reason: `descriptor of ${text.length} bytes` });
  }
  formatSparseHeader(header).copy(bytes);
  text.copy(bytes, descriptorOffset * sectorBytes);
  return bytes;
}
