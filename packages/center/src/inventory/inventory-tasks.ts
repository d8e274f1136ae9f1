import type { StoreWrite } from '@hypostyle/contracts';
import {
  type Call,
  fromDocument,
  type ManagedObjectReference,
  type RunningTask,
  type TaskKind,
  type TaskRequest,
  toDocument,
} from '@hypostyle/vim';
import type { CenterBase } from '../center-base.ts';
import type { InventoryEdit } from './inventory.ts';

const collection = 'inventory-task';

interface Done {
  readonly result: unknown;
}

export type StartTask<Input> = (
  call: Call,
  request: Omit<TaskRequest<Input>, 'kind'>,
) => Promise<ManagedObjectReference<'Task'>>;

export interface InventoryTask<Input> {
  readonly method: NonNullable<TaskKind['method']>;
  /** Comes before the change, and is done `again` after a restart. */
  readonly before?: (task: RunningTask, input: Input, again: boolean) => Promise<void>;
  /** The change itself, made once whatever happens. */
  readonly change: (edit: InventoryEdit, task: RunningTask, input: Input) => unknown;
  /** Comes once the change is made. */
  readonly after?: (input: Input) => void;
}

/**
 * Tasks that are one change of the inventory. That it was made is written in the change itself: a restart in between
 * finds it, and does not make it again.
 */
export class InventoryTasks {
  readonly #core: CenterBase;
  /** Tasks whose mark is still in the store. */
  readonly #marked: Set<string>;

  private constructor(core: CenterBase, marked: Iterable<string>) {
    this.#core = core;
    this.#marked = new Set(marked);
  }

  static async open(core: CenterBase): Promise<InventoryTasks> {
    return new InventoryTasks(
      core,
      (await core.store.list(collection)).map(({ key }) => key),
    );
  }

  define<Input>(kind: string, { method, before, change, after }: InventoryTask<Input>): StartTask<Input> {
    const run = async (task: RunningTask, input: Input, again: boolean): Promise<unknown> => {
      await before?.(task, input, again);
      const changed = await this.#core.inventory.edit(async (edit) => {
        const result = await change(edit, task, input);
        const done: Done = { result: toDocument(result) };
        edit.write(...this.#swept(), { put: { collection, key: task.ref.value, value: done } });
        this.#marked.add(task.ref.value);
        return result;
      });
      after?.(input);
      return changed;
    };
    const resume = async (task: RunningTask, input: Input): Promise<unknown> => {
      const done = await this.#core.store.get<Done>(collection, task.ref.value);
      return done === undefined ? run(task, input, true) : fromDocument(done.result);
    };
    return this.#core.tasks.define<Input>(kind, { method, run: (task, input) => run(task, input, false), resume });
  }

  /** Takes the marks of tasks away that are over. */
  #swept(): StoreWrite[] {
    const writes: StoreWrite[] = [];
    for (const value of this.#marked) {
      const info = this.#core.registry.read<'Task', 'info'>({ type: 'Task', value }, 'info');
      if (info !== undefined && info.completeTime === undefined) continue;
      this.#marked.delete(value);
      writes.push({ delete: { collection, key: value } });
    }
    return writes;
  }
}
