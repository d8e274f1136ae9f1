import type {
  PerfCompositeMetric,
  PerfEntityMetricBase,
  PerfMetricId,
  PerfProviderSummary,
  PerfQuerySpec,
} from '../../generated/types.ts';
import { fault } from '../../runtime/fault.ts';
import type { Call, ManagedObjectClass } from '../../runtime/managed-object.ts';
import type { Session } from '../../runtime/session.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';
import type { CounterLevels } from './counter-levels.ts';
import type { HistoricalIntervals } from './historical-intervals.ts';
import type { PerformanceHistory } from './performance-history.ts';

/** What the PerformanceManager needs of the service behind it. */
interface PerformanceOperations {
  readonly levels: CounterLevels;
  readonly intervals: HistoricalIntervals;
  readonly history: PerformanceHistory;
  changed(): void;
  providerSummary(session: Session, entity: ManagedObjectReference): PerfProviderSummary;
  available(
    session: Session,
    entity: ManagedObjectReference,
    options: {
      readonly beginTime: string | undefined;
      readonly endTime: string | undefined;
      readonly intervalId: number | undefined;
    },
  ): Promise<PerfMetricId[]>;
  query(session: Session, specifications: readonly PerfQuerySpec[]): Promise<PerfEntityMetricBase[]>;
  queryComposite(session: Session, specification: PerfQuerySpec): Promise<PerfCompositeMetric>;
}

/** The PerformanceManager itself. */
export function performanceManagerClass(service: PerformanceOperations): ManagedObjectClass<'PerformanceManager'> {
  const { levels, intervals, history } = service;
  return {
    type: 'PerformanceManager',
    methods: {
      QueryPerfProviderSummary: (call, { entity }) => service.providerSummary(sessionOf(call), entity),
      QueryAvailablePerfMetric: (call, { entity, beginTime, endTime, intervalId }) =>
        service.available(sessionOf(call), entity, { beginTime, endTime, intervalId }),
      QueryPerfCounter: (_call, { counterId }) => counterId.map((key) => levels.info(levels.counter(key, 'counterId'))),
      QueryPerfCounterByLevel: (_call, { level }) => levels.atLevel(level),
      QueryPerf: (call, { querySpec }) => service.query(sessionOf(call), querySpec),
      QueryPerfComposite: (call, { querySpec }) => service.queryComposite(sessionOf(call), querySpec),
      CreatePerfInterval: async (_call, { intervalId }) => {
        await intervals.create(intervalId);
        service.changed();
      },
      UpdatePerfInterval: async (_call, { interval }) => {
        const before = await intervals.update(interval);
        service.changed();
        if (before !== undefined) await history.forget(before);
      },
      RemovePerfInterval: async (_call, { samplePeriod }) => {
        await intervals.remove(samplePeriod);
        service.changed();
        await history.forget(samplePeriod);
      },
      UpdateCounterLevelMapping: async (_call, { counterLevelMap }) => {
        await levels.update(counterLevelMap);
        service.changed();
      },
      ResetCounterLevelMapping: async (_call, { counters }) => {
        await levels.reset(counters);
        service.changed();
      },
    },
  };
}

function sessionOf(call: Call): Session {
  if (call.session === undefined) throw fault('NotAuthenticated', { object: call.self.ref }, 'There is no session.');
  return call.session;
}
