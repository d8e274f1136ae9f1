/** Lets pieces of asynchronous work go one at a time, in the order of asking; one that fails hinders none behind it. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  /** What `work` gives, once its turn came. */
  take<R>(work: () => Promise<R>): Promise<R> {
    const turn = this.#last.then(work);
    // Who asked hears of what failed.
    this.#last = turn.catch(() => {});
    return turn;
  }

  /** Resolves when all that was asked for until now is over. */
  async over(): Promise<void> {
    await this.#last;
  }
}
