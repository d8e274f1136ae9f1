import { nextTurn, turnEnd } from '../../runtime/event-loop-turn.ts';
import type { ManagedObject } from '../../runtime/managed-object.ts';
import type { ChangeCursor, Draft, Registry } from '../../runtime/registry.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';
import { type Clock, dateTime } from '../clock.ts';
import type { AlarmDefinition } from './alarm-definition.ts';
import type { AlarmDefinitions, EventInterest } from './alarm-definitions.ts';
import { type AlarmEntry, type AlarmStates, type EntityReference, stateKey } from './alarm-states.ts';
import { eventObjects, eventTypeIdOf, type PostedEvent } from './event-condition.ts';
import { type InventoryTree, placeProperties } from './inventory-tree.ts';
import type { MetricReading } from './metric-reading.ts';
import { isTriggered, isWorse, type Status } from './status.ts';

/** An alarm that changed on an entity, in a commit under way. */
export interface StatusChange {
  readonly definition: AlarmDefinition;
  readonly entity: EntityReference;
  readonly from: Status;
  readonly to: Status;
}

export interface AlarmEvaluationOptions {
  readonly registry: Registry;
  readonly definitions: AlarmDefinitions;
  readonly states: AlarmStates;
  readonly tree: InventoryTree;
  readonly metrics: MetricReading;
  readonly clock: Clock;
  /** Events that are about no object are about it. */
  readonly rootFolder: ManagedObjectReference;
  readonly isDisabled: (alarm: string, entity: string) => boolean;
  readonly onStatus: (draft: Draft, change: StatusChange) => void;
  /** An event matched a condition that leaves the status alone. */
  readonly onMatch: (draft: Draft, definition: AlarmDefinition, entity: EntityReference) => void;
  /** The worst of an entity's own alarms is another. */
  readonly onWorst: (draft: Draft, entity: EntityReference, worst: Status) => void;
  readonly onRemoved: (entity: string) => void;
  readonly onDefect: (where: string, error: unknown) => void;
}

/** What is to be done for an entity. */
interface Look {
  /** Alarms that apply to it are others. */
  declared: boolean;
  evaluate: boolean;
}

/**
 * Keeps the states of alarms true: looks again at the entities that changed and at those that events are about. It goes
 * on right after the commit, a slice of time at a time where there is much to do.
 */
export class AlarmEvaluation {
  readonly #options: AlarmEvaluationOptions;
  readonly #cursor: ChangeCursor;
  readonly #unsubscribe: () => void;
  readonly #pending = new Map<string, Look>();
  #posted: PostedEvent[] = [];
  #running: Promise<void> | undefined;
  /** When alarms on counters were reported last, in milliseconds since 1970. */
  readonly #reported = new Map<string, number>();
  readonly #deferred = new Map<string, () => void>();

  constructor(options: AlarmEvaluationOptions) {
    this.#options = options;
    const { registry, tree } = options;
    this.#cursor = registry.follow();
    for (const object of registry.all('ManagedEntity')) {
      tree.update(object);
      this.#look(object.ref.value, { declared: true, evaluate: true });
    }
    this.#unsubscribe = registry.onCommit(() => this.#schedule());
    this.#schedule();
  }

