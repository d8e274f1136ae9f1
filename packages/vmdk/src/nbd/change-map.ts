import type { RangeOptions } from '../disk/disk.ts';
import { VmdkError } from '../errors.ts';

/** A stretch of a disk, and whether it changed. */
export interface ChangedRange {
  readonly offset: number;
  readonly length: number;
  readonly changed: boolean;
}

/** What changed on a disk since some moment. */
export interface ChangeMap {
  /** Such as `since-monday`. NBD clients know it as `qemu:dirty-bitmap:since-monday`. */
  readonly name: string;
  /** Ranges of the stretch asked for, in order, without gaps. */
  changes(options: RangeOptions): AsyncIterable<ChangedRange>;
}

/** A change map of changed stretches that are known: in order, apart from each other, within the disk. */
export function changeMapOf(
  name: string,
  virtualBytes: number,
  changed: readonly { readonly offset: number; readonly length: number }[],
): ChangeMap {
  let reach = 0;
  for (const { offset, length } of changed) {
    if (!(Number.isSafeInteger(offset + length) && offset >= reach && length > 0 && offset + length <= virtualBytes)) {
      const reason = `${length} bytes at ${offset} are out of order or outside the ${virtualBytes} of the disk`;
      throw new VmdkError('change-map-invalid', { file: name, reason });
    }
    reach = offset + length;
  }
  return {
    name,
    async *changes({ offset: start = 0, length = virtualBytes - start }) {
      const end = start + length;
      let at = start;
      for (let index = firstReaching(changed, start); at < end; index += 1) {
        const range = changed[index] ?? { offset: end, length: 0 };
        const from = Math.min(range.offset, end);
        if (from > at) yield { offset: at, length: from - at, changed: false };
        at = Math.max(at, from);
        const to = Math.min(range.offset + range.length, end);
        if (to > at) yield { offset: at, length: to - at, changed: true };
        at = Math.max(at, to);
      }
    },
  };
}

/** Index of the first stretch that ends after `start`. */
function firstReaching(ranges: readonly { readonly offset: number; readonly length: number }[], start: number): number {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const { offset, length } = ranges[middle] as { offset: number; length: number };
    if (offset + length > start) high = middle;
    else low = middle + 1;
  }
  return low;
}
