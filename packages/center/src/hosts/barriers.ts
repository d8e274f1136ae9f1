import type { UpdateSet } from '@hypostyle/vim';

/** Filters made only to be told of: an update that has one has everything that came before it. */
export class Barriers {
  readonly #waiting = new Map<string, () => void>();
  /** Told before anybody waited: the answer to a filter's making may be slower than the update. */
  readonly #told = new Set<string>();
  #main = '';

  /** A new collector, with its one lasting filter. */
  begin(main: string): void {
    this.#main = main;
    this.#told.clear();
  }

  /** Resolves when the filter was told of, or the connection broke. */
  passed(filter: string): Promise<void> {
    if (this.#told.delete(filter)) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.set(filter, resolve);
    });
  }

  pass({ filterSet = [] }: UpdateSet): void {
    for (const { filter } of filterSet) {
      if (filter.value === this.#main) continue;
      const resolve = this.#waiting.get(filter.value);
      this.#waiting.delete(filter.value);
      if (resolve === undefined) this.#told.add(filter.value);
      else resolve();
    }
  }

  /** The connection broke: nobody waits any longer. */
  end(): void {
    for (const resolve of this.#waiting.values()) resolve();
    this.#waiting.clear();
    this.#told.clear();
  }
}
