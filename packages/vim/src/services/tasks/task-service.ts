import type { DataTypes } from '../../generated/types.ts';
import type { Authorizer } from '../../runtime/authorizer.ts';
import { actingUser } from '../../runtime/call-context.ts';
import { asFault, fault, localizedFault, VimFault } from '../../runtime/fault.ts';
import type { Call, ManagedObjectClass } from '../../runtime/managed-object.ts';
import type { Draft, Registry } from '../../runtime/registry.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';
import { type Clock, dateTime, systemClock } from '../clock.ts';
import type { EventPoster } from '../events/event-poster.ts';
import type { Persistence } from '../persistence.ts';
import { type NewTask, newTaskRecord, systemReason, userReason } from './new-task.ts';
import { type OwnedTaskRequest, OwnedTasks } from './owned-tasks.ts';
import { RecentTasks } from './recent-tasks.ts';
import { TaskActivations } from './task-activations.ts';
import { TaskHistory } from './task-history.ts';
import type { TaskKind, TaskOrigin, TaskRequest } from './task-kind.ts';
import { taskManagerClass } from './task-manager.ts';
import { taskClass } from './task-object.ts';
import { cancelled, interrupted, type TaskOutcome } from './task-outcome.ts';
import { TaskQueue } from './task-queue.ts';
import { type TaskInfo, type TaskRecord, TaskStore } from './task-record.ts';
import type { TaskServiceOptions } from './task-service-options.ts';
import { type TaskKeeper, TrackedTask } from './tracked-task.ts';

const progressInterval = 500;
/** History is trimmed once in as many tasks. */
const trimInterval = 256;

/**
 * TaskManager and its tasks: work that outlives the call, and the process.
 *
 * A task is durable before its reference is answered. After a restart, `recover` runs the tasks that had not begun and
 * resumes those that had, under the same references.
 */
export class TaskService implements TaskKeeper {
  readonly ref: ManagedObjectReference<'TaskManager'>;
  readonly registry: Registry;
  readonly persistence: Persistence;
  readonly events: EventPoster;
  readonly clock: Clock;
  readonly progressInterval = progressInterval;
  readonly kinds = new Map<string, TaskKind>();
  readonly foreignKinds: readonly string[];
  readonly #authorizer: Authorizer;
  readonly #taskReferenceValue: (number: number) => string;
  readonly #unfinishedLimit: number;
  readonly #historyLimit: number;
  readonly #onDefect: (where: string, error: unknown) => void;
  readonly #store: TaskStore;
  readonly #queue: TaskQueue;
  readonly #class: ManagedObjectClass<'Task'>;
  readonly #recent: RecentTasks;
  readonly history: TaskHistory;
  /** Tasks whose work is done elsewhere. */
  readonly owned: OwnedTasks;
  readonly #activations = new TaskActivations();
  readonly #tracked = new Map<string, TrackedTask>();
  readonly #unfinished = new Map<number, TrackedTask>();
  readonly #waiters = new Map<number, ((info: TaskInfo) => void)[]>();
  #toRecover: TrackedTask[] = [];
  #lastNumber = 0;
  #closed = false;

