import type { Draft, Registry } from '../../runtime/registry.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';
import type { Clock } from '../clock.ts';
import type { TrackedTask } from './tracked-task.ts';

interface RecentTasksOptions {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly manager: ManagedObjectReference<'TaskManager'>;
  readonly keepFinished: number;
  readonly keepFinishedLimit: number;
  readonly onForgotten: (task: TrackedTask) => void;
}

type TaskReference = ManagedObjectReference<'Task'>;

/** Most references in `TaskManager.recentTask` and in an entity's, but for tasks that are not over: all of these are there. */
const shownLimit = 200;

/** Keeps `recentTask` of the manager and of entities; removes finished tasks when their time is over. */
export class RecentTasks {
  readonly keepFinished: number;
  readonly keepFinishedLimit: number;
  readonly #options: RecentTasksOptions;
  /** In order of completion. */
  readonly #finished = new Set<TrackedTask>();
  readonly #over = new Set<string>();
  #timer: (() => void) | undefined;

  constructor(options: RecentTasksOptions) {
    this.#options = options;
    this.keepFinished = options.keepFinished;
    this.keepFinishedLimit = options.keepFinishedLimit;
  }

  add(task: TrackedTask, draft: Draft): void {
    if (task.completedAt > 0) this.#over.add(task.ref.value);
    for (const ref of this.#holders(task, draft)) {
      const tasks = draft.get(ref, 'recentTask') ?? [];
      draft.set(ref, { recentTask: this.#shown([...tasks, task.ref]) });
    }
  }

  /** Without the oldest of those that are over, where they are too many: who follows a task must not lose it. */
  #shown(tasks: readonly TaskReference[]): readonly TaskReference[] {
    let tooMany = tasks.length - shownLimit;
    if (tooMany <= 0) return tasks;
    return tasks.filter(({ value }) => {
      if (tooMany <= 0 || !this.#over.has(value)) return true;
      tooMany -= 1;
      return false;
    });
  }

  finished(task: TrackedTask): void {
    this.#finished.add(task);
    this.#over.add(task.ref.value);
    if (this.#finished.size > this.keepFinishedLimit) this.#forget(1);
    this.#wait();
  }

  close(): void {
    this.#timer?.();
  }

  #wait(): void {
    if (this.#timer !== undefined) return;
    for (const oldest of this.#finished) {
      const due = oldest.completedAt + this.keepFinished - this.#options.clock.now();
      this.#timer = this.#options.clock.after(Math.max(0, due), () => {
        this.#timer = undefined;
        this.#forget(0);
        this.#wait();
      });
      return;
    }
  }

  /** Forgets what is due, and at least `least` tasks. */
  #forget(least: number): void {
    const until = this.#options.clock.now() - this.keepFinished;
    const gone = new Map<string, TrackedTask>();
    for (const task of this.#finished) {
      if (gone.size >= least && task.completedAt > until) break;
      this.#finished.delete(task);
      this.#over.delete(task.ref.value);
      gone.set(task.ref.value, task);
    }
    if (gone.size === 0) return;
    this.#options.registry.commit((draft) => {
      const holders = new Map<string, ManagedObjectReference<'ManagedEntity' | 'TaskManager'>>();
      for (const task of gone.values()) {
        for (const holder of this.#holders(task, draft)) holders.set(holder.value, holder);
        if (draft.has(task.ref)) draft.remove(task.ref);
      }
      for (const holder of holders.values()) {
        const tasks: readonly TaskReference[] = draft.get(holder, 'recentTask') ?? [];
        draft.set(holder, { recentTask: tasks.filter((ref) => !gone.has(ref.value)) });
      }
    });
    for (const task of gone.values()) this.#options.onForgotten(task);
  }

  #holders(task: TrackedTask, draft: Draft): ManagedObjectReference<'ManagedEntity' | 'TaskManager'>[] {
    const entity = task.info.entity;
    const { manager } = this.#options;
    if (entity === undefined || !draft.has(entity)) return [manager];
    // Every entity has the property that its base declares.
    return [manager, entity as ManagedObjectReference as ManagedObjectReference<'ManagedEntity'>];
  }
}
