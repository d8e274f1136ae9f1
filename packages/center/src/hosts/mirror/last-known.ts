import type { Store, StoreWrite } from '@hypostyle/contracts';
import { fromDocument, nextTurn, toDocument, turnEnd } from '@hypostyle/vim';
import { AlikeValues } from './alike-values.ts';

const collection = 'last-known';

/** Entities read in one go: a center has thousands. */
const atOnce = 100;
/** Most entities that are written in one go. */
const batch = 50;

type Properties = Readonly<Record<string, unknown>>;

export interface LastKnownOptions {
  readonly store: Store;
  /** Milliseconds that a change may wait to be written; 5,000 unless told. */
  readonly delay?: number;
  readonly onDefect: (error: unknown) => void;
}

/**
 * What hosts said of their entities, for a start at which a host is away. It is no truth, so it is written lazily, in
 * batches.
 */
export class LastKnown {
  readonly #store: Store;
  readonly #delay: number;
  readonly #onDefect: (error: unknown) => void;
  readonly #waiting = new Map<string, (() => Properties) | undefined>();
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor({ store, delay = 5_000, onDefect }: LastKnownOptions) {
    this.#store = store;
    this.#delay = delay;
    this.#onDefect = onDefect;
  }

  async load(): Promise<Map<string, Properties>> {
    const known = new Map<string, Properties>();
    const values = new AlikeValues();
    for (let from = ''; ; ) {
      const entries = await this.#store.list(collection, { from, limit: atOnce });
      for (const { key, value } of entries) {
        // Entities of one kind have references of one kind, such as `vm-`.
        const kind = key.slice(0, key.lastIndexOf('-'));
        known.set(key, values.share(kind, fromDocument<Properties>(value)));
      }
      const last = entries.at(-1);
      if (last === undefined || entries.length < atOnce) return known;
      // The smallest key after the last.
      from = `${last.key}\0`;
    }
  }

  /** Has the entity's properties written soon, as they are then. */
  keep(value: string, properties: () => Properties): void {
    this.#later(value, properties);
  }

  /** The write that has it known at once. */
  written(value: string, properties: Properties): StoreWrite {
    return { put: { collection, key: value, value: toDocument(properties) } };
  }

  forget(value: string): void {
    this.#later(value, undefined);
  }

  /** Writes what waits. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    // What could not be written the last time is no reason not to write.
    this.#writing = this.#writing.catch(() => {}).then(() => this.#write());
    await this.#writing;
  }

  #later(value: string, properties: (() => Properties) | undefined): void {
    this.#waiting.set(value, properties);
    this.#timer ??= setTimeout(() => {
      this.flush().catch(this.#onDefect);
    }, this.#delay).unref();
  }

  async #write(): Promise<void> {
    for (;;) {
      // Nobody waits for it: a center has thousands of machines, and others have something to do.
      if (performance.now() >= turnEnd()) await nextTurn();
      const end = turnEnd();
      const writes: StoreWrite[] = [];
      const taken = new Map<string, (() => Properties) | undefined>();
      for (const [key, properties] of this.#waiting) {
        this.#waiting.delete(key);
        taken.set(key, properties);
        if (properties === undefined) writes.push({ delete: { collection, key } });
        else writes.push({ put: { collection, key, value: toDocument(properties()) } });
        if (writes.length === batch || performance.now() >= end) break;
      }
      if (writes.length === 0) return;
      try {
        await this.#store.transact(writes);
      } catch (error) {
        for (const [key, properties] of taken) if (!this.#waiting.has(key)) this.#waiting.set(key, properties);
        throw error;
      }
    }
  }
}
