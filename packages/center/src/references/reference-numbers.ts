import type { Store } from '@hypostyle/contracts';

const collection = 'reference-counter';
const key = 'reserved';
/** Numbers are reserved in blocks, so that none is given twice however the process ends. */
const block = 1_000;

/** Numbers of references: one row for all types, as clients of REST drop the type. Never given twice. */
export class ReferenceNumbers {
  readonly #store: Store;
  readonly #onDefect: (error: unknown) => void;
  #last: number;
  #reserved: number;
  #reserving: Promise<void> | undefined;

  private constructor(store: Store, last: number, onDefect: (error: unknown) => void) {
    this.#store = store;
    this.#last = last;
    this.#reserved = last;
    this.#onDefect = onDefect;
  }

  static async open(store: Store, onDefect: (error: unknown) => void): Promise<ReferenceNumbers> {
    const numbers = new ReferenceNumbers(store, (await store.get<number>(collection, key)) ?? 0, onDefect);
    await numbers.#reserve();
    return numbers;
  }

  /** A reference's value such as `vm-12` for `vm-`; seen by nobody before `settled`. */
  mint(prefix: string): string {
    this.#last += 1;
    if (this.#last > this.#reserved - block / 2) this.#reserve().catch(this.#onDefect);
    return `${prefix}${this.#last}`;
  }

  /** Resolves when every number given so far is reserved on disk. */
  async settled(): Promise<void> {
    while (this.#last > this.#reserved) await this.#reserve();
  }

  #reserve(): Promise<void> {
    this.#reserving ??= this.#write().finally(() => {
      this.#reserving = undefined;
    });
    return this.#reserving;
  }

  async #write(): Promise<void> {
    const reserved = this.#last + block;
    await this.#store.transact([{ put: { collection, key, value: reserved } }]);
    this.#reserved = reserved;
  }
}