  /** Resolves when every change and event so far is in the states. */
  async settled(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  close(): void {
    this.#unsubscribe();
    this.#cursor.close();
    for (const cancel of this.#deferred.values()) cancel();
    this.#pending.clear();
    this.#posted = [];
  }

  posted(event: PostedEvent): void {
    this.#posted.push(event);
    this.#schedule();
  }

  /** The alarm is defined, defined otherwise, or no more: what it is for is looked at again. */
  redefined({ info, expression }: AlarmDefinition): void {
    const { tree } = this.#options;
    const own = info.entity.value;
    for (const value of tree.downwards(own)) {
      const type = tree.ref(value)?.type;
      if (type === undefined) continue;
      const evaluate = expression.appliesTo(type, value === own);
      if (evaluate || expression.appliesBelow(type)) this.#look(value, { declared: true, evaluate });
    }
    this.#schedule();
  }

  /** Looks at an entity again, as what alarms say of it may be another. */
  revisit(entity: string): void {
    this.#look(entity, { declared: true, evaluate: true });
    this.#schedule();
  }

  /** Counters have new values: of these entities, or of all. */
  measured(entities: Iterable<string> | undefined): void {
    for (const value of entities ?? this.#options.tree.values()) {
      if (this.#options.tree.ref(value) !== undefined) this.#look(value, { declared: false, evaluate: true });
    }
    this.#schedule();
  }

  /** Replaces an entry that a client changes, within its commit. */
  replace(draft: Draft, entry: AlarmEntry): void {
    const { states, tree } = this.#options;
    this.#touch(draft, entry.entity, states.set(entry, tree.upwards(entry.entity.value)));
  }

  /** Turns an entry to another status, within the commit. Events start from there. */
  turn(draft: Draft, entry: AlarmEntry, to: Status): void {
    const { states, clock } = this.#options;
    const { entity, alarm } = entry;
    const before = states.worst(entity.value);
    const slots = entry.slots === undefined ? undefined : new Map([...entry.slots.keys()].map((slot) => [slot, to]));
    this.replace(draft, { alarm, entity, status: to, time: dateTime(clock), slots });
    this.#tellWorst(draft, entity, before);
  }

  #look(value: string, { declared, evaluate }: Look): void {
    const known = this.#pending.get(value);
    if (known === undefined) this.#pending.set(value, { declared, evaluate });
    else {
      known.declared ||= declared;
      known.evaluate ||= evaluate;
    }
  }

  #schedule(): void {
    this.#running ??= this.#run().catch((error: unknown) => this.#options.onDefect('alarms', error));
  }

  async #run(): Promise<void> {
    // After the commit under way, and before anybody who waits for the event loop.
    await Promise.resolve();
    try {
      for (;;) {
        this.#collect();
        if (this.#pending.size === 0 && this.#posted.length === 0) return;
        const end = turnEnd();
        this.#options.registry.commit((draft) => this.#work(draft, end));
        if (performance.now() >= end) await nextTurn();
      }
    } finally {
      this.#running = undefined;
    }
  }

  /** Finds what changed since the last time. */
  #collect(): void {
    const { registry } = this.#options;
    const since = this.#cursor.version;
    const { version } = registry;
    if (version === since) return;
    // What is removed makes commits of its own, which change the order that is walked here.
    for (const object of [...registry.changedSince(since)]) {
      if (this.#options.definitions.isEntityType(object.ref.type)) this.#changed(object, since);
    }
    this.#cursor.advance(version);
  }

  #changed(object: ManagedObject, since: number): void {
    const { tree, definitions } = this.#options;
    const { value, type } = object.ref;
    if (object.removed) {
      this.#removed(value);
      return;
    }
    if (object.addedIn > since) {
      tree.update(object);
      this.#look(value, { declared: true, evaluate: true });
      return;
    }
    if (placeProperties.some((name) => object.propertyVersion(name) > since) && tree.update(object)) {
      for (const below of tree.downwards(value)) this.#look(below, { declared: true, evaluate: true });
    }
    if (definitions.watched(type).some((name) => object.propertyVersion(name) > since)) {
      this.#look(value, { declared: false, evaluate: true });
    }
  }

