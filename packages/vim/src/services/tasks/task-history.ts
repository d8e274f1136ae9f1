import type { DataTypes } from '../../generated/types.ts';
import type { Authorizer } from '../../runtime/authorizer.ts';
import type { ManagedObjectClass } from '../../runtime/managed-object.ts';
import type { Draft, Registry } from '../../runtime/registry.ts';
import type { Session } from '../../runtime/session.ts';
import type { AnyValue, ManagedObjectReference } from '../../schema/values.ts';
import { fromDocument } from '../document.ts';
import { byUser, concerns, instant } from '../events/event-filter.ts';
import { firstKept } from '../history/history-age.ts';
import { type CollectorReader, HistoryCollectors } from '../history/history-collectors.ts';
import type { HistoryItem, HistoryRange } from '../history/history-cursor.ts';
import { numberKey, type Persistence } from '../persistence.ts';
import { type TaskInfo, type TaskRecord, taskCollection } from './task-record.ts';

export type TaskFilterSpec = DataTypes['TaskFilterSpec'];
export type TaskInfoFilterSpec = DataTypes['TaskInfoFilterSpec'];

interface TaskHistoryOptions {
  readonly registry: Registry;
  readonly persistence: Persistence;
  readonly authorizer: Authorizer;
  readonly manager: ManagedObjectReference<'TaskManager'>;
  /** A kept record with what is known of it only in memory. */
  readonly current: (record: TaskRecord) => TaskRecord;
  /** Numbers of the tasks with one of these tokens, in rising order. */
  readonly activated: (activationIds: readonly string[]) => readonly number[];
}

/** Collectors over every task there was. */
export class TaskHistory {
  readonly #options: TaskHistoryOptions;
  readonly #collectors: HistoryCollectors<TaskRecord, TaskInfo, 'TaskHistoryCollector'>;

  constructor(options: TaskHistoryOptions) {
    this.#options = options;
    this.#collectors = new HistoryCollectors({
      registry: options.registry,
      source: { read: (range) => this.#read(range) },
      value: (record): TaskInfo => record.info,
      referencePrefix: 'TaskHistoryCollector',
      define: taskCollectorClass,
    });
  }

  /** A collector of the session's own. Fails with InvalidState when it has too many. */
  async collect(
    session: Session,
    filter: TaskFilterSpec,
    infoFilter?: TaskInfoFilterSpec,
  ): Promise<ManagedObjectReference<'TaskHistoryCollector'>> {
    const matches = taskMatcher(filter);
    const { registry, authorizer, manager } = this.#options;
    // A task of an entity that is gone, or of none, is for those who may read the root folder, and its own user.
    const visible = ({ info, userName }: TaskRecord) => {
      const about = info.entity === undefined ? undefined : registry.get(info.entity);
      return userName === session.userName || authorizer.holds(session, about?.ref ?? manager, 'System.Read');
    };
    const tagged = { ...filter, _typeName: 'TaskFilterSpec' } as AnyValue;
    const { activationId: tokens } = filter;
    const source = tokens?.length ? { read: (range: HistoryRange) => this.#readActivated(tokens, range) } : undefined;
    return await this.#collectors.create(session, tagged, (record) => matches(record) && visible(record), {
      source,
      view: viewOf(infoFilter),
    });
  }

  /** Number of the oldest task that was not over by a time, in milliseconds since 1970. */
  firstSince(before: number): Promise<number> {
    const isOld = ({ info }: TaskRecord) => Date.parse(info.completeTime ?? info.queueTime) < before;
    return firstKept({ read: (range) => this.#read(range) }, isOld);
  }

  happened(record: TaskRecord, draft: Draft): void {
    this.#collectors.happened({ number: record.number, record }, draft);
  }

  async #read({ from, to, reverse, limit }: HistoryRange): Promise<HistoryItem<TaskRecord>[]> {
    const entries = await this.#options.persistence.list(taskCollection, {
      ...(from === undefined ? {} : { from: numberKey(from) }),
      ...(to === undefined ? {} : { to: numberKey(to) }),
      reverse,
      limit,
    });
    return entries.map(({ value }) => this.#item(value));
  }

  /** Only what has one of the tokens: a history is long, and whoever asks by token waits for its one task. */
  async #readActivated(
    tokens: readonly string[],
    { from = 0, to = Number.POSITIVE_INFINITY, reverse, limit }: HistoryRange,
  ): Promise<HistoryItem<TaskRecord>[]> {
    const { activated, persistence } = this.#options;
    const numbers = activated(tokens).filter((number) => number >= from && number < to);
    if (reverse) numbers.reverse();
    const items: HistoryItem<TaskRecord>[] = [];
    for (const number of numbers) {
      if (items.length === limit) break;
      const document = await persistence.get(taskCollection, numberKey(number));
      if (document !== undefined) items.push(this.#item(document));
    }
    return items;
  }

  #item(document: unknown): HistoryItem<TaskRecord> {
    const record = this.#options.current(fromDocument<TaskRecord>(document));
    return { number: record.number, record };
  }
}

