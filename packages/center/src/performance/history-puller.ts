import {
  type Clock,
  counterKey,
  type EntitySamples,
  type HistoricalInterval,
  type IntervalSample,
  type IntervalValues,
  type ManagedObjectReference,
  nextTurn,
  type PerformanceService,
  seriesKey,
  turnEnd,
} from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import type { HostLink } from '../hosts/connection/host-link.ts';
import { referenceOf } from '../inventory/entity-document.ts';
import { ContainerTotals } from './container-totals.ts';
import type { HostMetrics } from './host-metrics.ts';
import { unlessAway } from './host-samples.ts';

export interface HistoryPullerOptions {
  readonly performance: PerformanceService;
  readonly metrics: HostMetrics;
  readonly clock: Clock;
  /** Entities have new values. */
  readonly onMeasured: (entities: readonly ManagedObjectReference[]) => void;
}

const collection = 'performance-pulled';
/** After an interval's end: a host needs a moment to keep it. Milliseconds. */
const afterEnd = 40_000;
/** After a start: hosts have connected by then. */
const afterStart = 15_000;
/** Hosts keep a day of the finest interval; what is older is not asked for. */
const longestGap = 86_400_000;
/** Entities of one call. */
const askedAtOnce = 500;
/** What several hosts do to one datastore is added up. */
const trafficCounters = new Set(
  ['read', 'write', 'numberReadAveraged', 'numberWriteAveraged'].map((name) => counterKey(`datastore.${name}.average`)),
);

/**
 * History of a center: whenever an interval has ended, each host is asked in one go for what it kept since it was asked
 * last, which after an absence is up to a day. What contains hosts and machines is made of that.
 */
export class HistoryPuller {
  readonly #core: CenterCore;
  readonly #options: HistoryPullerOptions;
  readonly #totals: ContainerTotals;
  readonly #latest = new Map<string, { readonly time: number; readonly values: IntervalValues }>();
  #stopped = false;
  #cancel: () => void = () => {};
  #round: Promise<void> = Promise.resolve();

  constructor(core: CenterCore, options: HistoryPullerOptions) {
    this.#core = core;
    this.#options = options;
    this.#totals = new ContainerTotals(core, options.performance.history);
  }

  start(): void {
    this.#wait(afterStart);
  }

  async close(): Promise<void> {
    this.#stopped = true;
    this.#cancel();
    await this.#round;
  }

  /** The value of the last interval that was kept, unless that is long ago. */
  latest(entity: string, counterId: number, instance: string): number | undefined {
    const known = this.#latest.get(entity);
    const period = this.#options.performance.intervals.enabled()[0]?.samplingPeriod ?? 0;
    if (known === undefined || known.time < this.#options.clock.now() - 3 * period * 1000) return undefined;
    return known.values[seriesKey(counterId, instance)];
  }

  #wait(milliseconds: number): void {
    if (this.#stopped) return;
    const { clock, performance } = this.#options;
    this.#cancel = clock.after(milliseconds, () => {
      this.#round = this.#pullAll()
        .catch((error: unknown) => this.#core.onDefect('performance history', error))
        .then(() => {
          const period = (performance.intervals.enabled()[0]?.samplingPeriod ?? 300) * 1000;
          this.#wait(period - ((clock.now() - afterEnd) % period));
        });
    });
  }

