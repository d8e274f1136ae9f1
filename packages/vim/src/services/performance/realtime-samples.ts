import type { ManagedObjectReference } from '../../schema/values.ts';
import { counterKey, extremes } from './counter-table.ts';
import { type CurrentRequest, type CurrentSamples, currentInterval } from './current-samples.ts';
import { ringLength, SampleRing } from './sample-ring.ts';
import {
  type EntitySamples,
  inOrder,
  lastOf,
  missing,
  noSamples,
  type SampleRange,
  type SeriesId,
  wantedSeries,
} from './samples.ts';

/** Most series of one entity: what a client can add to a machine does not grow memory without bound. */
const seriesLimit = 4_096;
const milliseconds = currentInterval * 1000;
/** Counters of space: it may be more than 4 TiB in KiB, and only history tells of it. */
const space = new Set(
  ['disk.used.latest', 'disk.provisioned.latest', 'disk.capacity.latest', 'disk.unshared.latest'].map(counterKey),
);

const isCurrent = (counterId: number) => !space.has(counterId);

/** The tick that a time in milliseconds belongs to. */
export function tickOf(time: number): number {
  return Math.floor(time / milliseconds);
}

/** Counters of extremes, by the counter of averages that has their samples. */
const extremesOf = Map.groupBy(extremes.keys(), (extreme) => extremes.get(extreme));

interface Series extends SeriesId {
  readonly ring: SampleRing;
}

/** Takes the samples of one entity at one tick. */
export interface SampleWriter {
  set(counterId: number, value: number | undefined, instance?: string): void;
}

class EntityRings implements SampleWriter {
  readonly #wholes = new Map<number, Series>();
  readonly #parts = new Map<string, Map<number, Series>>();
  #size = 0;
  tick = -1;

  /** Values that are not known are left out. */
  set(counterId: number, value: number | undefined, instance = ''): void {
    if (value === undefined || !Number.isFinite(value)) return;
    this.#ring(counterId, instance)?.set(this.tick, value);
  }

  *series(): Iterable<Series> {
    yield* this.#wholes.values();
    for (const part of this.#parts.values()) yield* part.values();
  }

  find(counterId: number, instance: string): Series | undefined {
    return instance === '' ? this.#wholes.get(counterId) : this.#parts.get(instance)?.get(counterId);
  }

  /** Forgets series that ended before the tick; answers whether any is left. */
  prune(before: number): boolean {
    for (const { counterId, instance, ring } of this.series()) {
      if (ring.newest >= before) continue;
      this.#size -= 1;
      if (instance === '') this.#wholes.delete(counterId);
      else {
        const part = this.#parts.get(instance);
        part?.delete(counterId);
        if (part?.size === 0) this.#parts.delete(instance);
      }
    }
    return this.#size > 0;
  }

  #ring(counterId: number, instance: string): SampleRing | undefined {
    const known = this.find(counterId, instance);
    if (known !== undefined) return known.ring;
    if (this.#size >= seriesLimit) return undefined;
    this.#size += 1;
    const series = { counterId, instance, ring: new SampleRing(space.has(counterId)) };
    if (instance === '') this.#wholes.set(counterId, series);
    else {
      const part = this.#parts.get(instance) ?? new Map<number, Series>();
      this.#parts.set(instance, part.set(counterId, series));
    }
    return series.ring;
  }
}

/** The last hour of everything that is measured here: 720 bytes a series, in memory only. */
export class RealtimeSamples implements CurrentSamples {
  readonly #types: ReadonlySet<string>;
  readonly #entities = new Map<string, EntityRings>();
  #pruned = 0;

  /** `types` are those of the entities that are measured. */
  constructor(types: readonly string[]) {
    this.#types = new Set(types);
  }

  /** The writer for an entity's samples of a tick. Ticks rise. */
  at(entity: string, tick: number): SampleWriter {
    let rings = this.#entities.get(entity);
    if (rings === undefined) {
      rings = new EntityRings();
      this.#entities.set(entity, rings);
    }
    rings.tick = tick;
    return rings;
  }

  /** Forgets what has not been measured for an hour. */
  prune(tick: number): void {
    if (tick < this.#pruned + ringLength / 10) return;
    this.#pruned = tick;
    for (const [entity, rings] of this.#entities) if (!rings.prune(tick - ringLength)) this.#entities.delete(entity);
  }

  forget(entity: string): void {
    this.#entities.delete(entity);
  }

  entities(): IterableIterator<string> {
    return this.#entities.keys();
  }

  supports(entity: ManagedObjectReference): boolean {
    return this.#types.has(entity.type);
  }

  /** Value at the last look, when that was at most two ticks ago. */
  latest(entity: string, counterId: number, instance: string, now: number): number | undefined {
    const ring = this.#entities.get(entity)?.find(extremes.get(counterId) ?? counterId, instance)?.ring;
    if (ring === undefined || ring.newest < tickOf(now) - 2) return undefined;
    const value = ring.get(ring.newest);
    return value === missing ? undefined : value;
  }

  async available(entity: ManagedObjectReference, range: SampleRange): Promise<readonly SeriesId[]> {
    const { series } = this.samples(entity.value, range, isCurrent);
    return series.map(({ counterId, instance }) => ({ counterId, instance }));
  }

  async read(requests: readonly CurrentRequest[]): Promise<readonly EntitySamples[]> {
    return requests.map(({ entity, range, wanted, limit }) => {
      const isWanted = wantedSeries(wanted);
      const isShown = (counterId: number, instance: string) => isCurrent(counterId) && isWanted(counterId, instance);
      return lastOf(this.samples(entity.value, range, isShown), limit);
    });
  }

  /** One sample is its own least and greatest: counters of extremes are there wherever those of averages are. */
  samples(
    entity: string,
    { after, until }: SampleRange,
    isWanted: (counterId: number, instance: string) => boolean,
  ): EntitySamples {
    const rings = this.#entities.get(entity);
    if (rings === undefined) return noSamples;
    const newest = Math.min(rings.tick, until === undefined ? rings.tick : tickOf(until));
    const oldest = Math.max(rings.tick - ringLength + 1, after === undefined ? 0 : tickOf(after) + 1);
    const found: Series[] = [];
    for (const series of rings.series()) {
      const { counterId, instance, ring } = series;
      if (isWanted(counterId, instance)) found.push(series);
      for (const extreme of extremesOf.get(counterId) ?? [])
        if (isWanted(extreme, instance)) found.push({ counterId: extreme, instance, ring });
    }
    const ticks: number[] = [];
    for (let tick = oldest; tick <= newest; tick += 1)
      if (found.some(({ ring }) => ring.get(tick) !== missing)) ticks.push(tick);
    const series = found.flatMap(({ counterId, instance, ring }) => {
      const values = ticks.map((tick) => ring.get(tick));
      return values.some((value) => value !== missing) ? [{ counterId, instance, values }] : [];
    });
    return { times: ticks.map((tick) => tick * milliseconds), series: inOrder(series) };
  }
}
