import type { Persistence, PersistenceWrite } from '../persistence.ts';

export interface WriteBehindOptions {
  readonly persistence: Persistence;
  readonly collection: string;
  readonly onDefect: (where: string, error: unknown) => void;
}

/** Documents of one collection written soon after they change, many at a time, the last value of each. */
export class WriteBehind {
  readonly #options: WriteBehindOptions;
  #waiting = new Map<string, unknown>();
  #writing: Promise<void> | undefined;

  constructor(options: WriteBehindOptions) {
    this.#options = options;
  }

  /** Sets a document; undefined deletes it. */
  set(key: string, value: unknown): void {
    this.#waiting.set(key, value);
    if (this.#writing !== undefined) return;
    this.flush().catch((error: unknown) => this.#options.onDefect(this.#options.collection, error));
  }

  /** Resolves when everything set so far is durable. */
  async flush(): Promise<void> {
    if (this.#writing !== undefined) await this.#writing.catch(() => {});
    while (this.#waiting.size > 0 || this.#writing !== undefined) {
      this.#writing ??= this.#write();
      await this.#writing;
    }
  }

  async #write(): Promise<void> {
    // What changes in the same turn is written together.
    await Promise.resolve();
    const { persistence, collection } = this.#options;
    const batch = this.#waiting;
    this.#waiting = new Map();
    const writes = [...batch].map(
      ([key, value]): PersistenceWrite =>
        value === undefined ? { delete: { collection, key } } : { put: { collection, key, value } },
    );
    try {
      await persistence.transact(writes);
    } catch (error) {
      // Kept for the next time, where nothing younger has come.
      for (const [key, value] of batch) if (!this.#waiting.has(key)) this.#waiting.set(key, value);
      throw error;
    } finally {
      this.#writing = undefined;
    }
  }
}
