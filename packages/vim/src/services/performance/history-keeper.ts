import { nextTurn, turnEnd } from '../../runtime/event-loop-turn.ts';
import type { CounterLevels } from './counter-levels.ts';
import { currentInterval } from './current-samples.ts';
import type { HistoricalIntervals } from './historical-intervals.ts';
import { type IntervalSample, type PerformanceHistory, seriesKey } from './performance-history.ts';
import type { RealtimeSamples } from './realtime-samples.ts';
import { rollUp } from './rollup.ts';

export interface HistoryKeeperOptions {
  readonly samples: RealtimeSamples;
  readonly history: PerformanceHistory;
  readonly intervals: HistoricalIntervals;
  readonly levels: CounterLevels;
}

/** Samples kept in one go: so many entities wait in memory at most. */
const batch = 500;

/** Makes history of the last hour: whenever an interval of the finest kind has ended, it is rolled up and kept. */
export class HistoryKeeper {
  readonly #options: HistoryKeeperOptions;
  #keptTo: number;
  #period: number | undefined;

  /** `now` in milliseconds since 1970: what was before it is not here. */
  constructor(options: HistoryKeeperOptions, now: number) {
    this.#options = options;
    this.#period = options.intervals.enabled()[0]?.samplingPeriod;
    this.#keptTo = now / 1000;
  }

  /** All samples up to the tick are there. */
  async keep(tick: number): Promise<void> {
    const { intervals, history } = this.#options;
    const [finest] = intervals.enabled();
    if (finest === undefined) return;
    const { samplingPeriod: period } = finest;
    const now = tick * currentInterval;
    // Another period begins with its next interval.
    if (this.#period !== period) this.#keptTo = now;
    this.#period = period;
    const last = Math.floor(now / period) * period;
    for (
      let end = Math.max((Math.floor(this.#keptTo / period) + 1) * period, last - 3_600);
      end <= last;
      end += period
    ) {
      this.#keptTo = end;
      await this.#keepInterval(end, finest);
      await history.settle(end * 1000);
    }
  }

  async #keepInterval(
    end: number,
    { samplingPeriod, level }: { samplingPeriod: number; level: number },
  ): Promise<void> {
    const { samples, history, levels } = this.#options;
    const range = { after: (end - samplingPeriod) * 1000, until: end * 1000 };
    const isKept = (counterId: number, instance: string) => levels.isKept(counterId, instance, level);
    let kept: IntervalSample[] = [];
    for (const entity of [...samples.entities()]) {
      const values: Record<string, number> = {};
      for (const { counterId, instance, values: own } of samples.samples(entity, range, isKept).series) {
        const rollup = levels.rollupOf(counterId);
        if (rollup !== undefined) values[seriesKey(counterId, instance)] = rollUp(rollup, Array.from(own));
      }
      if (Object.keys(values).length > 0) kept.push({ entity, time: end * 1000, values });
      if (kept.length === batch) {
        await history.add(kept);
        kept = [];
      }
      if (performance.now() >= turnEnd()) await nextTurn();
    }
    await history.add(kept);
  }
}
