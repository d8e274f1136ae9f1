import { MemoryPersistence } from '../memory-persistence.ts';
import type { Persistence, PersistenceEntry, PersistenceRange, PersistenceWrite } from '../persistence.ts';

/** Persistence whose process dies: from then on nothing is written, and no call ever answers. */
export class KillablePersistence implements Persistence {
  readonly disk: MemoryPersistence;
  /** Resolves when the process dies. */
  readonly died: Promise<undefined>;
  #writesLeft: number;
  #die: () => void = () => {};

  /** Dies at the write after `writesLeft`. */
  constructor(disk = new MemoryPersistence(), writesLeft = Number.POSITIVE_INFINITY) {
    this.disk = disk;
    this.#writesLeft = writesLeft;
    this.died = new Promise((resolve) => {
      this.#die = () => resolve(undefined);
    });
    if (this.dead) this.#die();
  }

  get dead(): boolean {
    return this.#writesLeft <= 0;
  }

  kill(): void {
    this.#writesLeft = 0;
    this.#die();
  }

  async get<T>(collection: string, key: string): Promise<T | undefined> {
    await this.#alive();
    return await this.disk.get<T>(collection, key);
  }

  async list<T>(collection: string, range?: PersistenceRange): Promise<PersistenceEntry<T>[]> {
    await this.#alive();
    return await this.disk.list<T>(collection, range);
  }

  async transact(writes: readonly PersistenceWrite[]): Promise<void> {
    await this.#alive();
    this.#writesLeft -= 1;
    await this.disk.transact(writes);
    if (this.dead) this.#die();
    // The write may be on disk with nobody left to hear of it.
    await this.#alive();
  }

  async #alive(): Promise<void> {
    if (this.dead) await new Promise(() => {});
  }
}