/** Tasks without the results that a client does not want. */
function viewOf({ filterTaskResults }: TaskInfoFilterSpec = {}): ((info: TaskInfo) => TaskInfo) | undefined {
  if (filterTaskResults === undefined) return undefined;
  const { removeAll = false, descriptionIds = [], filterIn = false } = filterTaskResults;
  return (info) => {
    const named = descriptionIds.includes(info.descriptionId);
    const removed = removeAll || (descriptionIds.length > 0 && named !== filterIn);
    return removed && info.result !== undefined ? { ...info, result: undefined } : info;
  };
}

/** The filter as a test of records. */
function taskMatcher(filter: TaskFilterSpec): (record: TaskRecord) => boolean {
  const { entity, time, userName, state, eventChainId, tag, parentTaskKey, rootTaskKey, activationId } = filter;
  const begin = instant(time?.beginTime, Number.NEGATIVE_INFINITY);
  const end = instant(time?.endTime, Number.POSITIVE_INFINITY);
  return (record) => {
    const { info } = record;
    const about = { entity: info.entity, within: record.within };
    if (entity !== undefined && !concerns(about, entity.entity.value, entity.recursion)) return false;
    if (time !== undefined) {
      const at = info[timeMembers[time.timeType]];
      if (at === undefined || Date.parse(at) < begin || Date.parse(at) > end) return false;
    }
    if (userName !== undefined && !byUser(record.userName, userName)) return false;
    if (filter.alarm !== undefined && reasonValue(info, 'alarm') !== filter.alarm.value) return false;
    if (filter.scheduledTask !== undefined && reasonValue(info, 'scheduledTask') !== filter.scheduledTask.value) {
      return false;
    }
    return (
      among(state, info.state) &&
      among(eventChainId, info.eventChainId) &&
      among(tag, info.changeTag) &&
      among(parentTaskKey, info.parentTaskKey) &&
      among(rootTaskKey, info.rootTaskKey) &&
      among(activationId, info.activationId)
    );
  };
}

const timeMembers = { queuedTime: 'queueTime', startedTime: 'startTime', completedTime: 'completeTime' } as const;

/** An empty list, or none, is no condition. */
function among<T>(wanted: readonly T[] | undefined, value: T | undefined): boolean {
  return wanted === undefined || wanted.length === 0 || (value !== undefined && wanted.includes(value));
}

function reasonValue(info: TaskInfo, member: 'alarm' | 'scheduledTask'): string | undefined {
  return (info.reason as { readonly alarm?: ManagedObjectReference; readonly scheduledTask?: ManagedObjectReference })[
    member
  ]?.value;
}

function taskCollectorClass(
  reader: CollectorReader<TaskInfo>,
  shared: ManagedObjectClass<'HistoryCollector'>['methods'],
): ManagedObjectClass<'TaskHistoryCollector'> {
  return {
    type: 'TaskHistoryCollector',
    methods: {
      ...shared,
      ReadNextTasks: (_call, { maxCount }) => reader.next(maxCount),
      ReadPreviousTasks: (_call, { maxCount }) => reader.previous(maxCount),
    },
  };
}
