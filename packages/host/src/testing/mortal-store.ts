import type { Store, StoreEntry, StoreRange, StoreWrite } from '@hypostyle/contracts';
import { MemoryPersistence, type PersistenceWrite } from '@hypostyle/vim';

/** A store that outlives the process, and the process: once it is dead, no call answers. */
export class MortalStore implements Store {
  readonly disk: MemoryPersistence;
  /** Steps until the process dies. */
  stepsLeft = Number.POSITIVE_INFINITY;
  /** Batches from now on fail. */
  failing: Error | undefined;
  readonly died: Promise<void>;
  /** The process has ended; nothing of it may go on. */
  dead = false;
  #die: () => void = () => {};

  constructor(disk = new MemoryPersistence()) {
    this.disk = disk;
    this.died = new Promise((resolve) => {
      this.#die = () => {
        this.dead = true;
        resolve();
      };
    });
  }

  /** The process ends now. */
  die(): void {
    this.stepsLeft = 0;
    this.#die();
  }

  /** A step of the process: it may be its last. */
  readonly gate = async (): Promise<void> => {
    this.stepsLeft -= 1;
    if (this.stepsLeft >= 0) return;
    this.#die();
    await new Promise(() => {});
  };

  /** Whether the process lives when `work` is done; from then on it does not die. */
  async outlives(work: Promise<unknown>): Promise<boolean> {
    await Promise.race([work, this.died]);
    // It may have died in the moment in which its client heard of the end.
    this.stepsLeft = this.dead ? 0 : Number.POSITIVE_INFINITY;
    return !this.dead;
  }

  async get<T>(collection: string, key: string): Promise<T | undefined> {
    return this.disk.get<T>(collection, key);
  }

  async list<T>(collection: string, range?: StoreRange): Promise<StoreEntry<T>[]> {
    return this.disk.list<T>(collection, range);
  }

  async transact(writes: readonly StoreWrite[]): Promise<void> {
    await this.gate();
    if (this.failing !== undefined) throw this.failing;
    await this.disk.transact(writes.filter((write): write is PersistenceWrite => !('check' in write)));
    // It may be on disk with nobody left to hear of it.
    await this.gate();
  }

  async close(): Promise<void> {}
}
