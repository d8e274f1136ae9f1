import type { PerfInterval } from '../../generated/types.ts';
import { data } from '../../schema/data.ts';
import type { Persistence } from '../persistence.ts';
import { checkLevel, invalid } from './counter-levels.ts';

const collection = 'performance';
const documentKey = 'intervals';
const day = 86_400;
const year = 365 * day;
/** Most intervals: each is a copy of everything. */
const intervalLimit = 8;

/** A kept interval: seconds of one sample, and seconds for which samples are kept. */
export interface HistoricalInterval {
  readonly key: number;
  readonly name: string;
  readonly samplingPeriod: number;
  readonly length: number;
  readonly level: number;
  readonly enabled: boolean;
}

const standard: readonly HistoricalInterval[] = [
  { key: 1, name: 'Past day', samplingPeriod: 300, length: day, level: 1, enabled: true },
  { key: 2, name: 'Past week', samplingPeriod: 1_800, length: 7 * day, level: 1, enabled: true },
  { key: 3, name: 'Past month', samplingPeriod: 7_200, length: 30 * day, level: 1, enabled: true },
  { key: 4, name: 'Past year', samplingPeriod: day, length: year, level: 1, enabled: true },
];

/** The intervals of history, finest first; each is rolled up from a finer one. */
export class HistoricalIntervals {
  readonly #persistence: Persistence;
  #all: readonly HistoricalInterval[];

  private constructor(persistence: Persistence, all: readonly HistoricalInterval[]) {
    this.#persistence = persistence;
    this.#all = all;
  }

  static async open(persistence: Persistence): Promise<HistoricalIntervals> {
    const kept = await persistence.get<readonly HistoricalInterval[]>(collection, documentKey);
    return new HistoricalIntervals(persistence, kept ?? standard);
  }

  all(): readonly HistoricalInterval[] {
    return this.#all;
  }

  enabled(): HistoricalInterval[] {
    return this.#all.filter(({ enabled }) => enabled);
  }

  find(samplingPeriod: number): HistoricalInterval | undefined {
    return this.#all.find((interval) => interval.samplingPeriod === samplingPeriod);
  }

  infos(): PerfInterval[] {
    return this.#all.map((interval) => data('PerfInterval', { ...interval }));
  }

  /** The finer interval that one is rolled up from. */
  sourceOf(interval: HistoricalInterval): HistoricalInterval | undefined {
    return this.enabled().findLast(
      ({ samplingPeriod }) =>
        samplingPeriod < interval.samplingPeriod && interval.samplingPeriod % samplingPeriod === 0,
    );
  }

  /** Adds an interval between or beyond the standard ones. InvalidArgument. */
  async create(asked: PerfInterval): Promise<void> {
    const { key, name, samplingPeriod, length, level = 1, enabled } = asked;
    if (this.#all.length >= intervalLimit) throw invalid('intervalId', `There are at most ${intervalLimit} intervals.`);
    if (this.#all.some((other) => other.key === key)) throw invalid('intervalId.key', `Interval ${key} is there.`);
    if (this.find(samplingPeriod) !== undefined)
      throw invalid('intervalId.samplingPeriod', `There is an interval of ${samplingPeriod} seconds.`);
    await this.#set(
      [...this.#all, { key, name: name.slice(0, 80), samplingPeriod, length, level, enabled }],
      'intervalId',
    );
  }

  /** Changes an interval, found by its key. Answers the period that it had, where that is another. InvalidArgument. */
  async update(asked: PerfInterval): Promise<number | undefined> {
    const { key, samplingPeriod, length, enabled } = asked;
    const before = this.#all.find((interval) => interval.key === key);
    if (before === undefined) throw invalid('interval.key', `There is no interval ${key}.`);
    const after = { ...before, samplingPeriod, length, enabled, level: asked.level ?? before.level };
    if (samplingPeriod !== before.samplingPeriod && (key !== 1 || ![60, 120, 180, 300].includes(samplingPeriod)))
      throw invalid('interval.samplingPeriod', 'Only the first interval has another period: 1, 2, 3 or 5 minutes.');
    const longest = key === 1 ? 5 * day : key === 4 ? 5 * year : before.length;
    if (length !== before.length && (length < (standard[key - 1]?.length ?? length) || length > longest))
      throw invalid('interval.length', 'The first interval is kept for 1 to 5 days, the last for 1 to 5 years.');
    await this.#set(
      this.#all.map((interval) => (interval === before ? after : interval)),
      'interval',
    );
    return before.samplingPeriod === samplingPeriod ? undefined : before.samplingPeriod;
  }

  /** Takes away an interval that was added. InvalidArgument for the standard ones, which can be disabled. */
  async remove(samplingPeriod: number): Promise<void> {
    const interval = this.find(samplingPeriod);
    if (interval === undefined) throw invalid('samplePeriod', `There is no interval of ${samplingPeriod} seconds.`);
    if (standard.some(({ key }) => key === interval.key))
      throw invalid('samplePeriod', `'${interval.name}' is a standard interval: disable it instead.`);
    await this.#set(
      this.#all.filter((other) => other !== interval),
      'samplePeriod',
    );
  }

  async #set(intervals: readonly HistoricalInterval[], argument: string): Promise<void> {
    const all = intervals.toSorted((a, b) => a.samplingPeriod - b.samplingPeriod);
    checkTogether(all, argument);
    await this.#persistence.transact([{ put: { collection, key: documentKey, value: all } }]);
    this.#all = all;
  }
}

/** An interval is made of a finer one, which is enabled, keeps at least as much, and reaches as far as one sample. */
function checkTogether(all: readonly HistoricalInterval[], argument: string): void {
  for (const [index, interval] of all.entries()) {
    const { name, samplingPeriod, length, level, enabled } = interval;
    checkLevel(level, `${argument}.level`);
    if (!Number.isInteger(samplingPeriod) || samplingPeriod < 60 || length < samplingPeriod || length > 5 * year)
      throw invalid(
        `${argument}.samplingPeriod`,
        `'${name}' needs a period of at least a minute, and a length beyond it.`,
      );
    if (length / samplingPeriod > 20_000) throw invalid(`${argument}.length`, `'${name}' would have too many samples.`);
    if (index === 0 || !enabled) continue;
    const finer = all.slice(0, index);
    if (finer.some((other) => !other.enabled))
      throw invalid(
        `${argument}.enabled`,
        `'${name}' is rolled up from finer intervals, and one of those is disabled.`,
      );
    if (finer.some((other) => other.level < level))
      throw invalid(`${argument}.level`, `'${name}' cannot keep more than the finer intervals that it is made of.`);
    const source = finer.findLast((other) => samplingPeriod % other.samplingPeriod === 0);
    if (source === undefined || source.length < samplingPeriod)
      throw invalid(`${argument}.samplingPeriod`, `'${name}' is no multiple of a finer interval that reaches as far.`);
  }
}
