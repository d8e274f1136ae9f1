import type {
  PerfCompositeMetric,
  PerfEntityMetricBase,
  PerfMetricId,
  PerfProviderSummary,
  PerfQuerySpec,
} from '../../generated/types.ts';
import type { Authorizer } from '../../runtime/authorizer.ts';
import { noPermission } from '../../runtime/dispatcher.ts';
import { nextTurn, turnEnd } from '../../runtime/event-loop-turn.ts';
import { fault } from '../../runtime/fault.ts';
import type { Registry } from '../../runtime/registry.ts';
import type { Session } from '../../runtime/session.ts';
import { data } from '../../schema/data.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';
import { type Clock, systemClock } from '../clock.ts';
import type { Persistence } from '../persistence.ts';
import { CounterLevels, invalid, performanceDescription } from './counter-levels.ts';
import { type CurrentSamples, currentInterval } from './current-samples.ts';
import { type HistoricalInterval, HistoricalIntervals } from './historical-intervals.ts';
import { PerformanceHistory } from './performance-history.ts';
import { performanceManagerClass } from './performance-manager.ts';
import { entityMetric, formatOf, metricId, rangeOf, type SampleFormat, wantedOf } from './performance-query.ts';
import {
  type EntitySamples,
  inOrder,
  lastOf,
  noSamples,
  type SampleRange,
  type SeriesId,
  type Wanted,
} from './samples.ts';

export interface PerformanceServiceOptions {
  readonly registry: Registry;
  readonly persistence: Persistence;
  /** Decides whose samples a session sees: those of entities that it may read. */
  readonly authorizer: Authorizer;
  /** The last hour. */
  readonly current: CurrentSamples;
  /** Types of entities that have a history. */
  readonly historyTypes: readonly string[];
  readonly clock?: Clock;
  /** Reference value of the PerformanceManager. */
  readonly referenceValue?: string;
}

/** Most specifications of one query, and most values that it answers. */
const specificationLimit = 10_000;
const valueLimit = 8_000_000;

/** A specification, understood. */
interface Query {
  readonly entity: ManagedObjectReference;
  readonly range: SampleRange;
  readonly wanted: Wanted;
  readonly limit: number | undefined;
  readonly format: SampleFormat;
  /** The kept interval; none: samples of the last hour. */
  readonly interval: HistoricalInterval | undefined;
}

/** PerformanceManager: what machines, hosts and what contains them used, in the last hour and before. */
export class PerformanceService {
  readonly ref: ManagedObjectReference<'PerformanceManager'>;
  readonly registry: Registry;
  readonly levels: CounterLevels;
  readonly intervals: HistoricalIntervals;
  readonly history: PerformanceHistory;
  readonly #authorizer: Authorizer;
  readonly #current: CurrentSamples;
  readonly #historyTypes: ReadonlySet<string>;
  readonly #clock: Clock;

  private constructor(
    options: PerformanceServiceOptions,
    parts: {
      readonly levels: CounterLevels;
      readonly intervals: HistoricalIntervals;
      readonly history: PerformanceHistory;
    },
  ) {
    this.registry = options.registry;
    this.levels = parts.levels;
    this.intervals = parts.intervals;
    this.history = parts.history;
    this.#authorizer = options.authorizer;
    this.#current = options.current;
    this.#historyTypes = new Set(options.historyTypes);
    this.#clock = options.clock ?? systemClock;
    this.ref = this.registry.commit((draft) =>
      draft.add(performanceManagerClass(this), options.referenceValue ?? 'PerfMgr', {
        description: performanceDescription(),
        historicalInterval: this.intervals.infos(),
        perfCounter: this.levels.infos(),
      }),
    );
  }

  static async open(options: PerformanceServiceOptions): Promise<PerformanceService> {
    const { persistence } = options;
    const [levels, intervals] = await Promise.all([
      CounterLevels.open(persistence),
      HistoricalIntervals.open(persistence),
    ]);
    const history = await PerformanceHistory.open({ persistence, levels, intervals });
    return new PerformanceService(options, { levels, intervals, history });
  }

  /** Clients see levels and intervals as they are now. */
  changed(): void {
    this.registry.commit((draft) =>
      draft.set(this.ref, { historicalInterval: this.intervals.infos(), perfCounter: this.levels.infos() }),
    );
  }

  providerSummary(session: Session, entity: ManagedObjectReference): PerfProviderSummary {
    this.#check(session, entity, 'entity');
    const currentSupported = this.#current.supports(entity);
    return data('PerfProviderSummary', {
      entity,
      currentSupported,
      summarySupported: this.#historyTypes.has(entity.type),
      ...(currentSupported ? { refreshRate: currentInterval } : {}),
    });
  }

