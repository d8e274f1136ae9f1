import type { Block } from '../disk/disk.ts';
import { VmdkError } from '../errors.ts';
import { isZero } from '../size.ts';

/** A whole grain that is not all zero, padded with zeros at the end of the disk. */
export interface WholeGrain {
  readonly index: number;
  readonly data: Uint8Array;
}

/** Puts ascending blocks of any size together to whole grains and leaves out the zero ones. */
export async function* wholeGrains(
  blocks: AsyncIterable<Block>,
  grainBytes: number,
  virtualBytes: number,
  file: string,
): AsyncGenerator<WholeGrain, void, undefined> {
  let end = 0;
  let index = -1;
  let grain: Buffer | undefined;
  for await (const { offset, data } of blocks) {
    if (!Number.isSafeInteger(offset) || offset < end || offset + data.length > virtualBytes) {
      const reason = `${data.length} bytes at ${offset}, after ${end} of ${virtualBytes}`;
      throw new VmdkError('block-order', { file, reason });
    }
    end = offset + data.length;
    for (let done = 0; done < data.length; ) {
      const at = offset + done;
      const within = at % grainBytes;
      const piece = data.subarray(done, done + grainBytes - within);
      const next = (at - within) / grainBytes;
      if (next !== index) {
        if (grain && !isZero(grain)) yield { index, data: grain };
        grain = undefined;
        index = next;
      }
      if (piece.length === grainBytes) {
        if (!isZero(piece)) yield { index, data: piece };
      } else {
        grain ??= Buffer.alloc(grainBytes);
        grain.set(piece, within);
      }
      done += piece.length;
    }
  }
  if (grain && !isZero(grain)) yield { index, data: grain };
}
