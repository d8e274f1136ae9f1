import type { DataTypes } from '../../generated/types.ts';
import type { Authorizer } from '../../runtime/authorizer.ts';
import { fault } from '../../runtime/fault.ts';
import type { Draft, Registry } from '../../runtime/registry.ts';
import type { Session } from '../../runtime/session.ts';
import type { AnyValue, ManagedObjectReference } from '../../schema/values.ts';
import { type Clock, dateTime, systemClock } from '../clock.ts';
import { collectorLimit, HistoryCollectors } from '../history/history-collectors.ts';
import { HistoryCursor } from '../history/history-cursor.ts';
import { inventoryReader } from '../inventory.ts';
import type { Persistence, PersistenceWrite } from '../persistence.ts';
import { eventArguments } from './event-arguments.ts';
import { type EventFilterSpec, eventMatcher } from './event-filter.ts';
import { eventFormat, formatEvent } from './event-formats.ts';
import { EventLog } from './event-log.ts';
import { eventCollectorClass, eventManagerClass } from './event-manager.ts';
import type { EventPoster, EventRequest } from './event-poster.ts';
import type { EventRecord, VimEvent } from './event-record.ts';

export interface EventServiceOptions {
  readonly registry: Registry;
  readonly persistence: Persistence;
  /** Decides which events a session sees: those of entities that it may read. */
  readonly authorizer: Authorizer;
  readonly clock?: Clock;
  /** Reference value of the EventManager. */
  readonly referenceValue?: string;
  /** Most events that are kept. */
  readonly historyLimit?: number;
  readonly onDefect?: (where: string, error: unknown) => void;
}

const queryLimit = 1_000;

/** EventManager: posts events, keeps them, and answers who asks for them. */
export class EventService implements EventPoster {
  readonly ref: ManagedObjectReference<'EventManager'>;
  readonly registry: Registry;
  readonly #authorizer: Authorizer;
  readonly #clock: Clock;
  readonly #log: EventLog;
  readonly #collectors: HistoryCollectors<EventRecord, VimEvent, 'EventHistoryCollector'>;
  readonly #listeners = new Set<(event: EventRecord['event']) => void>();
  #latest: EventRecord | undefined;

  private constructor(options: EventServiceOptions, log: EventLog) {
    this.registry = options.registry;
    this.#authorizer = options.authorizer;
    this.#clock = options.clock ?? systemClock;
    this.#log = log;
    this.#collectors = new HistoryCollectors({
      registry: this.registry,
      source: log,
      value: (record): VimEvent => record.event,
      referencePrefix: 'EventHistoryCollector',
      define: eventCollectorClass,
    });
    this.ref = this.registry.commit((draft) =>
      draft.add(eventManagerClass(this), options.referenceValue ?? 'EventManager', { maxCollector: collectorLimit }),
    );
  }

  /** Adds the EventManager, with the events of before. */
  static async open(options: EventServiceOptions): Promise<EventService> {
    const { persistence, historyLimit = 50_000, onDefect = () => {} } = options;
    const service = new EventService(options, await EventLog.open({ persistence, limit: historyLimit, onDefect }));
    const [latest] = await service.#log.read({ reverse: true, limit: 1 });
    if (latest !== undefined) {
      service.#latest = latest.record;
      service.registry.commit((draft) => draft.set(service.ref, { latestEvent: latest.record.event }));
    }
    return service;
  }

  post(draft: Draft | undefined, event: EventRequest): number {
    if (draft !== undefined) return this.#post(draft, event);
    return this.registry.commit((own) => this.#post(own, event));
  }

  /** Tells of every event once its commit is true, in order; the answer stops it. */
  onPosted(listener: (event: EventRecord['event']) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The latest event, for those who may see it. */
  latestFor(session: Session | undefined): VimEvent | undefined {
    const latest = this.#latest;
    return latest !== undefined && session !== undefined && this.#visible(session, latest) ? latest.event : undefined;
  }

  newChain(): number {
    return this.#log.nextKey();
  }

  async flush(alongside?: readonly PersistenceWrite[]): Promise<void> {
    await this.#log.flush(alongside);
  }

  /** Forgets events of before a time, in milliseconds since 1970. */
  async expire(before: number): Promise<void> {
    await this.#log.expire(before);
  }

  /** Events that pass the filter and that the session may see, oldest first: the youngest 1,000 at most. */
  async query(session: Session, filter: EventFilterSpec): Promise<VimEvent[]> {
    const cursor = new HistoryCursor(this.#log, this.#matcher(session, filter));
    const count = Math.min(
      filter.maxCount !== undefined && filter.maxCount > 0 ? filter.maxCount : queryLimit,
      queryLimit,
    );
    const events = (await cursor.previous(count)).map((record) => record.event);
    const view = viewOf(filter);
    return view === undefined ? events.reverse() : events.reverse().map(view);
  }

  /** A collector of the session's own. Fails with InvalidState when it has too many. */
  async collect(session: Session, filter: EventFilterSpec): Promise<ManagedObjectReference<'EventHistoryCollector'>> {
    const tagged = { ...filter, _typeName: 'EventFilterSpec' } as AnyValue;
    return await this.#collectors.create(session, tagged, this.#matcher(session, filter), {
      view: viewOf(filter),
    });
  }

  #matcher(session: Session, filter: EventFilterSpec): (record: EventRecord) => boolean {
    const matches = eventMatcher(this.registry.schema, filter);
    return (record) => matches(record) && this.#visible(session, record);
  }

  /** An event of an entity that is gone, or of none, is for those who may read the root folder. */
  #visible(session: Session, { entity }: EventRecord): boolean {
    const about = entity === undefined ? undefined : this.registry.get(entity);
    return this.#authorizer.holds(session, about?.ref ?? this.ref, 'System.Read');
  }

  #post(draft: Draft, request: EventRequest): number {
    const { type, entity, userName = '', chainId, members, message, createdTime, alongside } = request;
    const { schema } = this.registry;
    if (!schema.isSubtype(type, 'Event')) throw fault('InvalidArgument', {}, `${type} is no event.`);
    const key = this.#log.nextKey();
    const read = inventoryReader(this.registry, draft);
    const around = entity === undefined ? { members: {}, within: [] } : eventArguments(schema, read, entity);
    const template = schema.isSubtype(type, 'VmEvent')
      ? { template: isTemplate(entity && read(entity, 'config')) }
      : {};
    const event = {
      ...around.members,
      ...template,
      ...members,
      _typeName: type as string,
      key,
      chainId: chainId ?? key,
      createdTime: createdTime ?? dateTime(this.#clock),
      userName,
    };
    const fullFormattedMessage = message ?? formatEvent(eventFormat(type).format, event);
    const record: EventRecord = { event: { ...event, fullFormattedMessage }, entity, within: around.within };
    draft.set(this.ref, { latestEvent: record.event });
    this.#collectors.happened({ number: key, record }, draft);
    draft.onApplied(() => {
      this.#latest = record;
      this.#log.append(record, alongside);
      for (const listener of this.#listeners) listener(record.event);
    });
    return key;
  }
}

function viewOf({ disableFullMessage }: EventFilterSpec): ((event: VimEvent) => VimEvent) | undefined {
  return disableFullMessage ? (event) => ({ ...event, fullFormattedMessage: undefined }) : undefined;
}

function isTemplate(config: unknown): boolean {
  return (config as Partial<DataTypes['VirtualMachineConfigInfo']> | undefined)?.template === true;
}
