import { Gathered } from '@hypostyle/services';
import type { ManagedObjectReference, OwnedTask, TaskInfo, TaskService } from '@hypostyle/vim';
import { plainUserName } from './host-user.ts';
import { taskOfToken, taskToken } from './task-token.ts';

type Rewrite = (value: unknown) => unknown;

export interface HostTasksOptions {
  readonly tasks: TaskService;
  /** The host's reference value at the center. */
  readonly host: string;
  /** Start of the activationId of tasks that this center began on the host. */
  readonly prefix: string;
  /** The info with the center's references. */
  readonly rewrite: Rewrite;
  readonly cancel: (task: ManagedObjectReference<'Task'>) => Promise<void>;
  /** Tasks of the host's history that have these tokens. */
  readonly history: (activationIds: readonly string[]) => Promise<readonly TaskInfo[]>;
}

interface Watcher {
  readonly seen: (info: TaskInfo) => void;
  readonly gone: () => void;
  readonly lost: (reason: unknown) => void;
}

/** A host's tasks: those that the center waits for, and those of others, which it shows as tasks of its own. */
export class HostTasks {
  readonly #options: HostTasksOptions;
  readonly #infos = new Map<string, TaskInfo>();
  readonly #met = new Set<string>();
  readonly #watchers = new Map<string, Set<Watcher>>();
  readonly #shown = new Map<string, OwnedTask>();
  /** Chains of the center's events by those of the host's tasks. */
  readonly #chains = new Map<number, number>();
  /** Chains of the host that do a part of a task which the center told of itself. */
  readonly #parts = new Set<number>();
  /** A session has only so many collectors of history, and after a break all who waited ask at once. */
  readonly #past = new Gathered((ownKeys: readonly string[]) => this.#pastOf(ownKeys));

  constructor(options: HostTasksOptions) {
    this.#options = options;
  }

  /** Which task of this center it is, by the token that it was begun with: its reference, and the part of it. */
  ownKey(info: TaskInfo): string | undefined {
    const { prefix } = this.#options;
    return info.activationId?.startsWith(prefix) ? info.activationId.slice(prefix.length) : undefined;
  }

  /** The center's chain of events for one of the host's. */
  chain(hostChain: number): number | undefined {
    return this.#chains.get(hostChain);
  }

  /** The host's chain is of a task that does a part of one of the center's, and is nobody's news. */
  isPart(hostChain: number): boolean {
    return this.#parts.has(hostChain);
  }

