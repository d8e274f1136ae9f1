import type { ManagedObjectReference, Registry, TaskInfo } from '@hypostyle/vim';
import { VimFault } from '@hypostyle/vim';
import { AutomationError } from '../errors.ts';

interface Waiter {
  readonly task: ManagedObjectReference<'Task'>;
  readonly settle: () => void;
}

/** Waits for tasks by the registry's commits: one look at each commit, however many wait. */
export class TaskWatch {
  readonly #registry: Registry;
  readonly #waiters = new Set<Waiter>();
  #stop: (() => void) | undefined;

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  /**
   * The task's result once it succeeded. Throws its fault, and `canceled` when `signal` fires: the task goes on, nobody
   * is there to be told.
   */
  async result(task: ManagedObjectReference<'Task'>, signal: AbortSignal): Promise<unknown> {
    await this.#finished(task, signal);
    if (signal.aborted) throw new AutomationError('canceled', 'The client went away.');
    const info = this.#registry.read(task, 'info');
    if (info === undefined) throw new AutomationError('error', 'The task is gone.');
    if (info.state === 'success') return info.result;
    throw asError(info);
  }

  #finished(task: ManagedObjectReference<'Task'>, signal: AbortSignal): Promise<void> {
    if (this.#isOver(task) || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const settle = () => {
        signal.removeEventListener('abort', settle);
        this.#waiters.delete(waiter);
        if (this.#waiters.size === 0) {
          this.#stop?.();
          this.#stop = undefined;
        }
        resolve();
      };
      const waiter: Waiter = { task, settle };
      this.#waiters.add(waiter);
      signal.addEventListener('abort', settle);
      this.#stop ??= this.#registry.onCommit(() => this.#look());
    });
  }

  #look(): void {
    for (const waiter of [...this.#waiters]) if (this.#isOver(waiter.task)) waiter.settle();
  }

  #isOver(task: ManagedObjectReference<'Task'>): boolean {
    const state = this.#registry.read(task, 'info')?.state;
    return state !== 'queued' && state !== 'running';
  }
}

function asError({ error }: TaskInfo): Error {
  const type = (error?.fault as { readonly _typeName?: string } | undefined)?._typeName;
  if (error === undefined || type === undefined) return new AutomationError('error', 'The task failed.');
  return new VimFault(type, error.fault, error.localizedMessage ?? 'The task failed.');
}
