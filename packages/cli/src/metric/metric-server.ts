import type {
  ManagedObjectReference,
  PerfCounterInfo,
  PerfEntityMetric,
  PerfInterval,
  PerfMetricId,
  PerfMetricIntSeries,
} from '@hypostyle/vim';
import type { ServerSession } from '../connection/server-session.ts';
import { CliError } from '../errors.ts';

export interface NamedCounter {
  readonly name: string;
  readonly info: PerfCounterInfo;
}

/** Samples of one counter of one device. */
export interface NamedSeries {
  readonly name: string;
  readonly unit: string;
  readonly instance: string;
  readonly times: readonly string[];
  /** Undefined where there is none. Percent are percent here. */
  readonly values: readonly (number | undefined)[];
}

/** The counters of a server, by name and by number. */
export class MetricServer {
  readonly #session: ServerSession;
  readonly #manager: ManagedObjectReference<'PerformanceManager'>;
  readonly #byKey: ReadonlyMap<number, NamedCounter>;
  readonly intervals: readonly PerfInterval[];

  private constructor(
    session: ServerSession,
    manager: ManagedObjectReference<'PerformanceManager'>,
    parts: { readonly counters: readonly PerfCounterInfo[]; readonly intervals: readonly PerfInterval[] },
  ) {
    this.#session = session;
    this.#manager = manager;
    this.#byKey = new Map(parts.counters.map((info) => [info.key, { info, name: nameOf(info) }]));
    this.intervals = parts.intervals;
  }

  static async open(session: ServerSession): Promise<MetricServer> {
    const { perfManager } = session.content;
    if (perfManager === undefined) throw new CliError('failed', 'The server has no performance counters.');
    const [found] = await session.client.retrieve(perfManager, ['perfCounter', 'historicalInterval']);
    const { perfCounter: counters = [], historicalInterval: intervals = [] } = found?.values ?? {};
    return new MetricServer(session, perfManager, { counters, intervals });
  }

  /** Throws `not-found`. */
  counter(name: string): NamedCounter {
    for (const counter of this.#byKey.values()) if (counter.name === name) return counter;
    throw new CliError('not-found', `There is no counter '${name}'.`, { next: "'hypo metric ls OBJECT' lists them." });
  }

  /** Counters of an object that have samples, with their instances. `interval` in seconds; any without. */
  async available(entity: ManagedObjectReference, interval: number | undefined) {
    const found = await this.#session.client.call(this.#manager, 'QueryAvailablePerfMetric', {
      entity,
      ...(interval === undefined ? {} : { intervalId: interval }),
    });
    const instances = new Map<number, string[]>();
    for (const { counterId, instance } of (found ?? []) as readonly PerfMetricId[])
      instances.set(counterId, [...(instances.get(counterId) ?? []), instance]);
    return [...instances].flatMap(([key, own]) => {
      const counter = this.#byKey.get(key);
      return counter === undefined ? [] : [{ ...counter, instances: own }];
    });
  }

  /** Seconds of the finest samples that an object has. */
  async finest(entity: ManagedObjectReference): Promise<number> {
    const summary = await this.#session.client.call(this.#manager, 'QueryPerfProviderSummary', { entity });
    return summary.refreshRate ?? this.intervals.find(({ enabled }) => enabled)?.samplingPeriod ?? 300;
  }

  /** The last samples of each counter of an object. */
  async sample(
    entity: ManagedObjectReference,
    counters: readonly NamedCounter[],
    options: { readonly interval: number; readonly count: number; readonly instance: string },
  ): Promise<NamedSeries[]> {
    const { interval, count, instance } = options;
    const isCurrent = !this.intervals.some(({ samplingPeriod }) => samplingPeriod === interval);
    const [metric] = (await this.#session.client.call(this.#manager, 'QueryPerf', {
      querySpec: [
        {
          entity,
          intervalId: interval,
          format: 'normal',
          metricId: counters.map(({ info }) => ({ counterId: info.key, instance })),
          ...(isCurrent ? { maxSample: count } : { startTime: await this.#before(interval * (count + 1)) }),
        },
      ],
    })) as readonly PerfEntityMetric[];
    const times = (metric?.sampleInfo ?? []).map(({ timestamp }) => timestamp).slice(-count);
    return ((metric?.value ?? []) as readonly PerfMetricIntSeries[]).flatMap(({ id, value = [] }) => {
      const counter = this.#byKey.get(id.counterId);
      if (counter === undefined) return [];
      const { label, key } = counter.info.unitInfo;
      const scale = key === 'percent' ? 100 : 1;
      const values = value.slice(-count).map((each) => (Number(each) < 0 ? undefined : Number(each) / scale));
      return [{ name: counter.name, unit: label, instance: id.instance, times, values }];
    });
  }

  async changeInterval(interval: PerfInterval): Promise<void> {
    await this.#session.client.call(this.#manager, 'UpdatePerfInterval', { interval });
  }

  /** A time of the server's clock, so many seconds ago. */
  async #before(seconds: number): Promise<string> {
    const now = await this.#session.client.call(
      { type: 'ServiceInstance', value: 'ServiceInstance' },
      'CurrentTime',
      {},
    );
    return new Date(Date.parse(now) - seconds * 1000).toISOString();
  }
}

function nameOf({ groupInfo, nameInfo, rollupType }: PerfCounterInfo): string {
  return `${groupInfo.key}.${nameInfo.key}.${rollupType}`;
}
