import { isZero } from '../size.ts';
import { inOrder } from '../stream/ordered-work.ts';
import type { Block, Disk, RangeOptions } from './disk.ts';

/** Bytes read at once, and how many such reads are ahead. */
const readBytes = 2 ** 20;
const readsAhead = 4;
/** Bytes whose map is asked for at once: the first block does not wait for the map of a whole disk. */
const mapBytes = 256 * 2 ** 20;

/** Blocks of a disk by its map and reads, as `Disk.blocks` promises them. */
export async function* readBlocks(
  disk: Pick<Disk, 'virtualBytes' | 'blockBytes' | 'map' | 'read'>,
  options: RangeOptions = {},
): AsyncGenerator<Block, void, undefined> {
  const reads = inOrder(storedPieces(disk, options), readsAhead, async ({ offset, length }) => ({
    offset,
    data: await disk.read(offset, length),
  }));
  for await (const { offset, data } of reads) {
    options.signal?.throwIfAborted();
    for (const block of cutToBlocks({ offset, data }, disk.blockBytes)) if (!isZero(block.data)) yield block;
  }
}

/** Pieces of a block that do not cross a multiple of `blockBytes`. */
export function* cutToBlocks({ offset, data }: Block, blockBytes: number): Generator<Block, void, undefined> {
  for (let done = 0; done < data.length; ) {
    const at = offset + done;
    const piece = data.subarray(done, done + blockBytes - (at % blockBytes));
    yield { offset: at, data: piece };
    done += piece.length;
  }
}

/** Stored stretches in order, cut to the size of one read. */
async function* storedPieces(
  disk: Pick<Disk, 'virtualBytes' | 'map'>,
  options: RangeOptions,
): AsyncGenerator<{ offset: number; length: number }, void, undefined> {
  const start = options.offset ?? 0;
  const end = start + (options.length ?? disk.virtualBytes - start);
  const signal = options.signal ? { signal: options.signal } : {};
  for (let at = start; at < end; ) {
    const window = Math.min(end - at, mapBytes - (at % mapBytes));
    for await (const { offset, length, state } of disk.map({ offset: at, length: window, ...signal })) {
      for (let done = 0; state === 'data' && done < length; ) {
        const piece = Math.min(length - done, readBytes - ((offset + done) % readBytes));
        yield { offset: offset + done, length: piece };
        done += piece;
      }
    }
    at += window;
  }
}