  /** Metrics that have values; of the last hour and of every interval, unless one is asked for. */
  async available(
    session: Session,
    entity: ManagedObjectReference,
    options: {
      readonly beginTime: string | undefined;
      readonly endTime: string | undefined;
      readonly intervalId: number | undefined;
    },
  ): Promise<PerfMetricId[]> {
    this.#check(session, entity, 'entity');
    const range = rangeOf(options.beginTime, options.endTime, '');
    const { intervalId } = options;
    const isCurrent = this.#current.supports(entity);
    const found: SeriesId[] = [];
    if (isCurrent && (intervalId === undefined || intervalId === currentInterval))
      found.push(...(await this.#current.available(entity, range)));
    const intervals =
      intervalId === undefined ? this.intervals.enabled() : [this.#interval(entity, intervalId, 'intervalId')];
    for (const interval of intervals)
      if (interval !== undefined)
        found.push(...(await this.history.available(interval, entity.value, range, this.#clock.now())));
    const unique = new Map(found.map((series) => [`${series.counterId}/${series.instance}`, series]));
    return inOrder([...unique.values()]).map(metricId);
  }

  /** Samples of entities, in the order of the specifications. */
  async query(session: Session, specifications: readonly PerfQuerySpec[]): Promise<PerfEntityMetricBase[]> {
    if (specifications.length > specificationLimit)
      throw invalid('querySpec', `A query is for at most ${specificationLimit} entities.`);
    const queries = specifications.map((specification) => this.#query(session, specification));
    const samples = await this.#samples(queries);
    let values = 0;
    const answer: PerfEntityMetricBase[] = [];
    for (const [index, query] of queries.entries()) {
      const own = samples[index] ?? noSamples;
      values += own.times.length * own.series.length;
      if (values > valueLimit)
        throw fault(
          'RestrictedByAdministrator',
          { details: 'performance' },
          `A query answers at most ${valueLimit} values.`,
        );
      const interval = query.interval?.samplingPeriod ?? currentInterval;
      answer.push(entityMetric(query.entity, own, { interval, format: query.format }));
      if (performance.now() >= turnEnd()) await nextTurn();
    }
    return answer;
  }

  /** Samples of an entity and of what is in it. InvalidArgument for one that nothing is in. */
  async queryComposite(session: Session, specification: PerfQuerySpec): Promise<PerfCompositeMetric> {
    const { entity, metricId: asked } = specification;
    if (asked === undefined || asked.length === 0)
      throw invalid('querySpec.metricId', 'A query of an entity and its parts names its metrics.');
    if (specification.maxSample !== undefined)
      throw invalid('querySpec.maxSample', 'A query of an entity and its parts has no maxSample.');
    const property = partsOf[entity.type];
    if (property === undefined) throw invalid('querySpec.entity', `A ${entity.type} has no parts with samples.`);
    this.#check(session, entity, 'querySpec.entity');
    const parts = (this.registry.get(entity)?.value(property) ?? []) as readonly ManagedObjectReference[];
    const visible = parts.filter((part) => this.#authorizer.holds(session, part, 'System.Read'));
    const [own, ...children] = await this.query(
      session,
      [entity, ...visible].map((each) => ({ ...specification, entity: each })),
    );
    return data('PerfCompositeMetric', { ...(own === undefined ? {} : { entity: own }), childEntity: children });
  }

  #query(session: Session, specification: PerfQuerySpec): Query {
    const { entity, startTime, endTime, maxSample, intervalId } = specification;
    this.#check(session, entity, 'querySpec.entity');
    const isCurrent = this.#current.supports(entity);
    const interval =
      intervalId === undefined
        ? isCurrent
          ? undefined
          : this.intervals.enabled()[0]
        : this.#interval(entity, intervalId, 'querySpec.intervalId');
    if (maxSample !== undefined && maxSample < 1) throw invalid('querySpec.maxSample', 'maxSample is at least 1.');
    return {
      entity,
      range: rangeOf(startTime, endTime, 'querySpec.'),
      wanted: wantedOf(specification, (counterId) => this.levels.counter(counterId, 'querySpec.metricId.counterId')),
      // The model says that it counts for samples of the last hour only.
      limit: interval === undefined ? maxSample : undefined,
      format: formatOf(specification),
      interval,
    };
  }

  async #samples(queries: readonly Query[]): Promise<(EntitySamples | undefined)[]> {
    const answers = new Map<Query, EntitySamples>();
    const now = this.#clock.now();
    for (const [interval, own] of Map.groupBy(queries, (query) => query.interval)) {
      const found =
        interval === undefined
          ? await this.#current.read(own)
          : await this.history.read(
              interval,
              own.map(({ entity, range, wanted }) => ({ entity: entity.value, range, wanted })),
              now,
            );
      for (const [index, query] of own.entries()) answers.set(query, lastOf(found[index] ?? noSamples, query.limit));
    }
    return queries.map((query) => answers.get(query));
  }

  /** The kept interval of a period; undefined for the samples of the last hour. InvalidArgument for another. */
  #interval(entity: ManagedObjectReference, period: number, argument: string): HistoricalInterval | undefined {
    if (period === currentInterval) {
      if (this.#current.supports(entity)) return undefined;
      throw invalid(argument, `A ${entity.type} has no samples of ${currentInterval} seconds.`);
    }
    const interval = this.intervals.find(period);
    if (interval === undefined) throw invalid(argument, `There is no interval of ${period} seconds.`);
    if (!interval.enabled) throw invalid(argument, `The interval of ${period} seconds is disabled.`);
    return interval;
  }

  /** ManagedObjectNotFound, NoPermission; InvalidArgument for what has no samples. */
  #check(session: Session, entity: ManagedObjectReference, argument: string): void {
    if (this.registry.get(entity) === undefined) {
      throw fault(
        'ManagedObjectNotFound',
        { obj: entity },
        `The object '${entity.type}:${entity.value}' has already been deleted or has not been completely created.`,
      );
    }
    if (!this.#current.supports(entity) && !this.#historyTypes.has(entity.type))
      throw invalid(argument, `A ${entity.type} has no performance counters.`);
    if (!this.#authorizer.holds(session, entity, 'System.Read')) throw noPermission(entity, 'System.Read');
  }
}

/** Where an entity names what it is made of. */
const partsOf: Readonly<Record<string, string>> = {
  HostSystem: 'vm',
  ResourcePool: 'vm',
  VirtualApp: 'vm',
  ClusterComputeResource: 'host',
  ComputeResource: 'host',
};
