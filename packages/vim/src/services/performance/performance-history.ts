import { nextTurn, turnEnd } from '../../runtime/event-loop-turn.ts';
import { Turns } from '../../runtime/turns.ts';
import { numberKey, type Persistence, type PersistenceWrite } from '../persistence.ts';
import type { CounterLevels } from './counter-levels.ts';
import type { HistoricalInterval, HistoricalIntervals } from './historical-intervals.ts';
import { rollUp } from './rollup.ts';
import {
  type EntitySamples,
  inOrder,
  missing,
  type SampleRange,
  type SeriesId,
  type Wanted,
  wantedSeries,
} from './samples.ts';

/** Values of one entity in one interval, by `counter` or `counter/instance`. */
export type IntervalValues = Readonly<Record<string, number>>;
/** Values of some entities in one interval: a document. */
type Document = Record<string, IntervalValues>;

export interface IntervalSample {
  readonly entity: string;
  /** End of the interval, in milliseconds since 1970. */
  readonly time: number;
  readonly values: IntervalValues;
}

export interface HistoryRequest {
  readonly entity: string;
  readonly range: SampleRange;
  readonly wanted: Wanted;
}

/** Documents of an interval: whoever reads one entity reads few others with it, and few documents are written. */
const shards = 256;
const progressCollection = 'performance-progress';
const trimSeconds = 3_600;
/** Documents read at a time. */
const chunk = 256;

/**
 * Samples of past intervals, kept in the store: a document for each of up to 256 groups of entities and each interval.
 * What was added is durable once `add` has resolved; coarser intervals are rolled up from finer ones, again if need be.
 */
export class PerformanceHistory {
  readonly #persistence: Persistence;
  readonly #intervals: HistoricalIntervals;
  readonly #levels: CounterLevels;
  /** Second up to which an interval was rolled up, and trimmed. */
  readonly #rolledTo = new Map<number, number>();
  readonly #trimmedAt = new Map<number, number>();
  /** One change at a time: documents are read before they are written. */
  readonly #turns = new Turns();

  private constructor(persistence: Persistence, intervals: HistoricalIntervals, levels: CounterLevels) {
    this.#persistence = persistence;
    this.#intervals = intervals;
    this.#levels = levels;
  }

  static async open(options: {
    readonly persistence: Persistence;
    readonly intervals: HistoricalIntervals;
    readonly levels: CounterLevels;
  }): Promise<PerformanceHistory> {
    const history = new PerformanceHistory(options.persistence, options.intervals, options.levels);
    for (const { key, value } of await options.persistence.list<number>(progressCollection))
      history.#rolledTo.set(Number(key), value);
    return history;
  }