  private constructor(options: TaskServiceOptions) {
    this.registry = options.registry;
    this.persistence = options.persistence;
    this.events = options.events;
    this.clock = options.clock ?? systemClock;
    this.foreignKinds = options.foreignKinds ?? [];
    this.#authorizer = options.authorizer;
    this.#taskReferenceValue = options.taskReferenceValue ?? ((number) => `task-${number}`);
    this.#unfinishedLimit = options.unfinishedLimit ?? 10_000;
    this.#historyLimit = options.historyLimit ?? 10_000;
    this.#onDefect = options.onDefect ?? (() => {});
    this.#store = new TaskStore(this.persistence);
    this.#queue = new TaskQueue(options.heavyLimit ?? 4);
    this.#class = taskClass(this);
    this.ref = this.registry.commit((draft) =>
      draft.add(taskManagerClass(this), options.referenceValue ?? 'TaskManager', { maxCollector: 32 }),
    );
    this.history = new TaskHistory({
      registry: this.registry,
      persistence: this.persistence,
      authorizer: options.authorizer,
      manager: this.ref,
      current: (record) => this.#unfinished.get(record.number)?.record ?? record,
      activated: (activationIds) => this.#activations.numbers(activationIds),
    });
    this.owned = new OwnedTasks({
      startOwned: (request) => this.#startOwned(request),
      unfinished: () => this.#unfinished.values(),
      byActivation: (activationId) => this.byActivation(activationId),
      trackedOrNot: (ref) => this.#tracked.get(ref.value),
      save: (task) => this.save(task),
      show: (task) => this.show(task),
      begin: (task, startTime) => this.#begin(task, startTime),
      end: (task, outcome) => this.#end(task, outcome),
      isClosed: () => this.#closed,
      onDefect: this.#onDefect,
    });
    this.#recent = new RecentTasks({
      registry: this.registry,
      clock: this.clock,
      manager: this.ref,
      keepFinished: options.keepFinished ?? 600_000,
      keepFinishedLimit: options.keepFinishedLimit ?? 5_000,
      onForgotten: (task) => this.#tracked.delete(task.ref.value),
    });
  }

  /** Adds the TaskManager, and the tasks that were unfinished or had just finished. Define kinds, then `recover`. */
  static async open(options: TaskServiceOptions): Promise<TaskService> {
    const service = new TaskService(options);
    await service.#load();
    return service;
  }

  /** Forgets tasks that were over before a time, in milliseconds since 1970. */
  async expire(before: number): Promise<void> {
    const below = Math.min(await this.history.firstSince(before), this.#lastNumber + 1);
    if (below > 0) await this.#forget(below);
  }

  /** Registers what tasks of a kind do; answers the kind's own `start`. */
  define<Input>(
    kind: string,
    work: TaskKind<Input>,
  ): (origin: Call | TaskOrigin, request: Omit<TaskRequest<Input>, 'kind'>) => Promise<ManagedObjectReference<'Task'>> {
    if (this.kinds.has(kind)) throw new Error(`the task kind ${kind} is defined already`);
    if (work.method !== undefined && this.registry.schema.method(work.method) === undefined) {
      throw new Error(`the schema has no method ${work.method}`);
    }
    this.kinds.set(kind, work as TaskKind);
    return (origin, request) => this.start(origin, { ...request, kind });
  }

  /** Starts a task: durable when it resolves. Fails with SystemError when too many are unfinished. */
  async start(origin: Call | TaskOrigin, request: TaskRequest): Promise<ManagedObjectReference<'Task'>> {
    const kind = this.kinds.get(request.kind);
    if (kind === undefined) throw new Error(`no task kind ${request.kind} is defined`);
    const called = 'self' in origin ? origin.self.ref : undefined;
    const userName = 'self' in origin ? actingUser(origin) : (origin.userName ?? '');
    const reason = 'self' in origin ? userReason(userName) : (origin.reason ?? systemReason);
    const task = this.#create(request.entity ?? called, {
      kind: request.kind,
      input: request.input,
      queueKey: request.queueKey,
      queueShared: request.queueShared,
      userName,
      info: {
        reason,
        descriptionId: request.kind,
        name: kind.method,
        cancelable: request.cancelable ?? kind.cancelable ?? false,
        entityName: request.entityName,
        parentTaskKey: request.parentTaskKey,
        activationId: request.activationId ?? ('self' in origin ? origin.context.activationId : undefined),
      },
    });
    await this.#admitAndEnqueue(task, kind);
    return task.ref;
  }

  /** A task whose work a client does (CreateTask). */
  async startExternal(
    call: Call,
    spec: { obj: ManagedObjectReference; initiatedBy: string | undefined; info: Partial<TaskInfo> },
  ): Promise<TaskInfo> {
    const userName = spec.initiatedBy ?? actingUser(call);
    const task = this.#create(spec.obj, {
      kind: undefined,
      input: undefined,
      queueKey: undefined,
      userName: actingUser(call),
      info: { ...spec.info, reason: userReason(userName) },
    });
    await this.#admit(task);
    return task.info;
  }

  /**
   * Every task of the history that has the token, oldest first. Those that were over long ago are no objects any more.
   */
  byActivation(activationId: string): ManagedObjectReference<'Task'>[] {
    return this.#activations
      .numbers([activationId])
      .map((number) => ({ type: 'Task', value: this.#taskReferenceValue(number) }));
  }

  /**
   * Goes on with what was unfinished: resumes what had begun, runs what had not. A task that cannot go on ends in
   * error, and says so. Resolves when every such end is durable.
   */
  async recover(): Promise<void> {
    const tasks = this.#toRecover;
    this.#toRecover = [];
    this.registry.commit((draft) => draft.touch(this.ref, 'description'));
    const ends: Promise<void>[] = [];
    // Begun ones first: they hold their lanes.
    const begun = tasks.filter((task) => task.info.state === 'running');
    const waiting = tasks.filter((task) => task.info.state === 'queued');
    for (const task of [...begun, ...waiting]) {
      const id = task.record.kind;
      if (id === undefined) continue;
      const kind = this.kinds.get(id);
      const resumable = task.info.state === 'queued' ? kind !== undefined : kind?.resume !== undefined;
      if (resumable && !(task.info.state === 'queued' && task.info.cancelled)) this.#enqueue(task);
      else ends.push(this.#end(task, { error: task.info.cancelled ? cancelled() : interrupted(task) }));
    }
    await Promise.all(ends);
  }

  /** Cancels a task: one that waits ends at once, one that runs is told. Fails with InvalidState or NotSupported. */
  async cancel(ref: ManagedObjectReference): Promise<void> {
    const task = this.tracked(ref);
    if (task.over) throw fault('InvalidState', {}, 'The task has completed.');
    if (!task.info.cancelable) throw fault('NotSupported', {}, 'The task cannot be cancelled.');
    const external = task.record.kind === undefined;
    if (!external && task.info.state === 'queued' && (task.work === undefined || this.#queue.remove(task.work))) {
      this.#toRecover = this.#toRecover.filter((other) => other !== task);
      task.change({ cancelled: true });
      await this.#end(task, { error: cancelled() });
      return;
    }
    if (task.record.owner !== undefined) {
      await this.owned.cancel(task);
      // It may have been that quick.
      if (task.over) return;
    }
    task.change({ cancelled: true });
    await this.save(task);
    this.show(task);
    task.abort();
  }

  /** Sets the state of a task whose work a client does. */
  async setState(
    task: TrackedTask,
    state: TaskInfo['state'],
    result: TaskInfo['result'],
    error: TaskInfo['error'],
  ): Promise<void> {
    if (task.over) throw fault('InvalidState', {}, 'The task has completed.');
    if (state === 'success') await this.#end(task, { result });
    else if (state === 'error') await this.#end(task, { error: error ?? localizedFault(asFault('unknown')) });
    else {
      if (state === 'queued' && task.info.state === 'running') {
        throw fault('InvalidState', {}, 'A running task cannot be queued again.');
      }
      if (state === 'running' && task.info.startTime === undefined) task.change({ startTime: dateTime(this.clock) });
      task.change({ state, ...(result === undefined ? {} : { result }) });
      await this.save(task);
      this.show(task);
    }
  }

  /** The final info of a task that is unfinished or just finished. */
  async finished(ref: ManagedObjectReference): Promise<TaskInfo> {
    const task = this.tracked(ref);
    if (task.completedAt > 0) return task.info;
    return await new Promise((resolve) => {
      const waiters = this.#waiters.get(task.record.number) ?? [];
      waiters.push(resolve);
      this.#waiters.set(task.record.number, waiters);
    });
  }

  /** Stops: nothing more begins, and what runs is left to the next start, which resumes it. */
  close(): void {
    this.#closed = true;
    this.#recent.close();
    for (const task of this.#unfinished.values()) task.quiet();
  }

  tracked(ref: ManagedObjectReference): TrackedTask {
    const task = this.#tracked.get(ref.value);
    if (task === undefined) throw fault('ManagedObjectNotFound', { obj: ref }, `The task ${ref.value} is over.`);
    return task;
  }

  mayCancel(call: Call): boolean {
    return call.session !== undefined && this.#authorizer.holds(call.session, call.self.ref, 'Global.CancelTask');
  }

  show(task: TrackedTask): void {
    // The end of a task is shown once it is durable.
    if (this.#closed || task.ending) return;
    this.registry.commit((draft) => this.#show(task, draft));
  }

  async save(task: TrackedTask): Promise<void> {
    if (this.#closed) throw new Error('the task service is closed');
    await this.#store.update(task.record);
  }

  async #load(): Promise<void> {
    this.#lastNumber = await this.#store.lastNumber();
    for (const [number, activationId] of await this.#store.activations()) this.#activations.add(activationId, number);
    const unfinished = await this.#store.unfinished();
    const since = this.clock.now() - this.#recent.keepFinished;
    const finished = (await this.#store.youngest(this.#recent.keepFinishedLimit)).filter(
      ({ info }) => info.completeTime !== undefined && Date.parse(info.completeTime) > since,
    );
    const tasks = [...unfinished, ...finished].sort((a, b) => a.number - b.number);
    if (tasks.length === 0) return;
    this.registry.commit((draft) => {
      for (const record of tasks) {
        const task = this.#track(record);
        if (task.info.completeTime === undefined) this.#toRecover.push(task);
        else task.complete(Date.parse(task.info.completeTime));
        this.#add(task, draft);
      }
    });
    const byEnd = [...this.#tracked.values()].filter((task) => task.completedAt > 0);
    for (const task of byEnd.sort((a, b) => a.completedAt - b.completedAt)) this.#recent.finished(task);
  }

  async #startOwned(request: OwnedTaskRequest): Promise<TrackedTask> {
    const { owner, entity, userName = '', info, state, chainId, announced = true, note } = request;
    const task = this.#create(entity, {
      kind: undefined,
      owner,
      input: undefined,
      queueKey: undefined,
      userName,
      journal: note,
      info: {
        ...info,
        reason: info.reason ?? (userName === '' ? systemReason : userReason(userName)),
        ...(state === undefined ? {} : { state }),
        ...(state === 'running' ? { startTime: info.startTime ?? dateTime(this.clock) } : {}),
        ...(chainId === undefined ? {} : { eventChainId: chainId }),
      },
    });
    await this.#admit(task, announced);
    return task;
  }

  #create(entity: ManagedObjectReference | undefined, task: NewTask): TrackedTask {
    if (this.#closed) throw fault('SystemError', { reason: 'stopping' }, 'The service is stopping.');
    if (this.#unfinished.size >= this.#unfinishedLimit) {
      throw fault(
        'SystemError',
        { reason: 'too many tasks' },
        `${this.#unfinishedLimit} tasks are unfinished already.`,
      );
    }
    this.#lastNumber += 1;
    const number = this.#lastNumber;
    return this.#track(newTaskRecord(this, { number, key: this.#taskReferenceValue(number) }, entity, task));
  }

  #track(record: TaskRecord): TrackedTask {
    const task = new TrackedTask(this, record);
    this.#tracked.set(task.ref.value, task);
    if (record.info.completeTime === undefined) this.#unfinished.set(record.number, task);
    return task;
  }

  /** Makes a new task durable, then visible. */
  async #admit(task: TrackedTask, announced = true): Promise<void> {
    const { activationId } = task.info;
    if (activationId !== undefined) this.#activations.add(activationId, task.record.number);
    try {
      await this.#store.create(task.durable);
    } catch (error) {
      this.#tracked.delete(task.ref.value);
      this.#unfinished.delete(task.record.number);
      this.#activations.delete(task.record.number);
      throw error;
    }
    this.registry.commit((draft) => {
      this.#add(task, draft);
      if (announced) {
        this.events.post(draft, {
          type: 'TaskEvent',
          entity: task.entity,
          userName: task.userName,
          chainId: task.chainId,
          members: { info: task.info },
        });
      }
      this.history.happened(task.record, draft);
    });
    if (task.record.number % trimInterval === 0) this.#trim();
  }

  #add(task: TrackedTask, draft: Draft): void {
    draft.add(this.#class, task.ref.value, { info: task.info });
    this.#recent.add(task, draft);
  }

  #enqueue(task: TrackedTask, run = () => this.#run(task)): void {
    task.work = {
      lane: task.record.queueKey,
      shared: task.record.queueShared ?? false,
      heavy: this.kinds.get(task.record.kind ?? '')?.heavy ?? false,
      run,
    };
    this.#queue.add(task.work);
  }

  /**
   * A new task takes its place in the queue before it is durable. One whose turn it is at once is written down once: as
   * begun, with its first step. A kind that does not go on after a restart is not: it has not begun yet.
   */
  async #admitAndEnqueue(task: TrackedTask, kind: TaskKind): Promise<void> {
    const admitted = Promise.withResolvers<boolean>();
    let atOnce = false;
    this.#enqueue(task, async () => {
      atOnce = true;
      if (await admitted.promise) await this.#run(task);
    });
    try {
      if (atOnce && kind.resume !== undefined) {
        // What speaks against it is found again by the work, and is the error of the task.
        const journal = await kind.plan?.(task.record.input).catch(() => undefined);
        task.begins(journal, dateTime(this.clock));
      }
      await this.#admit(task);
      admitted.resolve(true);
    } catch (error) {
      admitted.resolve(false);
      if (task.work !== undefined) this.#queue.remove(task.work);
      throw error;
    }
  }

  async #run(task: TrackedTask): Promise<void> {
    task.work = undefined;
    if (this.#closed) return;
    const kind = this.kinds.get(task.record.kind ?? '');
    if (kind === undefined) return;
    const begun = task.info.state === 'running';
    let outcome: TaskOutcome;
    try {
      // Before the work begins, so that a restart never runs it from the start again.
      if (!begun) await this.#begin(task);
      const work = begun ? kind.resume?.(task, task.record.input) : kind.run(task, task.record.input);
      outcome = { result: (await work) as TaskInfo['result'] };
    } catch (error) {
      outcome = { error: this.#failure(task, error) };
    }
    await this.#end(task, outcome);
  }

  async #begin(task: TrackedTask, startTime = task.begunAt ?? dateTime(this.clock)): Promise<void> {
    task.change({ state: 'running', startTime });
    if (task.begunAt === undefined) await this.save(task);
    this.show(task);
  }

  #failure(task: TrackedTask, error: unknown): DataTypes['LocalizedMethodFault'] {
    const aborted = error instanceof Error && error.name === 'AbortError';
    if (task.signal.aborted && (aborted || error === task.signal.reason)) return cancelled();
    if (!(error instanceof VimFault) && !this.#closed) this.#onDefect(`task ${task.info.descriptionId}`, error);
    return localizedFault(asFault(error));
  }

  /** Ends the task: durable first, with its events; then state, result and error are seen at once. */
  async #end(task: TrackedTask, outcome: TaskOutcome): Promise<void> {
    if (this.#closed) return;
    task.ending = true;
    task.quiet();
    task.change({
      state: outcome.error === undefined ? 'success' : 'error',
      result: outcome.result,
      error: outcome.error,
      completeTime: outcome.completeTime ?? dateTime(this.clock),
      progress: outcome.error === undefined ? undefined : task.info.progress,
    });
    const { owner, journal } = task.record;
    task.record = { ...task.record, input: undefined, journal: owner === undefined ? undefined : journal };
    const shown = task.record;
    try {
      await this.events.flush(this.#store.finishing(shown));
    } catch (error) {
      // It is over all the same; what is not durable is found again as running at the next start.
      this.#onDefect('task record', error);
    }
    if (this.#closed) return;
    task.complete(this.clock.now());
    this.registry.commit((draft) => this.#show(task, draft));
    this.#unfinished.delete(task.record.number);
    this.owned.ended(task.record);
    this.#recent.finished(task);
    for (const resolve of this.#waiters.get(task.record.number) ?? []) resolve(task.info);
    this.#waiters.delete(task.record.number);
  }

  #show(task: TrackedTask, draft: Draft): void {
    if (!draft.has(task.ref)) return;
    draft.set(task.ref, { info: task.info });
    this.history.happened(task.record, draft);
  }

  #trim(): void {
    const below = this.#lastNumber - this.#historyLimit;
    if (below > 0) this.#forget(below).catch((error: unknown) => this.#onDefect('task history', error));
  }

  async #forget(below: number): Promise<void> {
    this.#activations.trim(below, new Set(this.#unfinished.keys()));
    await this.#store.trim(below, this.#unfinished.keys());
  }
}
