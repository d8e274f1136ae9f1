import type { DataTypes } from '../../generated/types.ts';
import { fault, localizedFault } from '../../runtime/fault.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';
import type { TaskInfo, TaskRecord } from './task-record.ts';
import type { TrackedTask } from './tracked-task.ts';

/** Members of TaskInfo that the owner of a task says at its start; times that it gives are kept. */
type GivenInfo = Pick<TaskInfo, 'descriptionId'> &
  Partial<
    Pick<
      TaskInfo,
      | 'name'
      | 'entityName'
      | 'reason'
      | 'cancelable'
      | 'cancelled'
      | 'queueTime'
      | 'startTime'
      | 'activationId'
      | 'parentTaskKey'
      | 'rootTaskKey'
      | 'changeTag'
      | 'description'
      | 'progress'
    >
  >;

/** Passes a cancel on to whoever does the work. A fault that it fails with is the answer to who cancels. */
export type CancelHandler = () => Promise<void> | void;

/** A task whose work somebody outside does, under the eyes of code of this process. */
export interface OwnedTaskRequest {
  /** Which code it belongs to; finds its tasks again after a restart by this name. */
  readonly owner: string;
  readonly entity?: ManagedObjectReference | undefined;
  /** Who began it; empty for the system. */
  readonly userName?: string;
  readonly info: GivenInfo;
  /** `queued` unless told. */
  readonly state?: 'queued' | 'running';
  /** Chain of its events; a new one unless told. */
  readonly chainId?: number;
  /** False when no TaskEvent shall be posted, as for a task whose events are brought in. */
  readonly announced?: boolean;
  /** JSON for the owner's own use, kept with the task. */
  readonly note?: unknown;
  readonly onCancel?: CancelHandler;
}

/** What is new about an owned task. What is left out stays as it is. */
export interface OwnedTaskChange {
  /** `success` and `error` end it. */
  readonly state?: TaskInfo['state'];
  readonly startTime?: string;
  /** With the end; the time of the call unless told. */
  readonly completeTime?: string;
  /** Percent, 0 to 100. */
  readonly progress?: number;
  readonly description?: DataTypes['LocalizableMessage'];
  readonly cancelable?: boolean;
  /** Somebody cancelled it where the work is done. */
  readonly cancelled?: boolean;
  readonly result?: TaskInfo['result'];
  /** With state `error`. */
  readonly error?: TaskInfo['error'];
}

/** What owned tasks need of the service behind them. */
interface OwnedTaskOperations {
  startOwned(request: OwnedTaskRequest): Promise<TrackedTask>;
  unfinished(): Iterable<TrackedTask>;
  byActivation(activationId: string): readonly ManagedObjectReference<'Task'>[];
  trackedOrNot(ref: ManagedObjectReference): TrackedTask | undefined;
  save(task: TrackedTask): Promise<void>;
  show(task: TrackedTask): void;
  begin(task: TrackedTask, startTime: string | undefined): Promise<void>;
  end(task: TrackedTask, outcome: Pick<TaskInfo, 'result' | 'error' | 'completeTime'>): Promise<void>;
  isClosed(): boolean;
  onDefect(where: string, error: unknown): void;
}

/**
 * Tasks whose work is done elsewhere and said here, such as a host's at its center. They outlive the process: one that
 * is not over stays so until its owner, who finds it again by `of` or `byActivation`, says otherwise.
 */
export class OwnedTasks {
  readonly #service: OwnedTaskOperations;
  readonly #handlers = new Map<number, CancelHandler>();

  constructor(service: OwnedTaskOperations) {
    this.#service = service;
  }

  /** Durable when it resolves. Fails with SystemError when too many tasks are unfinished. */
  async start(request: OwnedTaskRequest): Promise<OwnedTask> {
    const task = this.#handle(await this.#service.startOwned(request));
    if (request.onCancel !== undefined) task.onCancel(request.onCancel);
    return task;
  }

