import type { ManagedObjectReference } from '@hypostyle/vim';

type TaskReference = ManagedObjectReference<'Task'>;

/**
 * Names, folders and machines that work under way has to itself: looking whether a name is free and taking it are not
 * one step, since there is work on files in between.
 */
export class Claims {
  readonly #held = new Map<string, TaskReference>();

  /** The task that holds it. */
  holder(key: string): TaskReference | undefined {
    return this.#held.get(key);
  }

  /** Holds all of the keys; the answer lets go of them. Throws what `taken` makes of the first that is held. */
  take(keys: readonly string[], task: TaskReference, taken: (key: string) => Error): () => void {
    const held = keys.find((key) => this.#held.has(key));
    if (held !== undefined) throw taken(held);
    for (const key of keys) this.#held.set(key, task);
    return () => {
      for (const key of keys) this.release(key);
    };
  }

  /** Whether any key is held that begins so. */
  isWithin(prefix: string): boolean {
    for (const key of this.#held.keys()) if (key.startsWith(prefix)) return true;
    return false;
  }

  release(key: string): void {
    this.#held.delete(key);
  }
}

export const claimOf = {
  name: (name: string) => `name ${name}`,
  /** A file or folder of a datastore. */
  place: (datastoreUuid: string, path: string) => `place ${datastoreUuid}/${path}`,
  machine: (id: string) => `machine ${id}`,
} as const;
