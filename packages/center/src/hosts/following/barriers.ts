/** Filters made only to be told of: an update that has one has everything that came before it. */
export class Barriers {
  readonly #waiting = new Map<string, () => void>();
  /** Told before anybody waited: the answer to a filter's making may be slower than the update. */
  readonly #told = new Set<string>();
  /** Filters that nobody waits for. */
  readonly #lasting = new Set<string>();

  /** A new collector, with its one lasting filter. */
  begin(main: string): void {
    this.#told.clear();
    this.#lasting.clear();
    this.#lasting.add(main);
  }

  /** A filter that follows something for as long as that is there. */
  keep(filter: string): void {
    this.#lasting.add(filter);
    this.#told.delete(filter);
  }

  /** The filter is gone. */
  forget(filter: string): void {
    this.#lasting.delete(filter);
  }

  /** Resolves when the filter was told of, or the connection broke. */
  passed(filter: string): Promise<void> {
    if (this.#told.delete(filter)) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.set(filter, resolve);
    });
  }

  /** All up to an update that told of these filters was taken over. */
  pass(filters: Iterable<string>): void {
    for (const filter of filters) {
      if (this.#lasting.has(filter)) continue;
      const resolve = this.#waiting.get(filter);
      this.#waiting.delete(filter);
      if (resolve === undefined) this.#told.add(filter);
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