  /** Tasks of an owner that are not over, oldest first. */
  of(owner: string): OwnedTask[] {
    const tasks = [...this.#service.unfinished()].filter((task) => task.record.owner === owner);
    return tasks.sort((a, b) => a.record.number - b.record.number).map((task) => this.#handle(task));
  }

  /** The youngest task of an owner with that token, among those that are unfinished or were over only recently. */
  byActivation(owner: string, activationId: string): OwnedTask | undefined {
    for (const ref of this.#service.byActivation(activationId).toReversed()) {
      const task = this.#service.trackedOrNot(ref);
      if (task?.record.owner === owner) return this.#handle(task);
    }
    return undefined;
  }

  /** Passes a cancel on; with nobody there, the owner is told when it comes back. */
  async cancel(task: TrackedTask): Promise<void> {
    await this.#handlers.get(task.record.number)?.();
  }

  ended(record: TaskRecord): void {
    this.#handlers.delete(record.number);
  }

  #handle(task: TrackedTask): OwnedTask {
    return new OwnedTask(task, this.#service, (handler) => this.#attach(task, handler));
  }

  #attach(task: TrackedTask, handler: CancelHandler): void {
    if (task.over) return;
    this.#handlers.set(task.record.number, handler);
    // Cancelled while its owner was away, or passed on already: it may hear of it twice.
    if (!task.info.cancelled) return;
    this.cancel(task).catch((error: unknown) => this.#service.onDefect('cancel of an owned task', error));
  }
}

/** An owned task in its owner's hands. */
export class OwnedTask {
  readonly ref: ManagedObjectReference<'Task'>;
  readonly #task: TrackedTask;
  readonly #service: OwnedTaskOperations;
  readonly #attach: (handler: CancelHandler) => void;

  constructor(task: TrackedTask, service: OwnedTaskOperations, attach: (handler: CancelHandler) => void) {
    this.ref = task.ref;
    this.#task = task;
    this.#service = service;
    this.#attach = attach;
  }

  /** As it is now. */
  get info(): TaskInfo {
    return this.#task.info;
  }

  get userName(): string {
    return this.#task.userName;
  }

  /** Chain of its events. */
  get chainId(): number {
    return this.#task.chainId;
  }

  /** True once its end is decided: nothing changes it any more. */
  get over(): boolean {
    return this.#task.over;
  }

  /** What the owner kept with it. */
  get note(): unknown {
    return this.#task.journaled;
  }

  /** Keeps a note in place of the one before: durable when it resolves. JSON only. */
  async keep(note: unknown): Promise<void> {
    if (this.over || this.#service.isClosed()) return;
    await this.#task.journal(note);
  }

  /** Who passes cancels on from now on; told at once when it was cancelled already. */
  onCancel(handler: CancelHandler): void {
    this.#attach(handler);
  }

  /**
   * Says what is new. States are durable when it resolves, and an end is seen with its result or error; progress and
   * description are seen at once and not kept. False when the task was over: then nothing changed.
   */
  async update(change: OwnedTaskChange): Promise<boolean> {
    const task = this.#task;
    if (task.over || this.#service.isClosed()) return false;
    const { state, startTime, completeTime, progress, description, result, error } = change;
    const { cancelable = task.info.cancelable, cancelled = task.info.cancelled } = change;
    const flagged = cancelable !== task.info.cancelable || cancelled !== task.info.cancelled;
    if (flagged) task.change({ cancelable, cancelled });
    if (startTime !== undefined) task.change({ startTime });
    if (progress !== undefined) task.progress(progress);
    if (description !== undefined) task.describe(description);
    if (state === 'success' || state === 'error') {
      const end = state === 'success' ? { result } : { error: error ?? unknownError() };
      await this.#service.end(task, completeTime === undefined ? end : { ...end, completeTime });
      return true;
    }
    if (state === 'running' && task.info.state === 'queued') await this.#service.begin(task, task.info.startTime);
    else if (flagged || startTime !== undefined) {
      await this.#service.save(task);
      this.#service.show(task);
    }
    return true;
  }

  /** Ends it in error, as nobody can tell any more what became of it. */
  async lose(reason: string): Promise<boolean> {
    return await this.update({ state: 'error', error: localizedFault(fault('SystemError', { reason }, reason)) });
  }
}

function unknownError(): DataTypes['LocalizedMethodFault'] {
  const reason = 'The task failed for a reason that was not told.';
  return localizedFault(fault('SystemError', { reason }, reason));
}
