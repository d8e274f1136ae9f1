import type { Block, Disk } from '../disk/disk.ts';
import { VmdkError } from '../errors.ts';

/** An aligned stretch of a disk in which something is stored. */
export interface DiskBatch {
  readonly offset: number;
  /** Less than a whole batch at the end of the disk. */
  readonly bytes: number;
  /** Puts the bytes there; what is not stored becomes zeros. */
  fill(target: Uint8Array): Promise<void>;
}

interface Span {
  readonly start: number;
  readonly end: number;
}

/** Batches of a disk, in order, without those in which nothing is stored. */
export async function* diskBatches(
  disk: Pick<Disk, 'virtualBytes' | 'map' | 'readInto'>,
  batchBytes: number,
  signal?: AbortSignal,
): AsyncGenerator<DiskBatch, void, undefined> {
  let spans: Span[] = [];
  let offset = 0;
  const batch = (): DiskBatch => {
    const [start, stored] = [offset, spans];
    const bytes = Math.min(batchBytes, disk.virtualBytes - start);
    return { offset: start, bytes, fill: (target) => readSpans(disk, start, stored, target.subarray(0, bytes)) };
  };
  for await (const range of disk.map(signal ? { signal } : {})) {
    if (range.state !== 'data') continue;
    const end = range.offset + range.length;
    for (let at = range.offset; at < end; ) {
      const start = at - (at % batchBytes);
      if (start !== offset && spans.length > 0) {
        yield batch();
        spans = [];
      }
      offset = start;
      const upTo = Math.min(end, start + batchBytes);
      spans.push({ start: at, end: upTo });
      at = upTo;
    }
  }
  if (spans.length > 0) yield batch();
}

async function readSpans(
  disk: Pick<Disk, 'readInto'>,
  offset: number,
  spans: readonly Span[],
  target: Uint8Array,
): Promise<void> {
  let filled = offset;
  for (const { start, end } of spans) {
    target.fill(0, filled - offset, start - offset);
    await disk.readInto(target.subarray(start - offset, end - offset), start);
    filled = end;
  }
  target.fill(0, filled - offset);
}

/** Batches of ascending blocks of any size. Throws `block-order`. */
export async function* blockBatches(
  blocks: AsyncIterable<Block>,
  batchBytes: number,
  virtualBytes: number,
  file: string,
): AsyncGenerator<DiskBatch, void, undefined> {
  let end = 0;
  let start = 0;
  let pieces: Block[] = [];
  const batch = (): DiskBatch => {
    const [offset, stored] = [start, pieces];
    const bytes = Math.min(batchBytes, virtualBytes - offset);
    return { offset, bytes, fill: async (target) => copyPieces(offset, stored, target.subarray(0, bytes)) };
  };
  for await (const { offset, data } of blocks) {
    if (!Number.isSafeInteger(offset) || offset < end || offset + data.length > virtualBytes) {
      const reason = `${data.length} bytes at ${offset}, after ${end} of ${virtualBytes}`;
      throw new VmdkError('block-order', { file, reason });
    }
    end = offset + data.length;
    for (let at = offset; at < end; ) {
      const first = at - (at % batchBytes);
      if (first !== start && pieces.length > 0) {
        yield batch();
        pieces = [];
      }
      start = first;
      const upTo = Math.min(end, first + batchBytes);
      pieces.push({ offset: at, data: data.subarray(at - offset, upTo - offset) });
      at = upTo;
    }
  }
  if (pieces.length > 0) yield batch();
}

function copyPieces(offset: number, pieces: readonly Block[], target: Uint8Array): void {
  let filled = offset;
  for (const piece of pieces) {
    target.fill(0, filled - offset, piece.offset - offset);
    target.set(piece.data, piece.offset - offset);
    filled = piece.offset + piece.data.length;
  }
  target.fill(0, filled - offset);
}