  /** Adds samples of the finest interval, in any order; what is there of the same time is kept beside them. */
  async add(samples: readonly IntervalSample[]): Promise<void> {
    await this.#turns.take(async () => {
      const [finest, ...coarser] = this.#intervals.enabled();
      if (finest === undefined || samples.length === 0) return;
      for (const [shard, own] of Map.groupBy(samples, ({ entity }) => shardOf(entity))) {
        if (performance.now() >= turnEnd()) await nextTurn();
        await this.#merge(finest.samplingPeriod, shard, own);
        for (const interval of coarser) await this.#againWhereLate(interval, shard, own);
      }
    });
  }

  /** Rolls up every interval that has ended by `now`, and lets go of what is too old. Milliseconds since 1970. */
  async settle(now: number): Promise<void> {
    await this.#turns.take(async () => {
      const seconds = Math.floor(now / 1000);
      const intervals = this.#intervals.enabled();
      for (const interval of intervals) {
        const source = this.#intervals.sourceOf(interval);
        if (source !== undefined) await this.#settleInterval(interval, source, seconds);
      }
      // Once all that is made of it was made.
      for (const interval of intervals) await this.#trim(interval, seconds);
    });
  }

  /** Lets go of all samples of a period that no interval has any more. */
  async forget(samplingPeriod: number): Promise<void> {
    await this.#turns.take(async () => {
      this.#rolledTo.delete(samplingPeriod);
      await this.#persistence.transact([
        { deleteRange: { collection: collectionOf(samplingPeriod) } },
        { delete: { collection: progressCollection, key: String(samplingPeriod) } },
      ]);
    });
  }

  /** Samples in the order of the requests. */
  async read(interval: HistoricalInterval, requests: readonly HistoryRequest[], now: number): Promise<EntitySamples[]> {
    const found = new Map<HistoryRequest, EntitySamples>();
    for (const [shard, own] of Map.groupBy(requests, ({ entity }) => shardOf(entity))) {
      const builders = own.map((request) => ({ request, builder: new SamplesBuilder(request.wanted) }));
      const range = {
        after: Math.min(...own.map((request) => request.range.after ?? 0)),
        until: Math.max(...own.map((request) => request.range.until ?? Number.POSITIVE_INFINITY)),
      };
      for await (const { seconds, document } of this.#documents(interval, shard, keptOf(interval, range, now))) {
        for (const { request, builder } of builders) {
          const time = seconds * 1000;
          const { after = 0, until = Number.POSITIVE_INFINITY } = request.range;
          if (time > after && time <= until) builder.add(time, document[request.entity]);
        }
      }
      for (const { request, builder } of builders) found.set(request, builder.samples());
    }
    return requests.map((request) => found.get(request) as EntitySamples);
  }

  /** Series with a value in the range. */
  async available(
    interval: HistoricalInterval,
    entity: string,
    range: SampleRange,
    now: number,
  ): Promise<readonly SeriesId[]> {
    const keys = new Set<string>();
    for await (const { document } of this.#documents(interval, shardOf(entity), keptOf(interval, range, now)))
      for (const key in document[entity]) keys.add(key);
    return inOrder([...keys].map(parseSeriesKey));
  }

  /** Documents from one second to another, both included. */
  async *#documents(
    { samplingPeriod }: HistoricalInterval,
    shard: string,
    { oldest, newest }: { readonly oldest: number; readonly newest: number },
  ): AsyncIterable<{ readonly seconds: number; readonly document: Document }> {
    for (let from = oldest; from <= newest; ) {
      const entries = await this.#persistence.list<Document>(collectionOf(samplingPeriod), {
        from: documentKey(shard, from),
        to: documentKey(shard, newest + 1),
        limit: chunk,
      });
      for (const { key, value } of entries) {
        const seconds = Number(key.slice(shard.length + 1));
        from = seconds + 1;
        yield { seconds, document: value };
        if (performance.now() >= turnEnd()) await nextTurn();
      }
      if (entries.length < chunk) return;
    }
  }

  async #merge(samplingPeriod: number, shard: string, samples: readonly IntervalSample[]): Promise<void> {
    const collection = collectionOf(samplingPeriod);
    const writes: PersistenceWrite[] = [];
    for (const [time, own] of Map.groupBy(samples, (sample) => Math.floor(sample.time / 1000))) {
      const key = documentKey(shard, time);
      const document: Document = { ...(await this.#persistence.get<Document>(collection, key)) };
      for (const { entity, values } of own) document[entity] = { ...document[entity], ...values };
      writes.push({ put: { collection, key, value: document } });
    }
    await this.#persistence.transact(writes);
  }

  /** Samples that come after their interval was rolled up, such as those of a host that was away. */
  async #againWhereLate(
    interval: HistoricalInterval,
    shard: string,
    samples: readonly IntervalSample[],
  ): Promise<void> {
    const source = this.#intervals.sourceOf(interval);
    const { samplingPeriod } = interval;
    const rolledTo = this.#rolledTo.get(samplingPeriod) ?? 0;
    if (source === undefined) return;
    const ends = new Set(samples.map(({ time }) => Math.ceil(time / 1000 / samplingPeriod) * samplingPeriod));
    for (const end of ends)
      if (end <= rolledTo) await this.#rollUp(interval, source, shard, { after: end - samplingPeriod, until: end });
  }

  async #settleInterval(interval: HistoricalInterval, source: HistoricalInterval, seconds: number): Promise<void> {
    const { samplingPeriod } = interval;
    const until = Math.floor(seconds / samplingPeriod) * samplingPeriod;
    const oldest = Math.floor((seconds - interval.length) / samplingPeriod) * samplingPeriod;
    const after = Math.max(this.#rolledTo.get(samplingPeriod) ?? 0, oldest);
    if (until <= after) return;
    for (let shard = 0; shard < shards; shard += 1) {
      if (performance.now() >= turnEnd()) await nextTurn();
      await this.#rollUp(interval, source, shardName(shard), { after, until });
    }
    await this.#persistence.transact([
      { put: { collection: progressCollection, key: String(samplingPeriod), value: until } },
    ]);
    this.#rolledTo.set(samplingPeriod, until);
  }

  /** `after` and `until` are seconds at ends of the interval. */
  async #rollUp(
    { samplingPeriod, level }: HistoricalInterval,
    source: HistoricalInterval,
    shard: string,
    { after, until }: { readonly after: number; readonly until: number },
  ): Promise<void> {
    const writes: PersistenceWrite[] = [];
    let end = 0;
    let collected: Document[] = [];
    const finish = () => {
      if (collected.length === 0) return;
      const value = this.#rolledUp(collected, level);
      writes.push({ put: { collection: collectionOf(samplingPeriod), key: documentKey(shard, end), value } });
      collected = [];
    };
    for await (const { seconds, document } of this.#documents(source, shard, { oldest: after + 1, newest: until })) {
      const own = Math.ceil(seconds / samplingPeriod) * samplingPeriod;
      if (own !== end) finish();
      end = own;
      collected.push(document);
    }
    finish();
    if (writes.length > 0) await this.#persistence.transact(writes);
  }

  /** Documents in the order of time as one. */
  #rolledUp(documents: readonly Document[], level: number): Document {
    const collected = new Map<string, Map<string, number[]>>();
    for (const document of documents) {
      for (const [entity, values] of Object.entries(document)) {
        const series = collected.get(entity) ?? new Map<string, number[]>();
        collected.set(entity, series);
        for (const [key, value] of Object.entries(values)) {
          const list = series.get(key);
          if (list === undefined) series.set(key, [value]);
          else list.push(value);
        }
      }
    }
    const result: Document = {};
    for (const [entity, series] of collected) {
      const values: Record<string, number> = {};
      for (const [key, list] of series) {
        const { counterId, instance } = parseSeriesKey(key);
        const rollup = this.#levels.rollupOf(counterId);
        if (rollup !== undefined && this.#levels.isKept(counterId, instance, level)) values[key] = rollUp(rollup, list);
      }
      result[entity] = values;
    }
    return result;
  }

  async #trim({ samplingPeriod, length }: HistoricalInterval, seconds: number): Promise<void> {
    if (seconds < (this.#trimmedAt.get(samplingPeriod) ?? 0) + Math.max(trimSeconds, samplingPeriod)) return;
    this.#trimmedAt.set(samplingPeriod, seconds);
    const collection = collectionOf(samplingPeriod);
    await this.#persistence.transact(
      Array.from({ length: shards }, (_, shard) => ({
        deleteRange: {
          collection,
          from: documentKey(shardName(shard), 0),
          to: documentKey(shardName(shard), seconds - length),
        },
      })),
    );
  }
}