  async #pullAll(): Promise<void> {
    const { performance, clock, onMeasured } = this.#options;
    const [interval] = performance.intervals.enabled();
    if (interval === undefined) return;
    const samples: IntervalSample[] = [];
    const datastores = new Map<string, IntervalSample>();
    for (const { value } of [...this.#core.inventory.all('HostSystem')]) {
      const link = this.#core.hosts.link(value);
      if (this.#stopped) return;
      if (link?.connected !== true) continue;
      // What one host cannot tell keeps nothing from the others.
      try {
        samples.push(...((await unlessAway(this.#pull(link, interval, datastores))) ?? []));
      } catch (error) {
        this.#core.onLog(`performance history of ${value}`, error);
      }
    }
    const shared = [...datastores.values()];
    await performance.history.add(shared);
    const all = [...samples, ...shared];
    if (all.length > 0) {
      const times = all.map(({ time }) => time);
      const until = times.reduce((a, b) => Math.max(a, b));
      const after = times.reduce((a, b) => Math.min(a, b)) - interval.samplingPeriod * 1000;
      const totals = await this.#totals.of(interval, { after, until });
      await performance.history.add(totals);
      all.push(...totals);
    }
    await performance.history.settle(clock.now());
    this.#remember(all);
    const measured = [...new Set(all.map(({ entity }) => entity))];
    onMeasured(measured.flatMap((entity) => this.#core.inventory.find(entity) ?? []).map(referenceOf));
  }

  /** Asks a host, and keeps what it says of itself and its machines; datastores are put with what others say. */
  async #pull(
    link: HostLink,
    interval: HistoricalInterval,
    datastores: Map<string, IntervalSample>,
  ): Promise<IntervalSample[]> {
    const { metrics, performance, clock } = this.#options;
    const { store } = this.#core;
    const period = await metrics.finest(link, interval.level);
    if (period === undefined) return [];
    const now = clock.now();
    const known = (await store.get<number>(collection, link.host)) ?? 0;
    const after = Math.max(known, now - longestGap);
    const pairs = this.#entities(link);
    const samples: IntervalSample[] = [];
    let newest = known;
    for (let at = 0; at < pairs.length; at += askedAtOnce) {
      const part = pairs.slice(at, at + askedAtOnce);
      const found = await metrics.query(
        link,
        part.map(({ there }) => ({ entity: there, after })),
        period,
      );
      for (const [index, { own, there }] of part.entries()) {
        for (const sample of intervalSamples(own.value, found[index], interval.samplingPeriod)) {
          if (there.type === 'HostSystem') newest = Math.max(newest, sample.time);
          if (own.type === 'Datastore') addShared(datastores, sample);
          else samples.push(sample);
        }
        if (globalThis.performance.now() >= turnEnd()) await nextTurn();
      }
    }
    await performance.history.add(samples);
    // Kept twice where this is lost: with the same values.
    if (newest > known) await store.transact([{ put: { collection, key: link.host, value: newest } }]);
    return samples;
  }

  #entities(link: HostLink): { readonly own: ManagedObjectReference; readonly there: ManagedObjectReference }[] {
    const { inventory } = this.#core;
    const { references } = link.mirror;
    const own = [
      { type: 'HostSystem', value: link.host },
      ...inventory.machinesOnHost(link.host),
      ...[...inventory.all('Datastore')].filter(({ hosts }) => hosts?.includes(link.host) === true),
    ].map(({ type, value }): ManagedObjectReference => referenceOf({ type: type as 'HostSystem', value }));
    return own.flatMap((ref) => {
      const there = references.toHost(ref);
      return there === undefined ? [] : [{ own: ref, there }];
    });
  }

  #remember(samples: readonly IntervalSample[]): void {
    for (const { entity, time, values } of samples) {
      const known = this.#latest.get(entity);
      if (known === undefined || known.time <= time) this.#latest.set(entity, { time, values });
    }
    for (const entity of this.#latest.keys())
      if (this.#core.inventory.find(entity) === undefined) this.#latest.delete(entity);
  }
}

/** Samples of an entity as what is kept of each interval. */
function intervalSamples(entity: string, samples: EntitySamples | undefined, period: number): IntervalSample[] {
  if (samples === undefined) return [];
  return samples.times.map((at, index) => {
    const values: Record<string, number> = {};
    for (const { counterId, instance, values: own } of samples.series) {
      const value = own[index] ?? -1;
      if (value >= 0) values[seriesKey(counterId, instance)] = value;
    }
    return { entity, time: Math.ceil(at / 1000 / period) * period * 1000, values };
  });
}

function addShared(datastores: Map<string, IntervalSample>, sample: IntervalSample): void {
  const at = `${sample.entity}/${sample.time}`;
  const known = datastores.get(at);
  if (known === undefined) {
    datastores.set(at, sample);
    return;
  }
  const values: Record<string, number> = { ...known.values };
  for (const [key, value] of Object.entries(sample.values)) {
    const counter = Number.parseInt(key, 10);
    values[key] = trafficCounters.has(counter) ? (values[key] ?? 0) + value : Math.max(values[key] ?? 0, value);
  }
  datastores.set(at, { ...sample, values });
}
