import type { ManagedObjectReference } from '@hypostyle/vim';

type TaskReference = ManagedObjectReference<'Task'>;
/** Ends what nobody uses any more, and resolves when it has; undefined where it is used. Never rejects. */
type GiveUp = () => Promise<void> | undefined;

/**
 * Names, folders and machines that work under way has to itself: looking whether a name is free and taking it are not
 * one step, since there is work on files in between.
 */
export class Claims {
  readonly #held = new Map<string, { readonly task: TaskReference; readonly giveUp: GiveUp | undefined }>();

  /** The task that holds it. */
  holder(key: string): TaskReference | undefined {
    return this.#held.get(key)?.task;
  }

  /**
   * Holds all of the keys; the answer lets go of them. Throws what `taken` makes of the first that is held. `giveUp` is
   * called when somebody else asks for them.
   */
  take(
    keys: readonly string[],
    task: TaskReference,
    taken: (key: string) => Error,
    { giveUp }: { readonly giveUp?: GiveUp } = {},
  ): () => void {
    const held = keys.find((key) => this.#held.has(key));
    if (held !== undefined) throw taken(held);
    for (const key of keys) this.#held.set(key, { task, giveUp });
    return () => {
      for (const key of keys) this.release(key);
    };
  }

  /** The task that holds a key which begins so. */
  holderWithin(prefix: string): TaskReference | undefined {
    for (const [key, { task }] of this.#held) if (key.startsWith(prefix)) return task;
    return undefined;
  }

  /** Asks whoever holds keys that begin so to give them up: the task of the first that does not, and when the others have. */
  ask(prefix: string): { readonly holder: TaskReference | undefined; readonly givenUp: Promise<unknown> } {
    let holder: TaskReference | undefined;
    const ends: Promise<void>[] = [];
    for (const [key, { task, giveUp }] of this.#held) {
      if (!key.startsWith(prefix)) continue;
      const end = giveUp?.();
      if (end === undefined) holder ??= task;
      else ends.push(end);
    }
    return { holder, givenUp: Promise.all(ends) };
  }

  /** Whether any key is held that begins so. */
  isWithin(prefix: string): boolean {
    return this.holderWithin(prefix) !== undefined;
  }

  release(key: string): void {
    this.#held.delete(key);
  }
}

/** Who holds anything of a machine is asked for by how keys begin: ids end with a space, as 1 is how 12 begins. */
export const claimOf = {
  name: (name: string) => `name ${name}`,
  /** A file or folder of a datastore. */
  place: (datastoreUuid: string, path: string) => `place ${datastoreUuid}/${path}`,
  /** Somebody reads a disk of a datastore by its descriptor's path. `reader` tells one from another. */
  diskReader: (datastoreUuid: string, path: string, reader = '') => `reading ${datastoreUuid}/${path} ${reader}`,
  machine: (id: string) => `machine ${id} `,
  /** A lease over its disks was given; the task that holds them may still wait for those before it. */
  exporting: (id: string, reader = '') => `exporting ${id} ${reader}`,
  /** Somebody reads disks of snapshots: their chains stay as they are. `reader` tells one from another. */
  chains: (id: string, reader = '') => `chains ${id} ${reader}`,
  /** Its disks are being copied: it is not started, changed or taken away. */
  copying: (id: string, reader = '') => `copying ${id} ${reader}`,
  /** Layers of a machine's disks are being merged. */
  merging: (id: string) => `merging ${id} `,
} as const;
