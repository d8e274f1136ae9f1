/**
 * Work that is the cheaper the more of it is done at once: what comes while some is being done is done together next.
 * One failure of `work` is that of all that it was given.
 */
export class Gathered<Item, Result> {
  readonly #work: (items: readonly Item[]) => Promise<readonly Result[]>;
  #waiting: { readonly item: Item; readonly done: PromiseWithResolvers<Result> }[] = [];
  #busy = false;

  constructor(work: (items: readonly Item[]) => Promise<readonly Result[]>) {
    this.#work = work;
  }

  /** Resolves with the result that `work` answers at the place of the item. */
  add(item: Item): Promise<Result> {
    const done = Promise.withResolvers<Result>();
    this.#waiting.push({ item, done });
    if (!this.#busy) void this.#run();
    return done.promise;
  }

  async #run(): Promise<void> {
    this.#busy = true;
    try {
      while (this.#waiting.length > 0) {
        // Whoever is about to come in the same turn of the loop is waited for.
        await new Promise(setImmediate);
        const batch = this.#waiting;
        this.#waiting = [];
        try {
          const results = await this.#work(batch.map(({ item }) => item));
          for (const [index, { done }] of batch.entries()) done.resolve(results[index] as Result);
        } catch (error) {
          for (const { done } of batch) done.reject(error);
        }
      }
    } finally {
      this.#busy = false;
    }
  }
}
