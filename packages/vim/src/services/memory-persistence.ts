import type { Persistence, PersistenceEntry, PersistenceRange, PersistenceWrite } from './persistence.ts';

/** Persistence that ends with the process: for tests, and for services whose state nobody needs to keep. */
export class MemoryPersistence implements Persistence {
  readonly #collections = new Map<string, Map<string, string>>();

  /** Another with what is in this one now. */
  copy(): MemoryPersistence {
    const copy = new MemoryPersistence();
    for (const [name, documents] of this.#collections) copy.#collections.set(name, new Map(documents));
    return copy;
  }

  async get<T>(collection: string, key: string): Promise<T | undefined> {
    const text = this.#collections.get(collection)?.get(key);
    return text === undefined ? undefined : (JSON.parse(text) as T);
  }

  async list<T>(collection: string, range: PersistenceRange = {}): Promise<PersistenceEntry<T>[]> {
    const { from, to, reverse = false, limit = Number.POSITIVE_INFINITY } = range;
    const documents = this.#collections.get(collection) ?? new Map<string, string>();
    const keys = [...documents.keys()].filter((key) => within(key, from, to)).sort();
    if (reverse) keys.reverse();
    return keys.slice(0, limit).map((key) => ({ key, value: JSON.parse(documents.get(key) as string) as T }));
  }

  async transact(writes: readonly PersistenceWrite[]): Promise<void> {
    // Serialised first, so that a value that is no JSON fails the batch before it changes anything.
    const texts = writes.map((write) => ('put' in write ? JSON.stringify(write.put.value) : ''));
    for (const [index, write] of writes.entries()) {
      if ('put' in write) this.#documents(write.put.collection).set(write.put.key, texts[index] as string);
      else if ('delete' in write) this.#documents(write.delete.collection).delete(write.delete.key);
      else {
        const { collection, from, to } = write.deleteRange;
        const documents = this.#documents(collection);
        for (const key of [...documents.keys()]) if (within(key, from, to)) documents.delete(key);
      }
    }
  }

  #documents(collection: string): Map<string, string> {
    let documents = this.#collections.get(collection);
    if (documents === undefined) {
      documents = new Map();
      this.#collections.set(collection, documents);
    }
    return documents;
  }
}

function within(key: string, from: string | undefined, to: string | undefined): boolean {
  return (from === undefined || key >= from) && (to === undefined || key < to);
}
