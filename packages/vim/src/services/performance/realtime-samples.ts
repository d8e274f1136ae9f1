import type { ManagedObjectReference } from '../../schema/values.ts';
import { counterKey, extremes } from './counter-table.ts';
import { type CurrentRequest, type CurrentSamples, currentInterval } from './current-samples.ts';
import { hour, SampleColumns } from './sample-columns.ts';
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
  readonly columns: SampleColumns;
  readonly column: number;
}

/** Takes the samples of one entity at one tick. */
export interface SampleWriter {
  set(counterId: number, value: number | undefined, instance?: string): void;
}

/** The last hour of one entity. */
class EntityTable implements SampleWriter {
  readonly #wholes = new Map<number, Series>();
  readonly #parts = new Map<string, Map<number, Series>>();
  readonly #usual = new SampleColumns(false);
  readonly #wide = new SampleColumns(true);
  tick = -1;

  /** Values that are not known are left out. */
  set(counterId: number, value: number | undefined, instance = ''): void {
    if (value === undefined || !Number.isFinite(value)) return;
    const series = this.find(counterId, instance) ?? this.#add(counterId, instance);
    series?.columns.set(series.column, this.tick, value);
  }

  *series(): Iterable<Series> {
    yield* this.#wholes.values();
    for (const part of this.#parts.values()) yield* part.values();
  }

  find(counterId: number, instance: string): Series | undefined {
    return instance === '' ? this.#wholes.get(counterId) : this.#parts.get(instance)?.get(counterId);
  }

  /** The same without series that ended before the tick; this one where none did. */
  pruned(before: number): EntityTable | undefined {
    const all = [...this.series()];
    const lasting = all.filter(({ columns, column }) => columns.newest(column) >= before);
    if (lasting.length === all.length) return this;
    if (lasting.length === 0) return undefined;
    const table = new EntityTable();
    for (let tick = before; tick <= this.tick; tick += 1) {
      table.tick = tick;
      for (const { counterId, instance, columns, column } of lasting) {
        const value = columns.get(column, tick);
        if (value !== missing) table.set(counterId, value, instance);
      }
    }
    table.tick = this.tick;
    return table;
  }

  #add(counterId: number, instance: string): Series | undefined {
    if (this.#usual.size + this.#wide.size >= seriesLimit) return undefined;
    const columns = space.has(counterId) ? this.#wide : this.#usual;
    const series = { counterId, instance, columns, column: columns.add() };
    if (instance === '') this.#wholes.set(counterId, series);
    else {
      const part = this.#parts.get(instance) ?? new Map<number, Series>();
      this.#parts.set(instance, part.set(counterId, series));
    }
    return series;
  }
}

/** The last hour of everything that is measured here: about 720 bytes a series, in memory only. */
export class RealtimeSamples implements CurrentSamples {
  readonly #types: ReadonlySet<string>;
  readonly #entities = new Map<string, EntityTable>();
  #pruned = 0;

  /** `types` are those of the entities that are measured. */
  constructor(types: readonly string[]) {
    this.#types = new Set(types);
  }

  /** The writer for an entity's samples of a tick. Ticks rise. */
  at(entity: string, tick: number): SampleWriter {
    let table = this.#entities.get(entity);
    if (table === undefined) {
      table = new EntityTable();
      this.#entities.set(entity, table);
    }
    table.tick = tick;
    return table;
  }

  /** Forgets what has not been measured for an hour. */
  prune(tick: number): void {
    if (tick < this.#pruned + hour / 10) return;
    this.#pruned = tick;
    for (const [entity, table] of this.#entities) {
      const lasting = table.pruned(tick - hour);
      if (lasting === undefined) this.#entities.delete(entity);
      else if (lasting !== table) this.#entities.set(entity, lasting);
    }
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
    const series = this.#entities.get(entity)?.find(extremes.get(counterId) ?? counterId, instance);
    const newest = series?.columns.newest(series.column) ?? -1;
    if (series === undefined || newest < tickOf(now) - 2) return undefined;
    const value = series.columns.get(series.column, newest);
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
    const table = this.#entities.get(entity);
    if (table === undefined) return noSamples;
    const newest = Math.min(table.tick, until === undefined ? table.tick : tickOf(until));
    const oldest = Math.max(table.tick - hour + 1, after === undefined ? 0 : tickOf(after) + 1);
    const found: Series[] = [];
    for (const series of table.series()) {
      const { counterId, instance } = series;
      if (isWanted(counterId, instance)) found.push(series);
      for (const extreme of extremesOf.get(counterId) ?? [])
        if (isWanted(extreme, instance)) found.push({ ...series, counterId: extreme });
    }
    const ticks: number[] = [];
    for (let tick = oldest; tick <= newest; tick += 1)
      if (found.some(({ columns, column }) => columns.get(column, tick) !== missing)) ticks.push(tick);
    const series = found.flatMap(({ counterId, instance, columns, column }) => {
      const values = ticks.map((tick) => columns.get(column, tick));
      return values.some((value) => value !== missing) ? [{ counterId, instance, values }] : [];
    });
    return { times: ticks.map((tick) => tick * milliseconds), series: inOrder(series) };
  }
}
