import type { PerfSummaryType } from '../../generated/types.ts';
import { missing } from './samples.ts';

/** One value for several intervals, as the counter is rolled up; `missing` where none of them has one. */
export function rollUp(rollup: PerfSummaryType, values: Iterable<number>): number {
  let count = 0;
  let sum = 0;
  let least = Number.POSITIVE_INFINITY;
  let greatest = Number.NEGATIVE_INFINITY;
  let last = missing;
  for (const value of values) {
    if (value === missing) continue;
    count += 1;
    sum += value;
    least = Math.min(least, value);
    greatest = Math.max(greatest, value);
    last = value;
  }
  if (count === 0) return missing;
  switch (rollup) {
    case 'average':
      return Math.round(sum / count);
    case 'summation':
      return sum;
    case 'minimum':
      return least;
    case 'maximum':
      return greatest;
    default:
      return last;
  }
}
