import { BundleDamage } from './bundle-damage.ts';

/** Takes as many bytes of a stream as are wanted. */
export class ByteTaker {
  readonly #pieces: AsyncIterator<Uint8Array>;
  #held: Buffer = Buffer.alloc(0);

  constructor(body: AsyncIterable<Uint8Array>) {
    this.#pieces = body[Symbol.asyncIterator]();
  }

  /** Throws `BundleDamage` where the stream ends before. */
  async take(count: number): Promise<Buffer> {
    if (this.#held.length < count) await this.#fill(count);
    const taken = this.#held.subarray(0, count);
    this.#held = this.#held.subarray(count);
    return taken;
  }

  async isAtEnd(): Promise<boolean> {
    while (this.#held.length === 0) {
      const { done, value } = await this.#pieces.next();
      if (done === true) return true;
      this.#held = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    }
    return false;
  }

  /** Reads no more of it. */
  async close(): Promise<void> {
    await this.#pieces.return?.();
  }

  async #fill(count: number): Promise<void> {
    const parts = [this.#held];
    let length = this.#held.length;
    while (length < count) {
      const { done, value } = await this.#pieces.next();
      if (done === true) throw new BundleDamage('it was cut off');
      parts.push(Buffer.from(value.buffer, value.byteOffset, value.byteLength));
      length += value.byteLength;
    }
    this.#held = Buffer.concat(parts, length);
  }
}
