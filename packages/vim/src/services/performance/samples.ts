/** One counter of one device of an entity; the instance is empty for the entity as a whole. */
export interface SeriesId {
  readonly counterId: number;
  readonly instance: string;
}

/** Where a value is missing among others of its time. */
export const missing = -1;

export interface SampledSeries extends SeriesId {
  /** One for each of the times: whole numbers, or `missing`. */
  readonly values: ArrayLike<number>;
}

/** What was measured of one entity. A time at which nothing was measured is left out. */
export interface EntitySamples {
  /** Ends of the intervals, rising, in milliseconds since 1970. */
  readonly times: readonly number[];
  readonly series: readonly SampledSeries[];
}

export const noSamples: EntitySamples = { times: [], series: [] };

/** Times of samples in milliseconds: those after `after`, up to and with `until`. */
export interface SampleRange {
  readonly after?: number;
  readonly until?: number;
}

/** Which series are asked for; all of them without. An instance may be `*`: every one, and the whole. */
export type Wanted = readonly SeriesId[] | undefined;

/** A test of series. */
export function wantedSeries(wanted: Wanted): (counterId: number, instance: string) => boolean {
  if (wanted === undefined) return () => true;
  const byCounter = new Map<number, Set<string>>();
  for (const { counterId, instance } of wanted) {
    const instances = byCounter.get(counterId) ?? new Set();
    byCounter.set(counterId, instances.add(instance));
  }
  return (counterId, instance) => {
    const instances = byCounter.get(counterId);
    return instances !== undefined && (instances.has(instance) || instances.has('*'));
  };
}

/** Series in the order of counters, the whole before its parts. */
export function inOrder<T extends SeriesId>(series: T[]): T[] {
  return series.sort(
    (a, b) => a.counterId - b.counterId || (a.instance < b.instance ? -1 : Number(a.instance !== b.instance)),
  );
}

/** The last samples only. */
export function lastOf(samples: EntitySamples, limit: number | undefined): EntitySamples {
  const from = limit === undefined ? 0 : Math.max(0, samples.times.length - limit);
  if (from === 0) return samples;
  const times = samples.times.slice(from);
  const series = samples.series.map((each) => ({ ...each, values: Array.from(each.values).slice(from) }));
  return { times, series };
}
