import type { DataTypes } from '../../generated/types.ts';
import { fromDocument, toDocument } from '../document.ts';
import { numberKey, type Persistence, type PersistenceWrite } from '../persistence.ts';

export type TaskInfo = DataTypes['TaskInfo'];

/** A task as it is kept. */
export interface TaskRecord {
  readonly number: number;
  /** Undefined for a task whose work is done by a client (CreateTask) or elsewhere. */
  readonly kind: string | undefined;
  /** The code that says how the task goes whose work is done elsewhere. */
  readonly owner?: string | undefined;
  readonly input: unknown;
  readonly queueKey: string | undefined;
  readonly queueShared?: boolean | undefined;
  readonly userName: string;
  /** Reference values of the entity and of what was above it when the task began. */
  readonly within: readonly string[];
  readonly journal: unknown;
  readonly info: TaskInfo;
}

export const taskCollection = 'tasks';
const unfinishedCollection = 'tasks-unfinished';
const counterCollection = 'task-counter';
/** Tokens of those tasks that have one, by the task's key. */
const activationCollection = 'task-activations';

/** Tasks on disk: unfinished ones are also listed apart, to be found at start. */
export class TaskStore {
  readonly #persistence: Persistence;

  constructor(persistence: Persistence) {
    this.#persistence = persistence;
  }

  /** Number of the last task ever made. */
  async lastNumber(): Promise<number> {
    return (await this.#persistence.get<number>(counterCollection, 'last')) ?? 0;
  }

  async unfinished(): Promise<TaskRecord[]> {
    const records: TaskRecord[] = [];
    for (const { key } of await this.#persistence.list(unfinishedCollection)) {
      const document = await this.#persistence.get(taskCollection, key);
      if (document !== undefined) records.push(fromDocument(document));
    }
    return records;
  }

  /** The youngest finished tasks, at most `limit`. */
  async youngest(limit: number): Promise<TaskRecord[]> {
    const entries = await this.#persistence.list(taskCollection, { reverse: true, limit });
    return entries.map((entry) => fromDocument<TaskRecord>(entry.value));
  }

  /** Tokens by the number of the task. */
  async activations(): Promise<[number, string][]> {
    const entries = await this.#persistence.list<string>(activationCollection);
    return entries.map(({ key, value }) => [Number(key), value]);
  }

  async create(record: TaskRecord): Promise<void> {
    const key = numberKey(record.number);
    const { activationId } = record.info;
    await this.#persistence.transact([
      put(record),
      { put: { collection: unfinishedCollection, key, value: true } },
      { put: { collection: counterCollection, key: 'last', value: record.number } },
      ...(activationId === undefined ? [] : [{ put: { collection: activationCollection, key, value: activationId } }]),
    ]);
  }

  async update(record: TaskRecord): Promise<void> {
    await this.#persistence.transact([put(record)]);
  }

  /** What is to be written at the end of a task. */
  finishing(record: TaskRecord): PersistenceWrite[] {
    return [put(record), { delete: { collection: unfinishedCollection, key: numberKey(record.number) } }];
  }

  /** Deletes tasks below `number`, but for those named. */
  async trim(number: number, keep: Iterable<number>): Promise<void> {
    const writes: PersistenceWrite[] = [];
    let from = 0;
    const kept = [...keep].filter((at) => at < number).sort((a, b) => a - b);
    for (const to of [...kept, number]) {
      if (to > from) {
        for (const collection of [taskCollection, activationCollection]) {
          writes.push({ deleteRange: { collection, from: numberKey(from), to: numberKey(to) } });
        }
      }
      from = to + 1;
    }
    await this.#persistence.transact(writes);
  }
}

function put(record: TaskRecord): PersistenceWrite {
  return { put: { collection: taskCollection, key: numberKey(record.number), value: toDocument(record) } };
}
