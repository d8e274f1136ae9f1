/** A number of bytes that may be in use at once; who wants more than is left waits for its turn. */
export class Budget {
  readonly #total: number;
  readonly #waiting: { readonly bytes: number; readonly resolve: () => void }[] = [];
  #used = 0;

  constructor(total: number) {
    this.#total = total;
  }

  /** At most the whole budget. */
  async take(bytes: number): Promise<void> {
    if (this.#waiting.length === 0 && this.#used + bytes <= this.#total) {
      this.#used += bytes;
      return;
    }
    await new Promise<void>((resolve) => this.#waiting.push({ bytes, resolve }));
  }

  give(bytes: number): void {
    this.#used -= bytes;
    for (let next = this.#waiting[0]; next && this.#used + next.bytes <= this.#total; next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#used += next.bytes;
      next.resolve();
    }
  }
}
