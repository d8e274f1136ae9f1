import { isZero } from '../size.ts';
import { inOrder } from '../stream/ordered-work.ts';
import type { Block, Disk, RangeOptions } from './disk.ts';

/** Bytes read at once, and how many such reads are ahead. */
const readAheadBytes = 2 ** 20;
const readsAhead = 4;

/** The `blocks` of a disk that can tell its map and read. */
export async function* readBlocks(
  disk: Pick<Disk, 'map' | 'read' | 'blockBytes'>,
  options: RangeOptions,
): AsyncGenerator<Block, void, undefined> {
  const reads = inOrder(stored(disk, options), readsAhead, async ({ offset, length }) => ({
    offset,
    data: await disk.read(offset, length),
  }));
  for await (const { offset, data } of reads) {
    options.signal?.throwIfAborted();
    for (let done = 0; done < data.length; ) {
      const at = offset + done;
      const piece = data.subarray(done, done + disk.blockBytes - (at % disk.blockBytes));
      if (!isZero(piece)) yield { offset: at, data: piece };
      done += piece.length;
    }
  }
}

/** Stretches of data, cut at multiples of the read-ahead. */
async function* stored(disk: Pick<Disk, 'map'>, options: RangeOptions) {
  for await (const { offset, length, state } of disk.map(options)) {
    if (state !== 'data') continue;
    for (let at = offset; at < offset + length; ) {
      const piece = Math.min(offset + length - at, readAheadBytes - (at % readAheadBytes));
      yield { offset: at, length: piece };
      at += piece;
    }
  }
}
