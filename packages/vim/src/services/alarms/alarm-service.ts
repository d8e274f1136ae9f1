import type { DataTypes } from '../../generated/types.ts';
import type { Authorizer } from '../../runtime/authorizer.ts';
import { noPermission } from '../../runtime/dispatcher.ts';
import type { ManagedObject, ManagedObjectClass } from '../../runtime/managed-object.ts';
import type { Draft, Registry } from '../../runtime/registry.ts';
import type { Session } from '../../runtime/session.ts';
import { Turns } from '../../runtime/turns.ts';
import { data } from '../../schema/data.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';
import { type Clock, dateTime, systemClock } from '../clock.ts';
import type { Persistence } from '../persistence.ts';
import { ActionRunner, type PerformMethod } from './action-runner.ts';
import { type AlarmDefinition, type AlarmInfo, type AlarmSpec, compileSpec, plainSpec } from './alarm-definition.ts';
import { AlarmDefinitions } from './alarm-definitions.ts';
import { defaultExpressions } from './alarm-description.ts';
import { AlarmEvaluation } from './alarm-evaluation.ts';
import { AlarmEvents, type EventSource, followEvents } from './alarm-events.ts';
import { type AlarmOperations, alarmClass, alarmManagerClass, type ManagerOperations } from './alarm-objects.ts';
import { AlarmStates, alarmState, type EntityReference } from './alarm-states.ts';
import { AlarmStore, type StoredAlarm } from './alarm-store.ts';
import { matchesFilter } from './clear-filter.ts';
import { defaultAlarms } from './default-alarms.ts';
import type { EntityAlarms } from './entity-alarms.ts';
import { actionNotSupported, duplicateAlarmName, invalidSpec, objectNotFound } from './errors.ts';
import { InventoryTree } from './inventory-tree.ts';
import { MetricReading, type ReadMetric } from './metric-reading.ts';
import { isTriggered, type Status } from './status.ts';

type AlarmState = DataTypes['AlarmState'];

export interface AlarmServiceOptions {
  readonly registry: Registry;
  readonly persistence: Persistence;
  /** Where alarms post their events, and which events they wait for. */
  readonly events: EventSource;
  readonly authorizer: Authorizer;
  readonly rootFolder: ManagedObjectReference;
  readonly clock?: Clock;
  /** Reference value of the AlarmManager. */
  readonly referenceValue?: string;
  /** Puts the alarms of a new center on the root folder, the first time. */
  readonly defaults?: boolean;
  /** Latest value of a counter. Without it conditions on counters are gray. Tell of new values by `metricsChanged`. */
  readonly readMetric?: ReadMetric;
  /** Calls a method as the system. Without it alarms have no actions. */
  readonly perform?: PerformMethod;
  /** Key of a custom field of alarms by its name. Without it alarms have no custom fields. */
  readonly customField?: (name: string) => number | undefined;
  /** The worst of an entity's own alarms is another: for its `overallStatus`, in the same commit. */
  readonly raiseStatus?: (draft: Draft, entity: ManagedObjectReference, worst: Status) => void;
  readonly onDefect?: (where: string, error: unknown) => void;
}

const mostAlarms = 1_000;

/** The AlarmManager: conditions on entities, their states, and what is done when they change. */
export class AlarmService implements EntityAlarms, ManagerOperations, AlarmOperations {
  readonly ref: ManagedObjectReference<'AlarmManager'>;
  readonly #options: AlarmServiceOptions;
  readonly #registry: Registry;
  readonly #clock: Clock;
  readonly #store: AlarmStore;
  readonly #states: AlarmStates;
  readonly #definitions: AlarmDefinitions;
  readonly #tree = new InventoryTree();
  readonly #events: AlarmEvents;
  readonly #runner: ActionRunner;
  readonly #evaluation: AlarmEvaluation;
  readonly #class: ManagedObjectClass<'Alarm'>;
  readonly #unfollow: () => void;
  /** Changes of definitions, one after the other. */
  readonly #turns = new Turns();

