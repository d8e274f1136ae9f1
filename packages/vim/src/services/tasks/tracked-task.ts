import type { DataTypes } from '../../generated/types.ts';
import type { Draft } from '../../runtime/registry.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';
import type { Clock } from '../clock.ts';
import type { EventPoster, EventRequest } from '../events/event-poster.ts';
import type { RunningTask } from './task-kind.ts';
import type { QueuedWork } from './task-queue.ts';
import type { TaskInfo, TaskRecord } from './task-record.ts';

/** What a tracked task needs of its service. */
export interface TaskKeeper {
  readonly clock: Clock;
  readonly events: EventPoster;
  /** Milliseconds between two commits of progress. */
  readonly progressInterval: number;
  /** Shows the task's info as it is now. */
  show(task: TrackedTask): void;
  /** Writes the record; rejects once the service is closed. */
  save(task: TrackedTask): Promise<void>;
}

/** One task in memory: its record, its place in the queue, and what its work may do with it. */
export class TrackedTask implements RunningTask {
  record: TaskRecord;
  readonly ref: ManagedObjectReference<'Task'>;
  /** Undefined once begun, and for tasks that a client works on. */
  work: QueuedWork | undefined;
  /** Its outcome is decided: it can no longer be cancelled. */
  ending = false;
  /** In milliseconds since 1970, once complete. */
  completedAt = 0;
  #begunAt: string | undefined;
  readonly #keeper: TaskKeeper;
  /** Made when somebody asks for its signal: few tasks do, and it is the greater part of one that is over. */
  #abort: AbortController | undefined;
  #aborted = false;
  #shownAt = 0;
  #showLater: (() => void) | undefined;

  constructor(keeper: TaskKeeper, record: TaskRecord) {
    this.#keeper = keeper;
    this.record = record;
    this.ref = record.info.task;
    if (record.info.cancelled) this.abort();
  }

  get info(): TaskInfo {
    return this.record.info;
  }

  get entity(): ManagedObjectReference | undefined {
    return this.info.entity;
  }

  get userName(): string {
    return this.record.userName;
  }

  get chainId(): number {
    return this.info.eventChainId;
  }

  /** True once its outcome is decided. */
  get over(): boolean {
    return this.ending || this.completedAt > 0;
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#aborted) this.#abort.abort(cancelled());
    }
    return this.#abort.signal;
  }

  /** When it began, where that is written down with the task itself. */
  get begunAt(): string | undefined {
    return this.#begunAt;
  }

  /** As it is written down first: one that begins at once is shown as queued, and found again as running. */
  get durable(): TaskRecord {
    if (this.#begunAt === undefined) return this.record;
    return { ...this.record, info: { ...this.info, state: 'running', startTime: this.#begunAt } };
  }

  /** Before it is written down: it is its turn, and this its first step. */
  begins(journal: unknown, at: string): void {
    this.#begunAt = at;
    this.record = { ...this.record, journal };
  }

  get journaled(): unknown {
    return this.record.journal;
  }

  progress(percent: number): void {
    if (this.ending || !Number.isFinite(percent)) return;
    const progress = Math.min(100, Math.max(0, Math.floor(percent)));
    if (progress === this.info.progress) return;
    this.change({ progress });
    if (this.#showLater !== undefined) return;
    const wait = this.#shownAt + this.#keeper.progressInterval - this.#keeper.clock.now();
    if (wait <= 0) this.#show();
    else this.#showLater = this.#keeper.clock.after(wait, () => this.#show());
  }

  describe(message: string | DataTypes['LocalizableMessage']): void {
    if (this.ending) return;
    const description = typeof message === 'string' ? { key: this.info.descriptionId, message } : message;
    this.change({ description });
    this.#show();
  }

  async journal(step: unknown): Promise<void> {
    this.record = { ...this.record, journal: step };
    await this.#keeper.save(this);
  }

  post(draft: Draft | undefined, event: EventRequest): number {
    return this.#keeper.events.post(draft, { userName: this.userName, chainId: this.chainId, ...event });
  }

  change(info: Partial<TaskInfo>): void {
    this.record = { ...this.record, info: { ...this.info, ...info } };
  }

  abort(): void {
    this.#aborted = true;
    this.#abort?.abort(cancelled());
  }

  /** Lets go of what only a task that goes on needs. */
  complete(at: number): void {
    this.completedAt = at;
    this.work = undefined;
    this.#abort = undefined;
  }

  /** No commit of progress comes after this. */
  quiet(): void {
    this.#showLater?.();
    this.#showLater = undefined;
  }

  #show(): void {
    this.quiet();
    this.#shownAt = this.#keeper.clock.now();
    this.#keeper.show(this);
  }
}

function cancelled(): DOMException {
  return new DOMException('The task was cancelled.', 'AbortError');
}