  /** Learns of tasks, before their events and their end are told. */
  async meet(infos: readonly TaskInfo[]): Promise<void> {
    for (const info of infos) {
      if (this.#met.has(info.key)) continue;
      this.#met.add(info.key);
      const own = this.ownKey(info);
      const value = own === undefined ? undefined : taskOfToken(this.#options.tasks.registry, own);
      if (own === undefined || value === undefined) await this.#show(info);
      else this.#pair(own, value, info);
    }
  }

  /** Tells on what is new; after everything that the task did has been taken over. */
  async tell(infos: readonly TaskInfo[]): Promise<void> {
    for (const info of infos) {
      this.#infos.set(info.key, info);
      for (const watcher of this.#watchers.get(info.key) ?? []) watcher.seen(info);
      await this.#update(info);
    }
  }

  /** The host has forgotten a task. */
  forget(key: string): void {
    const info = this.#infos.get(key);
    this.#infos.delete(key);
    this.#met.delete(key);
    if (info !== undefined) {
      this.#chains.delete(info.eventChainId);
      this.#parts.delete(info.eventChainId);
    }
    this.#shown.delete(key);
    for (const watcher of this.#watchers.get(key) ?? []) watcher.gone();
  }

  /** A new connection: what is known is told anew. */
  begin(): void {
    this.#infos.clear();
    this.#met.clear();
    this.#shown.clear();
  }

  /** Nobody follows the host any more: who waits is told so. */
  close(reason: unknown): void {
    for (const watchers of [...this.#watchers.values()]) for (const watcher of [...watchers]) watcher.lost(reason);
  }

  /** All tasks that the host still has were told: those that are not among them are history there, or lost. */
  async complete(): Promise<void> {
    const { tasks, host, prefix } = this.#options;
    const shown = new Set([...this.#shown.values()].map(({ ref }) => ref.value));
    const missing = tasks.owned.of(host).filter(({ ref }) => !shown.has(ref.value));
    const own = missing.filter(({ note }) => note === undefined);
    const past =
      own.length === 0
        ? []
        : await this.#options.history(own.map(({ ref }) => prefix + taskToken(tasks.registry, ref)));
    for (const task of missing) {
      const info = past.find((one) => this.ownKey(one) === taskToken(tasks.registry, task.ref));
      if (info === undefined) await task.lose('The host knows nothing of it: the connection broke before it began.');
      else {
        this.#shown.set(info.key, task);
        await this.#update(info);
      }
    }
    // Chains of tasks that the host forgot while nobody listened.
    const chains = new Set([...this.#infos.values()].map(({ eventChainId }) => eventChainId));
    for (const chain of this.#chains.keys()) if (!chains.has(chain)) this.#chains.delete(chain);
    for (const chain of this.#parts) if (!chains.has(chain)) this.#parts.delete(chain);
    for (const [key, watchers] of this.#watchers) {
      if (!this.#infos.has(key)) for (const watcher of watchers) watcher.gone();
    }
  }

  /** The host's task that was begun for a task of this center: among those that it has as objects, then in its history. */
  async begun(ownKey: string): Promise<TaskInfo | undefined> {
    for (const info of this.#infos.values()) if (this.ownKey(info) === ownKey) return info;
    return await this.#past.add(ownKey);
  }

  async #pastOf(ownKeys: readonly string[]): Promise<(TaskInfo | undefined)[]> {
    const past = await this.#options.history(ownKeys.map((own) => this.#options.prefix + own));
    return ownKeys.map((own) => past.find((info) => this.ownKey(info) === own));
  }

  /** The final info of a task. Undefined when the host has forgotten it. Throws HostNotConnected once it is left alone. */
  finished(key: string, onProgress: (info: TaskInfo) => void, signal: AbortSignal): Promise<TaskInfo | undefined> {
    return new Promise((resolve, reject) => {
      const watchers = this.#watchers.get(key) ?? new Set();
      this.#watchers.set(key, watchers);
      const end = () => {
        watchers.delete(watcher);
        if (watchers.size === 0) this.#watchers.delete(key);
        signal.removeEventListener('abort', aborted);
      };
      const aborted = () => {
        end();
        reject(signal.reason);
      };
      const watcher: Watcher = {
        seen: (info) => {
          if (info.state !== 'success' && info.state !== 'error') {
            onProgress(info);
            return;
          }
          end();
          resolve(info);
        },
        gone: () => {
          end();
          resolve(undefined);
        },
        lost: (reason) => {
          end();
          reject(reason);
        },
      };
      watchers.add(watcher);
      signal.addEventListener('abort', aborted, { once: true });
      const known = this.#infos.get(key);
      if (known !== undefined) watcher.seen(known);
    });
  }

  /** A task that this center began: one that only goes on there is told as it goes. */
  #pair(own: string, value: string, info: TaskInfo): void {
    const { tasks, host, cancel } = this.#options;
    const chain = tasks.registry.read<'Task', 'info'>({ type: 'Task', value }, 'info')?.eventChainId;
    if (chain !== undefined) this.#chains.set(info.eventChainId, chain);
    const task = tasks.owned.of(host).find(({ ref }) => taskToken(tasks.registry, ref) === own);
    if (task === undefined) {
      if (chain !== undefined) this.#parts.add(info.eventChainId);
      return;
    }
    this.#shown.set(info.key, task);
    task.onCancel(() => cancel(info.task));
  }

  async #show(info: TaskInfo): Promise<void> {
    const { tasks, host, rewrite, cancel } = this.#options;
    const activationId = `${host}/${info.key}`;
    const known = tasks.owned.byActivation(host, activationId);
    if (known !== undefined) {
      this.#shown.set(info.key, known);
      known.onCancel(() => cancel(info.task));
      return;
    }
    // What was over before the center looked is history of the host.
    if (info.completeTime !== undefined) return;
    const { entity } = rewrite(info) as TaskInfo;
    const { descriptionId, name, entityName, cancelable, queueTime, startTime, description, progress } = info;
    const given = { name, entityName, startTime, description, progress };
    const present = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
    const by = info.reason._typeName === 'TaskReasonUser' ? (info.reason as { userName?: string }).userName : '';
    const task = await tasks.owned.start({
      owner: host,
      entity,
      userName: plainUserName(by ?? ''),
      info: { descriptionId, cancelable, queueTime, activationId, ...present },
      state: info.state === 'queued' ? 'queued' : 'running',
      announced: false,
      note: { key: info.key },
      onCancel: () => cancel(info.task),
    });
    this.#shown.set(info.key, task);
    this.#chains.set(info.eventChainId, task.info.eventChainId);
  }

  async #update(info: TaskInfo): Promise<void> {
    const shown = this.#shown.get(info.key);
    if (shown === undefined) return;
    const { state, startTime, completeTime, progress, description, cancelable, result, error } = this.#options.rewrite(
      info,
    ) as TaskInfo;
    const given = { startTime, completeTime, progress, description, result, error };
    const present = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
    await shown.update({ state, cancelable, ...present });
  }
}
