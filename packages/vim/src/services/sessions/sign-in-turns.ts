/** Sign-ins from one address are checked one after another, so that many guesses at once gain nothing. */
export class SignInTurns {
  readonly #last = new Map<string, Promise<void>>();
  readonly #waiting = new Map<string, number>();

  /** Sign-ins of the address that have no answer yet. */
  waiting(address: string): number {
    return this.#waiting.get(address) ?? 0;
  }

  /** Runs `check` when those of the address that came before have their answer. */
  run<R>(address: string, check: () => Promise<R>): Promise<R> {
    const before = this.#last.get(address) ?? Promise.resolve();
    const answer = before.then(check);
    this.#waiting.set(address, this.waiting(address) + 1);
    const last = answer
      .then(
        () => {},
        () => {},
      )
      .then(() => {
        this.#waiting.set(address, this.waiting(address) - 1);
        if (this.#last.get(address) !== last) return;
        this.#last.delete(address);
        this.#waiting.delete(address);
      });
    this.#last.set(address, last);
    return answer;
  }
}
