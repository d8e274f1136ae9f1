/** Sign-ins from one address are checked one after another, so that many guesses at once gain nothing. */
export class SignInTurns {
  readonly #last = new Map<string, Promise<void>>();

  /** Runs `check` when those of the address that came before have their answer. */
  run<R>(address: string, check: () => Promise<R>): Promise<R> {
    const before = this.#last.get(address) ?? Promise.resolve();
    const answer = before.then(check);
    const last = answer
      .then(
        () => {},
        () => {},
      )
      .then(() => {
        if (this.#last.get(address) === last) this.#last.delete(address);
      });
    this.#last.set(address, last);
    return answer;
  }
}
