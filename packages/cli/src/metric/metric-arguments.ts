import { CliError } from '../errors.ts';

const intervals: Readonly<Record<string, number>> = { real: 20, day: 300, week: 1_800, month: 7_200, year: 86_400 };
const counterName = /^[A-Za-z]+\.[A-Za-z0-9.]+\.(average|minimum|maximum|latest|summation|none)$/;

/** Seconds of an interval that is named, or told in seconds. Throws `usage`. */
export function intervalOf(text: string): number {
  const known = intervals[text];
  if (known !== undefined) return known;
  if (/^\d{1,6}$/.test(text) && Number(text) > 0) return Number(text);
  throw new CliError('usage', `'${text}' is no interval.`, {
    next: `Use ${Object.keys(intervals).join(', ')}, or seconds.`,
  });
}

/** Objects and counters, in any order: counters have names such as `cpu.usage.average`. Throws `usage`. */
export function whatIsAsked(words: readonly string[]): {
  readonly objects: readonly string[];
  readonly counters: readonly string[];
} {
  const counters = words.filter((word) => counterName.test(word));
  const objects = words.filter((word) => !counterName.test(word));
  if (counters.length === 0)
    throw new CliError('usage', 'No counter is named.', { next: "'hypo metric ls OBJECT' lists them." });
  if (objects.length === 0) throw new CliError('usage', 'It does not say whose samples.');
  return { objects, counters };
}
