import type {
  PerfEntityMetric,
  PerfEntityMetricBase,
  PerfEntityMetricCSV,
  PerfMetricId,
  PerfQuerySpec,
} from '../../generated/types.ts';
import { data } from '../../schema/data.ts';
import type { AnyValue, ManagedObjectReference } from '../../schema/values.ts';
import { invalid } from './counter-levels.ts';
import type { EntitySamples, SampleRange, SeriesId, Wanted } from './samples.ts';

/** Most metrics that one specification names. */
const metricLimit = 4_096;

export type SampleFormat = 'normal' | 'csv';

/** Range of a query: after `startTime`, up to and with `endTime`. InvalidArgument for what is no time. */
export function rangeOf(startTime: string | undefined, endTime: string | undefined, argument: string): SampleRange {
  const after = instant(startTime, `${argument}startTime`);
  const until = instant(endTime, `${argument}endTime`);
  if (after !== undefined && until !== undefined && after > until)
    throw invalid(`${argument}endTime`, 'The range ends before it begins.');
  return { ...(after === undefined ? {} : { after }), ...(until === undefined ? {} : { until }) };
}

export function formatOf({ format }: PerfQuerySpec): SampleFormat {
  if (format === undefined || format === '' || format === 'normal') return 'normal';
  if (format === 'csv') return 'csv';
  throw invalid('querySpec.format', `There is no format '${format}': normal or csv.`);
}

/** What is asked for; `check` throws for a counter that there is not. */
export function wantedOf({ metricId }: PerfQuerySpec, check: (counterId: number) => void): Wanted {
  if (metricId === undefined || metricId.length === 0) return undefined;
  if (metricId.length > metricLimit)
    throw invalid('querySpec.metricId', `A query names at most ${metricLimit} metrics of an entity.`);
  for (const { counterId } of metricId) check(counterId);
  return metricId.map(({ counterId, instance }): SeriesId => ({ counterId, instance }));
}

/** Samples as a client reads them. `interval` in seconds. */
export function entityMetric(
  entity: ManagedObjectReference,
  samples: EntitySamples,
  { interval, format }: { readonly interval: number; readonly format: SampleFormat },
): PerfEntityMetricBase {
  const times = samples.times.map(timestamp);
  if (format === 'csv') {
    const csv: PerfEntityMetricCSV = data('PerfEntityMetricCSV', {
      entity,
      sampleInfoCSV: times.map((time) => `${interval},${time}`).join(','),
      value: samples.series.map((series) =>
        data('PerfMetricSeriesCSV', { id: metricId(series), value: Array.from(series.values).join(',') }),
      ),
    });
    return csv;
  }
  const normal: PerfEntityMetric = data('PerfEntityMetric', {
    entity,
    sampleInfo: times.map((time) => data('PerfSampleInfo', { timestamp: time, interval })),
    value: samples.series.map((series) =>
      data('PerfMetricIntSeries', { id: metricId(series), value: Array.from(series.values) } as AnyValue as never),
    ),
  });
  return normal;
}

export function metricId({ counterId, instance }: SeriesId): PerfMetricId {
  return data('PerfMetricId', { counterId, instance });
}

/** Seconds are all that samples have. */
function timestamp(time: number): string {
  return `${new Date(time).toISOString().slice(0, 19)}Z`;
}

function instant(time: string | undefined, argument: string): number | undefined {
  if (time === undefined) return undefined;
  const parsed = Date.parse(time);
  if (Number.isNaN(parsed)) throw invalid(argument, `'${time}' is no time.`);
  return parsed;
}
