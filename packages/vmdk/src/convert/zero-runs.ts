import { isZero } from '../size.ts';

const blockBytes = 4096;
/** Fewer zeros than this are written: a hole costs a write more and breaks the file up. */
const leastHoleBytes = 32768;

/** A stretch of a buffer. */
export interface Stretch {
  readonly start: number;
  readonly end: number;
}

/** Stretches that hold something, in multiples of 4096 bytes, with holes worth having between them. */
export function storedStretches(data: Uint8Array): Stretch[] {
  const stretches: Stretch[] = [];
  let start = -1;
  let end = 0;
  for (let at = 0; at < data.length; at += blockBytes) {
    // Most blocks of zeros begin with some, and most others do not: the long look is seldom in vain.
    if (data[at] === 0 && isZero(data.subarray(at, at + blockBytes))) continue;
    if (start >= 0 && at - end >= leastHoleBytes) {
      stretches.push({ start, end });
      start = at;
    } else if (start < 0) start = at;
    end = Math.min(at + blockBytes, data.length);
  }
  if (start >= 0) stretches.push({ start, end });
  return stretches;
}
