import type {
  ElementDescription,
  PerfCounterInfo,
  PerformanceDescription,
  PerformanceManagerCounterLevelMapping,
  PerfSummaryType,
} from '../../generated/types.ts';
import { fault } from '../../runtime/fault.ts';
import { data } from '../../schema/data.ts';
import type { Persistence } from '../persistence.ts';
import { type Counter, counterGroups, counters, counterUnits } from './counter-table.ts';

const collection = 'performance-levels';

interface Levels {
  readonly level: number;
  readonly perDeviceLevel: number;
}

/** The catalogue of counters, with the levels that an administrator gave them. */
export class CounterLevels {
  readonly #persistence: Persistence;
  readonly #changed: Map<number, Levels>;
  readonly #byKey = new Map(counters.map((counter) => [counter.key, counter]));

  private constructor(persistence: Persistence, changed: Map<number, Levels>) {
    this.#persistence = persistence;
    this.#changed = changed;
  }

  static async open(persistence: Persistence): Promise<CounterLevels> {
    const kept = await persistence.list<Levels>(collection);
    return new CounterLevels(persistence, new Map(kept.map(({ key, value }) => [Number(key), value])));
  }

  /** Throws InvalidArgument for a key that is no counter's. */
  counter(key: number, argument: string): Counter {
    const counter = this.#byKey.get(key);
    if (counter === undefined) throw invalid(argument, `There is no counter ${key}.`);
    return counter;
  }

  rollupOf(key: number): PerfSummaryType | undefined {
    return this.#byKey.get(key)?.rollup;
  }

  /** Whether an interval of that collection level keeps the counter. */
  isKept(key: number, instance: string, level: number): boolean {
    const counter = this.#byKey.get(key);
    if (counter === undefined) return false;
    const levels = this.#changed.get(key) ?? counter;
    return (instance === '' ? levels.level : levels.perDeviceLevel) <= level;
  }

  infos(): PerfCounterInfo[] {
    return counters.map((counter) => this.info(counter));
  }

  info(counter: Counter): PerfCounterInfo {
    const { key, group, name, unit, rollup, stats } = counter;
    const { level, perDeviceLevel } = this.#changed.get(key) ?? counter;
    const [unitLabel, unitName] = counterUnits[unit] ?? [unit, unit];
    return data('PerfCounterInfo', {
      key,
      nameInfo: described(name, counter.label, counter.summary),
      groupInfo: described(group, counterGroups[group] ?? group),
      unitInfo: described(unit, unitLabel, unitName),
      rollupType: rollup,
      statsType: stats,
      level,
      perDeviceLevel,
    });
  }

  /** Counters that are kept at a collection level of 1 to 4. InvalidArgument. */
  atLevel(level: number): PerfCounterInfo[] {
    checkLevel(level, 'level');
    return counters.filter(({ key }) => this.isKept(key, '', level)).map((counter) => this.info(counter));
  }

  /** Gives counters other levels. InvalidArgument. */
  async update(mappings: readonly PerformanceManagerCounterLevelMapping[]): Promise<void> {
    const changed = new Map<number, Levels>();
    for (const { counterId, aggregateLevel, perDeviceLevel } of mappings) {
      const counter = this.counter(counterId, 'counterLevelMap.counterId');
      const before = changed.get(counterId) ?? this.#changed.get(counterId) ?? counter;
      if (aggregateLevel !== undefined) checkLevel(aggregateLevel, 'counterLevelMap.aggregateLevel');
      if (perDeviceLevel !== undefined) checkLevel(perDeviceLevel, 'counterLevelMap.perDeviceLevel');
      changed.set(counterId, {
        level: aggregateLevel ?? before.level,
        perDeviceLevel: perDeviceLevel ?? before.perDeviceLevel,
      });
    }
    await this.#persistence.transact(
      [...changed].map(([key, value]) => ({ put: { collection, key: String(key), value } })),
    );
    for (const [key, levels] of changed) this.#changed.set(key, levels);
  }

  /** Gives counters their first levels again. InvalidArgument. */
  async reset(keys: readonly number[]): Promise<void> {
    for (const key of keys) this.counter(key, 'counters');
    await this.#persistence.transact(keys.map((key) => ({ delete: { collection, key: String(key) } })));
    for (const key of keys) this.#changed.delete(key);
  }
}

/** The kinds of counters, in words. */
export function performanceDescription(): PerformanceDescription {
  return data('PerformanceDescription', {
    counterType: [
      described('average', 'Average', 'Mean of the samples of the interval'),
      described('maximum', 'Maximum', 'Greatest sample of the interval'),
      described('minimum', 'Minimum', 'Least sample of the interval'),
      described('latest', 'Latest', 'Last sample of the interval'),
      described('summation', 'Summation', 'Sum of the samples of the interval'),
      described('none', 'None', 'Never rolled up'),
    ],
    statsType: [
      described('absolute', 'Absolute', 'The value itself'),
      described('delta', 'Delta', 'Change within the interval'),
      described('rate', 'Rate', 'Change a second'),
    ],
  });
}

function described(key: string, label: string, summary = label): ElementDescription {
  return data('ElementDescription', { key, label, summary });
}

export function checkLevel(level: number, argument: string): void {
  if (!Number.isInteger(level) || level < 1 || level > 4) throw invalid(argument, 'A collection level is 1 to 4.');
}

export function invalid(invalidProperty: string, message: string) {
  return fault('InvalidArgument', { invalidProperty }, message);
}