  private constructor(options: AlarmServiceOptions, store: AlarmStore, states: AlarmStates, stored: StoredAlarm[]) {
    const { registry, events, clock = systemClock, rootFolder, onDefect = () => {} } = options;
    this.#options = options;
    this.#registry = registry;
    this.#clock = clock;
    this.#store = store;
    this.#states = states;
    this.#definitions = new AlarmDefinitions(registry.schema);
    this.#events = new AlarmEvents(registry, events);
    this.#class = alarmClass(this);
    const { perform = () => Promise.reject(actionNotSupported('call methods')) } = options;
    this.#runner = new ActionRunner({
      clock,
      perform,
      mayRun: ({ ref }, entity) =>
        store.actionsEnabled(entity.value) && states.get(entity.value, ref.value)?.acknowledged === undefined,
      announce: (draft, { info }, entity) => this.#events.actionTriggered(draft, info, entity),
      onDefect,
    });
    this.ref = registry.commit((draft) => {
      for (const { info, customValues } of stored) {
        try {
          const rules = { schema: registry.schema, entity: info.entity, holds: () => true };
          const definition = { ref: info.alarm, info, customValues, ...compileSpec(info, rules) };
          this.#definitions.set(definition);
          draft.add(this.#class, info.alarm.value, { info, value: customValues });
        } catch (error) {
          onDefect(`alarm ${info.alarm.value}`, error);
        }
      }
      return draft.add(alarmManagerClass(this), options.referenceValue ?? 'AlarmManager', {
        defaultExpression: defaultExpressions,
      });
    });
    this.#evaluation = new AlarmEvaluation({
      registry,
      definitions: this.#definitions,
      states,
      tree: this.#tree,
      metrics: new MetricReading(options.readMetric, clock),
      clock,
      rootFolder,
      isDisabled: (alarm, entity) => store.isDisabled(alarm, entity),
      onStatus: (draft, change) => {
        this.#events.statusChanged(draft, change);
        this.#runner.changed(draft, change.definition, change.entity, change.from, change.to);
      },
      onMatch: (draft, definition, entity) => this.#runner.all(draft, definition, entity),
      onWorst: (draft, entity, worst) => options.raiseStatus?.(draft, entity, worst),
      onRemoved: (entity) => this.#entityRemoved(entity),
      onDefect,
    });
    this.#unfollow = followEvents(registry, events, (event) => this.#evaluation.posted(event));
  }

  /** Adds the AlarmManager, with the alarms and states of before; they are evaluated anew. */
  static async open(options: AlarmServiceOptions): Promise<AlarmService> {
    const { persistence, onDefect = () => {}, defaults = false } = options;
    const store = await AlarmStore.open(persistence);
    const states = await AlarmStates.open({ persistence, onDefect });
    const service = new AlarmService(options, store, states, await store.load());
    if (defaults && !(await store.hasDefaults())) await service.#addDefaults();
    await service.settled();
    return service;
  }

  /** Resolves when every change and event so far is in the states, and they are durable. */
  async settled(): Promise<void> {
    await this.#evaluation.settled();
    await this.#states.flush();
  }

  close(): void {
    this.#unfollow();
    this.#evaluation.close();
    this.#runner.stop(() => true);
  }

  /** Counters have new values: of these entities, or of all. */
  metricsChanged(entities?: readonly ManagedObjectReference[]): void {
    this.#evaluation.measured(entities?.map(({ value }) => value));
  }

  /** The worst of the entity's own alarms; green when none is triggered. */
  worstStatus(entity: ManagedObjectReference): Status {
    return this.#states.worst(entity.value);
  }

  declared({ ref }: ManagedObject): AlarmState[] {
    const found: AlarmState[] = [];
    for (const at of this.#tree.upwards(ref.value)) {
      for (const definition of this.#definitions.on(at)) {
        const { expression } = definition;
        const own = expression.appliesTo(ref.type, at === ref.value);
        if (own || expression.appliesBelow(ref.type)) found.push(this.#stateOf(definition, ref, own));
      }
    }
    return found;
  }

  triggered({ ref }: ManagedObject): AlarmState[] {
    return this.#states
      .triggeredBy(ref.value)
      .map((entry) => alarmState(entry, this.#store.isDisabled(entry.alarm.value, entry.entity.value)));
  }

  actionsEnabled({ ref }: ManagedObject): boolean {
    return this.#store.actionsEnabled(ref.value);
  }

  async createAlarm(
    session: Session,
    { entity, spec }: { entity: ManagedObjectReference; spec: AlarmSpec },
  ): Promise<ManagedObjectReference<'Alarm'>> {
    return await this.#turns.take(async () => {
      if (spec.systemName && spec.systemName !== spec.name) {
        throw invalidSpec('spec.systemName', 'An alarm with a system name is named by it.');
      }
      return await this.#create(session, this.#entity(entity), spec);
    });
  }

  getAlarm(session: Session, { entity }: { entity?: ManagedObjectReference | undefined }) {
    const found = entity === undefined ? this.#definitions.all() : this.#definitions.on(this.#entity(entity).value);
    return found
      .filter(({ info }) => this.#options.authorizer.holds(session, info.entity, 'System.Read'))
      .map(({ ref }) => ref);
  }

  areAlarmActionsEnabled(_session: Session, { entity }: { entity: ManagedObjectReference }): boolean {
    return this.#store.actionsEnabled(this.#entity(entity).value);
  }

  async enableAlarmActions(
    _session: Session,
    { entity, enabled }: { entity: ManagedObjectReference; enabled: boolean },
  ): Promise<void> {
    const ref = this.#entity(entity);
    await this.#store.enableActions(ref.value, enabled);
    this.#registry.commit((draft) => {
      if (draft.has(ref)) draft.touch(ref, 'alarmActionsEnabled');
    });
  }

  getAlarmState(_session: Session, { entity }: { entity: ManagedObjectReference }): AlarmState[] {
    return this.declared(this.#object(entity));
  }

  async acknowledgeAlarm(
    session: Session,
    { alarm, entity }: { alarm: ManagedObjectReference; entity: ManagedObjectReference },
  ): Promise<void> {
    const definition = this.#pair(alarm, entity);
    const entry = this.#states.get(entity.value, alarm.value);
    // What is acknowledged, or not triggered, stays as it is.
    if (entry === undefined || entry.acknowledged !== undefined || !isTriggered(entry.status)) return;
    const acknowledged = { user: session.userName, time: dateTime(this.#clock) };
    this.#registry.commit((draft) => {
      this.#evaluation.replace(draft, { ...entry, acknowledged });
      this.#events.acknowledged(draft, definition.info, entry.entity, session.userName);
    });
    await this.#durable();
  }

  async clearTriggeredAlarms(session: Session, { filter }: { filter: DataTypes['AlarmFilterSpec'] }): Promise<void> {
    const { authorizer } = this.#options;
    const matching = [...this.#states.all()].filter((entry) => {
      const definition = this.#definitions.get(entry.alarm.value);
      return definition !== undefined && matchesFilter(this.#registry.schema, filter, entry, definition);
    });
    this.#registry.commit((draft) => {
      for (const entry of matching) {
        const definition = this.#definitions.get(entry.alarm.value);
        if (definition === undefined || !authorizer.holds(session, entry.entity, 'Alarm.SetStatus')) continue;
        this.#evaluation.turn(draft, entry, 'green');
        this.#events.cleared(draft, definition.info, entry.entity, session.userName, entry.status);
        this.#runner.changed(draft, definition, entry.entity, entry.status, 'green');
      }
    });
    await this.#durable();
  }

  async disableAlarm(
    session: Session,
    { alarm, entity }: { alarm: ManagedObjectReference; entity: ManagedObjectReference },
  ): Promise<void> {
    await this.#switchAlarm(session, alarm, entity, false);
  }

  async enableAlarm(
    session: Session,
    { alarm, entity }: { alarm: ManagedObjectReference; entity: ManagedObjectReference },
  ): Promise<void> {
    await this.#switchAlarm(session, alarm, entity, true);
  }

  async reconfigure(session: Session, alarm: string, spec: AlarmSpec): Promise<void> {
    await this.#turns.take(async () => {
      const before = this.#definition(alarm);
      this.#require(session, before, 'Alarm.Edit');
      const { info } = before;
      if ((spec.systemName || undefined) !== (info.systemName || undefined)) {
        throw invalidSpec('spec.systemName', 'The system name of an alarm stays.');
      }
      if (info.systemName && spec.name !== info.name && spec.name !== info.systemName) {
        throw invalidSpec('spec.name', 'An alarm with a system name is not renamed.');
      }
      const name = info.systemName ? info.name : spec.name;
      const compiled = this.#compile(session, info.entity, spec);
      this.#checkName(name, before);
      const { key, alarm: ref, entity, creationEventId } = info;
      const changed = this.#info({ ...plainSpec(spec), name }, { key, alarm: ref, entity, creationEventId }, session);
      const definition = { ref: before.ref, info: changed, customValues: before.customValues, ...compiled };
      await this.#store.put(definition);
      const sameExpression = JSON.stringify(changed.expression) === JSON.stringify(info.expression);
      this.#definitions.set(definition);
      this.#registry.commit((draft) => {
        draft.set(before.ref, { info: changed });
        // What events did to other conditions is nothing to these.
        if (!sameExpression) this.#forgetEvents(draft, before);
        this.#events.reconfigured(draft, changed, session.userName, changedMembers(info, changed).join(', '));
      });
      this.#runner.stop((key) => key.startsWith(`${alarm}.`));
      this.#evaluation.redefined(before);
      this.#evaluation.redefined(definition);
      await this.#events.flush();
    });
  }

  async remove(session: Session, alarm: string): Promise<void> {
    await this.#turns.take(async () => {
      const definition = this.#definition(alarm);
      this.#require(session, definition, 'Alarm.Delete');
      await this.#store.delete(definition.info);
      this.#forget(definition, session.userName);
      await this.#events.flush();
    });
  }

  async setCustomValue(session: Session, alarm: string, key: string, value: string): Promise<void> {
    await this.#turns.take(async () => {
      const definition = this.#definition(alarm);
      this.#require(session, definition, 'Global.SetCustomField');
      const field = this.#options.customField?.(key);
      if (field === undefined) throw invalidSpec('key', `Alarms have no custom field ${key.slice(0, 200)}.`);
      const others = definition.customValues.filter((each) => each.key !== field);
      const customValues = [...others, data('CustomFieldStringValue', { key: field, value })];
      const changed = { ...definition, customValues };
      await this.#store.put(changed);
      this.#definitions.set(changed);
      this.#registry.commit((draft) => draft.set(definition.ref, { value: customValues }));
    });
  }

  async #addDefaults(): Promise<void> {
    await this.#turns.take(async () => {
      const known = new Set(this.#definitions.all().map(({ info }) => info.systemName));
      for (const spec of defaultAlarms) {
        if (!known.has(spec.systemName)) await this.#create(undefined, this.#options.rootFolder, spec);
      }
      await this.#store.rememberDefaults();
    });
  }

  async #create(
    session: Session | undefined,
    entity: EntityReference,
    spec: AlarmSpec,
  ): Promise<ManagedObjectReference<'Alarm'>> {
    const compiled = this.#compile(session, entity, spec);
    this.#checkName(spec.name, undefined);
    if (this.#definitions.all().length >= mostAlarms) {
      throw invalidSpec('spec', `There are at most ${mostAlarms} alarms.`);
    }
    const value = this.#store.nextReference();
    const ref: ManagedObjectReference<'Alarm'> = { _typeName: 'ManagedObjectReference', type: 'Alarm', value };
    const place = { key: value, alarm: ref, entity: entity as AlarmInfo['entity'] };
    // The alarm names its event, so the event comes first; the alarm is written down before it is seen.
    const info = this.#registry.commit((draft) => {
      const event = this.#events.created(draft, { name: spec.name, ...place }, session?.userName ?? '');
      return this.#info(plainSpec(spec), { ...place, creationEventId: event }, session);
    });
    const definition = { ref, info, customValues: [], ...compiled };
    await this.#store.put(definition);
    this.#definitions.set(definition);
    this.#registry.commit((draft) => draft.add(this.#class, value, { info, value: [] }));
    this.#evaluation.redefined(definition);
    await this.#events.flush();
    return ref;
  }

  #info(
    spec: AlarmSpec,
    place: Pick<AlarmInfo, 'key' | 'alarm' | 'entity' | 'creationEventId'>,
    session: Session | undefined,
  ): AlarmInfo {
    const modified = { lastModifiedTime: dateTime(this.#clock), lastModifiedUser: session?.userName ?? '' };
    return data('AlarmInfo', { ...spec, ...place, ...modified });
  }

  #compile(session: Session | undefined, entity: EntityReference, spec: AlarmSpec) {
    if (spec.action !== undefined && this.#options.perform === undefined) throw actionNotSupported('run actions');
    return compileSpec(spec, {
      schema: this.#registry.schema,
      entity,
      holds: (object, privilege) => session === undefined || this.#options.authorizer.holds(session, object, privilege),
    });
  }

  #checkName(name: string, except: AlarmDefinition | undefined): void {
    for (const { ref, info } of this.#definitions.all()) {
      if (info.name === name && ref.value !== except?.ref.value) throw duplicateAlarmName(name, ref);
    }
  }

  async #switchAlarm(
    session: Session,
    alarm: ManagedObjectReference,
    entity: ManagedObjectReference,
    enabled: boolean,
  ): Promise<void> {
    const definition = this.#pair(alarm, entity);
    this.#require(session, definition, 'System.Read');
    await this.#store.enable({ alarm: definition.ref, entity }, enabled);
    this.#evaluation.revisit(entity.value);
    await this.settled();
  }

  /** The alarm, which the entity must have. Fails with InvalidArgument. */
  #pair(alarm: ManagedObjectReference, entity: ManagedObjectReference): AlarmDefinition {
    const { ref } = this.#object(entity);
    const definition = this.#definitions.get(alarm.value);
    if (definition === undefined) throw objectNotFound(alarm);
    const { expression, info } = definition;
    const lies = this.#tree.upwards(ref.value).includes(info.entity.value);
    if (!lies || !expression.appliesTo(ref.type, info.entity.value === ref.value)) {
      throw invalidSpec('entity', 'The entity does not have that alarm.');
    }
    return definition;
  }

  #stateOf(definition: AlarmDefinition, entity: EntityReference, own: boolean): AlarmState {
    const { ref, info, expression } = definition;
    const disabled = this.#store.isDisabled(ref.value, entity.value);
    const entry = own ? this.#states.get(entity.value, ref.value) : undefined;
    if (entry !== undefined) return alarmState(entry, disabled);
    const status =
      own && info.enabled && !disabled
        ? expression.baseline(entity.type, this.#options.readMetric !== undefined)
        : 'gray';
    return alarmState({ alarm: ref, entity, status, time: info.lastModifiedTime }, disabled);
  }

  #forgetEvents(draft: Draft, { ref }: AlarmDefinition): void {
    for (const entry of [...this.#states.all()]) {
      if (entry.alarm.value !== ref.value || entry.slots === undefined) continue;
      this.#evaluation.replace(draft, { ...entry, slots: undefined });
    }
  }

  /** The alarm is gone, from the store already. */
  #forget(definition: AlarmDefinition, userName: string): void {
    this.#definitions.delete(definition);
    this.#runner.stop((key) => key.startsWith(`${definition.ref.value}.`));
    this.#registry.commit((draft) => {
      if (draft.has(definition.ref)) draft.remove(definition.ref);
      this.#events.removed(draft, definition.info, userName);
    });
    this.#evaluation.redefined(definition);
  }

  /** Alarms go with the entity that they are defined on. */
  #entityRemoved(entity: string): void {
    this.#runner.stop((key) => key.endsWith(`.${entity}`));
    for (const definition of this.#definitions.on(entity)) {
      this.#forget(definition, '');
      this.#turns
        .take(() => this.#store.delete(definition.info))
        .catch((error: unknown) => this.#options.onDefect?.('alarms', error));
    }
  }

  #definition(alarm: string): AlarmDefinition {
    const definition = this.#definitions.get(alarm);
    if (definition === undefined) throw objectNotFound({ type: 'Alarm', value: alarm });
    return definition;
  }

  #require(session: Session, { info }: AlarmDefinition, privilege: string): void {
    if (!this.#options.authorizer.holds(session, info.entity, privilege)) throw noPermission(info.entity, privilege);
  }

  #object(ref: ManagedObjectReference): ManagedObject {
    const object = this.#registry.get(ref);
    if (object === undefined) throw objectNotFound(ref);
    return object;
  }

  #entity(ref: ManagedObjectReference): EntityReference {
    return this.#object(ref).ref;
  }

  async #durable(): Promise<void> {
    await this.#states.flush();
    await this.#events.flush();
  }
}

function changedMembers(before: AlarmInfo, after: AlarmInfo): string[] {
  const names = ['name', 'description', 'enabled', 'expression', 'action', 'actionFrequency', 'setting'] as const;
  return names.filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]));
}