  #removed(value: string): void {
    const { tree, states, metrics, registry, onRemoved } = this.#options;
    this.#pending.delete(value);
    const entries = [...states.of(value)];
    if (entries.length > 0) {
      registry.commit((draft) => {
        for (const entry of entries) this.#touch(draft, entry.entity, states.delete(entry));
      });
    }
    tree.remove(value);
    metrics.forget(value);
    onRemoved(value);
  }

  #work(draft: Draft, end: number): void {
    const { onDefect } = this.#options;
    const posted = this.#posted;
    this.#posted = [];
    for (const event of posted) {
      try {
        this.#happened(draft, event);
      } catch (error) {
        onDefect('alarms of an event', error);
      }
    }
    for (const [value, look] of this.#pending) {
      this.#pending.delete(value);
      try {
        this.#lookAt(draft, value, look);
      } catch (error) {
        onDefect('alarms of an entity', error);
      }
      if (performance.now() >= end) return;
    }
  }

  #lookAt(draft: Draft, value: string, { declared, evaluate }: Look): void {
    const { registry, tree, definitions, states } = this.#options;
    const object = registry.byValue(value);
    if (object === undefined) return;
    if (declared) draft.touch(object.ref, 'declaredAlarmState');
    if (!evaluate) return;
    const upwards = tree.upwards(value);
    const before = states.worst(value);
    const applicable = new Set<string>();
    for (const at of upwards) {
      for (const definition of definitions.on(at)) {
        if (!definition.expression.appliesTo(object.ref.type, at === value)) continue;
        applicable.add(definition.ref.value);
        this.#settle(draft, definition, object, upwards, declared);
      }
    }
    for (const entry of [...states.of(value)]) {
      if (!applicable.has(entry.alarm.value)) this.#touch(draft, object.ref, states.delete(entry));
      // It may lie elsewhere now.
      else if (declared) this.#touch(draft, object.ref, states.show(entry, upwards));
    }
    // Whoever keeps the worst elsewhere may not have heard of it, or has forgotten.
    this.#tellWorst(draft, object.ref, before, declared);
  }

  #happened(draft: Draft, event: PostedEvent): void {
    const { definitions, registry } = this.#options;
    const interests = definitions.interestedIn(event._typeName ?? 'Event', eventTypeIdOf(event));
    if (interests.length === 0) return;
    const objects = eventObjects(registry.schema, event);
    for (const interest of interests) {
      const target = this.#target(interest, objects);
      if (target !== undefined && interest.leaf.condition.matches(event)) this.#matched(draft, interest, target, event);
    }
  }

  #target(
    { definition, leaf: { condition } }: EventInterest,
    objects: readonly ManagedObjectReference[],
  ): ManagedObject | undefined {
    const { registry, tree, rootFolder, isDisabled } = this.#options;
    const { objectType } = condition;
    const { entity } = definition.info;
    const found =
      objectType === undefined
        ? (objects[0] ?? rootFolder)
        : objects.find(({ type }) => registry.schema.isSubtype(type, objectType));
    if (found === undefined || (objectType === undefined && found.value !== entity.value)) return undefined;
    if (isDisabled(definition.ref.value, found.value) || !tree.upwards(found.value).includes(entity.value)) {
      return undefined;
    }
    return tree.ref(found.value) === undefined ? undefined : registry.byValue(found.value);
  }

  #matched(draft: Draft, { definition, leaf }: EventInterest, object: ManagedObject, event: PostedEvent): void {
    const { states, tree, onMatch, clock } = this.#options;
    const { value } = object.ref;
    if (leaf.condition.status === undefined) {
      onMatch(draft, definition, object.ref);
      return;
    }
    const before = states.get(value, definition.ref.value);
    const slots = new Map(before?.slots);
    for (const cleared of leaf.clears) slots.delete(cleared);
    slots.set(leaf.slot, leaf.condition.status);
    const status = before?.status ?? this.#baseline(definition, object.ref);
    const entry = { alarm: definition.ref, entity: object.ref, status, time: dateTime(clock) };
    const worst = states.worst(value);
    const upwards = tree.upwards(value);
    this.#touch(draft, object.ref, states.set({ ...entry, ...before, slots }, upwards));
    this.#settle(draft, definition, object, upwards, false, event.key);
    this.#tellWorst(draft, object.ref, worst);
  }

  /** Makes the entry what the alarm is now, and tells when that is another status. */
  #settle(
    draft: Draft,
    definition: AlarmDefinition,
    object: ManagedObject,
    upwards: readonly string[],
    first: boolean,
    eventKey?: number,
  ): void {
    const { states, clock, onStatus, metrics } = this.#options;
    const { ref } = definition;
    const entity: EntityReference = object.ref;
    const before = states.get(entity.value, ref.value);
    const baseline = this.#baseline(definition, entity);
    const from = before?.status ?? baseline;
    const enabled = this.#isEnabled(definition, entity);
    const slots = enabled ? before?.slots : undefined;
    const own = definition.info.entity.value === entity.value;
    const to = enabled
      ? definition.expression.evaluate({
          object,
          own,
          slots,
          metric: (leaf) => metrics.status(definition, object, leaf),
        })
      : 'gray';
    if (to === from || this.#deferredTrigger(definition, entity, from, to)) return;
    const acknowledged = isTriggered(to) ? before?.acknowledged : undefined;
    const entry = { alarm: ref, entity, status: to, time: dateTime(clock), acknowledged, eventKey, slots };
    const shown = to === baseline && slots === undefined ? states.delete(before ?? entry) : states.set(entry, upwards);
    this.#touch(draft, entity, shown);
    // That a new entity has no problem is no news.
    if (!first || isTriggered(from) || isTriggered(to)) onStatus(draft, { definition, entity, from, to });
  }

  /** A trigger on a counter that comes too soon after the last report; it is looked at again when that time is over. */
  #deferredTrigger({ ref, info, expression }: AlarmDefinition, entity: EntityReference, from: Status, to: Status) {
    const seconds = info.setting?.reportingFrequency ?? 0;
    if (seconds === 0 || expression.metrics.length === 0 || !isTriggered(to) || !isWorse(to, from)) return false;
    const { clock } = this.#options;
    const key = stateKey({ alarm: ref, entity });
    const wait = (this.#reported.get(key) ?? Number.NEGATIVE_INFINITY) + seconds * 1_000 - clock.now();
    if (wait <= 0) {
      this.#reported.set(key, clock.now());
      return false;
    }
    if (!this.#deferred.has(key)) {
      const again = () => {
        this.#deferred.delete(key);
        this.measured([entity.value]);
      };
      this.#deferred.set(key, clock.after(wait, again));
    }
    return true;
  }

  #isEnabled({ ref, info }: AlarmDefinition, entity: EntityReference): boolean {
    return info.enabled && !this.#options.isDisabled(ref.value, entity.value);
  }

  #baseline(definition: AlarmDefinition, entity: EntityReference): Status {
    if (!this.#isEnabled(definition, entity)) return 'gray';
    return definition.expression.baseline(entity.type, this.#options.metrics.available);
  }

  #tellWorst(draft: Draft, entity: EntityReference, before: Status, anew = false): void {
    const worst = this.#options.states.worst(entity.value);
    if (worst !== before || (anew && worst !== 'green')) this.#options.onWorst(draft, entity, worst);
  }

  #touch(draft: Draft, entity: ManagedObjectReference, shownBy: readonly string[]): void {
    const touch = (ref: ManagedObjectReference | undefined, property: string) => {
      if (ref !== undefined && draft.has(ref)) draft.touch(ref, property);
    };
    touch(entity, 'declaredAlarmState');
    for (const value of shownBy) touch(this.#options.tree.ref(value), 'triggeredAlarmState');
  }
}
