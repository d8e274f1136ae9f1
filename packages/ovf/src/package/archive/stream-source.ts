import type { TarSource } from './tar-entries.ts';

/** Bytes of a stream by offset, reading on only: what lies before the offset that is asked for is passed over. */
export class StreamSource implements TarSource {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #current: Uint8Array = new Uint8Array(0);
  #offset = 0;
  #ended = false;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#chunks = source[Symbol.asyncIterator]();
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    for await (const part of this.stream(offset, length)) parts.push(part);
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  }

  /** Up to `length` bytes from `offset` on, as they come; fewer at the end. */
  async *stream(offset: number, length: number): AsyncGenerator<Uint8Array> {
    let left = length;
    while (left > 0) {
      if (this.#current.length === 0 && !(await this.#next())) return;
      const skipped = Math.min(offset - this.#offset, this.#current.length);
      if (skipped > 0) {
        this.#take(skipped);
        continue;
      }
      const part = this.#take(Math.min(left, this.#current.length));
      left -= part.length;
      offset += part.length;
      yield part;
    }
  }

  /** Bytes passed so far. */
  get offset(): number {
    return this.#offset;
  }

  async close(): Promise<void> {
    this.#ended = true;
    await this.#chunks.return?.();
  }

  #take(length: number): Uint8Array {
    const part = this.#current.subarray(0, length);
    this.#current = this.#current.subarray(length);
    this.#offset += length;
    return part;
  }

  async #next(): Promise<boolean> {
    while (!this.#ended && this.#current.length === 0) {
      const { done, value } = await this.#chunks.next();
      if (done) this.#ended = true;
      else this.#current = value;
    }
    return this.#current.length > 0;
  }
}