class SamplesBuilder {
  readonly #isWanted: (counterId: number, instance: string) => boolean;
  readonly #times: number[] = [];
  readonly #series = new Map<string, (SeriesId & { readonly values: number[] }) | undefined>();

  constructor(wanted: Wanted) {
    this.#isWanted = wantedSeries(wanted);
  }

  add(time: number, values: IntervalValues | undefined): void {
    if (values === undefined) return;
    const at = this.#times.length;
    let any = false;
    for (const key in values) {
      const series = this.#of(key);
      if (series === undefined) continue;
      any = true;
      while (series.values.length < at) series.values.push(missing);
      series.values.push(values[key] ?? missing);
    }
    if (any) this.#times.push(time);
  }

  samples(): EntitySamples {
    const series = [...this.#series.values()].flatMap((each) => each ?? []);
    for (const { values } of series) while (values.length < this.#times.length) values.push(missing);
    return { times: this.#times, series: inOrder(series) };
  }

  #of(key: string) {
    if (this.#series.has(key)) return this.#series.get(key);
    const { counterId, instance } = parseSeriesKey(key);
    const series = this.#isWanted(counterId, instance) ? { counterId, instance, values: [] } : undefined;
    this.#series.set(key, series);
    return series;
  }
}

/** What of a range is kept, in seconds. */
function keptOf({ samplingPeriod, length }: HistoricalInterval, range: SampleRange, now: number) {
  const { after = 0, until = Number.POSITIVE_INFINITY } = range;
  return {
    oldest: Math.max(Math.floor(after / 1000) + 1, Math.floor(now / 1000) - length, 0),
    newest: Math.min(Math.floor(until / 1000), Math.ceil(now / 1000) + samplingPeriod),
  };
}

/** A series as a member of a document. */
export function seriesKey(counterId: number, instance: string): string {
  return instance === '' ? String(counterId) : `${counterId}/${instance}`;
}

function parseSeriesKey(key: string): SeriesId {
  const slash = key.indexOf('/');
  return slash === -1
    ? { counterId: Number(key), instance: '' }
    : { counterId: Number(key.slice(0, slash)), instance: key.slice(slash + 1) };
}

function collectionOf(samplingPeriod: number): string {
  return `performance-${samplingPeriod}`;
}

function documentKey(shard: string, seconds: number): string {
  return `${shard}/${numberKey(Math.max(0, seconds))}`;
}

function shardName(shard: number): string {
  return shard.toString(16).padStart(2, '0');
}

/** FNV-1a, folded. */
function shardOf(entity: string): string {
  let hash = 0x811c_9dc5;
  for (let at = 0; at < entity.length; at += 1) hash = Math.imul(hash ^ entity.charCodeAt(at), 0x0100_0193);
  return shardName((hash ^ (hash >>> 8) ^ (hash >>> 16) ^ (hash >>> 24)) & (shards - 1));
}
