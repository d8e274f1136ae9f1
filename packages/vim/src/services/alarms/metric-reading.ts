import type { ManagedObject } from '../../runtime/managed-object.ts';
import type { Clock } from '../clock.ts';
import type { AlarmDefinition } from './alarm-definition.ts';
import type { MetricLeaf } from './alarm-expression.ts';
import type { EntityReference } from './alarm-states.ts';
import { datastoreSpace, isSpaceCounter } from './datastore-space.ts';
import type { Status } from './status.ts';

/** The latest value of a counter of an entity, in the counter's unit; undefined when there is none. */
export type ReadMetric = (entity: EntityReference, counterId: number, instance: string) => number | undefined;

/** Conditions on counters: thresholds, with tolerance, that must hold for a while. */
export class MetricReading {
  readonly #read: ReadMetric | undefined;
  readonly #clock: Clock;
  /** Since when a threshold has been passed, by entity and by alarm, condition and colour. */
  readonly #since = new Map<string, Map<string, number>>();

  constructor(read: ReadMetric | undefined, clock: Clock) {
    this.#read = read;
    this.#clock = clock;
  }

  /** False when there are no counters: conditions on them are gray. */
  get available(): boolean {
    return this.#read !== undefined;
  }

  status({ ref, info }: AlarmDefinition, object: ManagedObject, { expression, index }: MetricLeaf): Status {
    const { connectionState } = (object.value('runtime') ?? {}) as { readonly connectionState?: string };
    if (connectionState !== undefined && connectionState !== 'connected') return 'gray';
    const { operator, metric, yellow, red, yellowInterval = 0, redInterval = 0 } = expression;
    const value = isSpaceCounter(object, metric.counterId)
      ? datastoreSpace(object, metric.counterId)
      : this.#read?.(object.ref, metric.counterId, metric.instance);
    if (value === undefined) return 'gray';
    // Hundredths of a percent.
    const tolerance = (info.setting?.toleranceRange ?? 0) / 10_000;
    const passes = (threshold: number | undefined) =>
      threshold !== undefined &&
      (operator === 'isAbove' ? value > threshold * (1 + tolerance) : value < threshold * (1 - tolerance));
    const condition = `${ref.value}.${index}`;
    const isRed = this.#holds(object.ref.value, `${condition}.red`, passes(red), redInterval);
    const isYellow = this.#holds(object.ref.value, `${condition}.yellow`, passes(yellow), yellowInterval);
    return isRed ? 'red' : isYellow ? 'yellow' : 'green';
  }

  forget(entity: string): void {
    this.#since.delete(entity);
  }

  #holds(entity: string, condition: string, passes: boolean, seconds: number): boolean {
    let own = this.#since.get(entity);
    if (!passes) {
      own?.delete(condition);
      return false;
    }
    if (seconds <= 0) return true;
    if (own === undefined) {
      own = new Map();
      this.#since.set(entity, own);
    }
    const now = this.#clock.now();
    const since = own.get(condition) ?? now;
    own.set(condition, since);
    return now - since >= seconds * 1_000;
  }
}
