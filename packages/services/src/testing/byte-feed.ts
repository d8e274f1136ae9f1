/** A body whose bytes come when the test says so. */
export class ByteFeed implements AsyncIterable<Uint8Array> {
  readonly #queue: (Uint8Array | Error | undefined)[] = [];
  #wake: () => void = () => {};

  push(piece: Uint8Array): void {
    this.#put(piece);
  }

  end(): void {
    this.#put(undefined);
  }

  fail(error: Error): void {
    this.#put(error);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      while (this.#queue.length === 0) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
      const next = this.#queue.shift();
      if (next === undefined) return;
      if (next instanceof Error) throw next;
      yield next;
    }
  }

  #put(item: Uint8Array | Error | undefined): void {
    this.#queue.push(item);
    this.#wake();
  }
}
