/** A peer sent something that is not JSON lines, or a line that is too long. */
export class JsonLineError extends Error {
  override readonly name = 'JsonLineError';
}

/**
 * Splits a byte stream into JSON values, one a line, as QMP and the guest agent send them.
 * `maxBytes`: longest line; a longer one throws `JsonLineError`, and the stream is of no more use.
 */
export class JsonLineParser {
  readonly #maxBytes: number;
  readonly #skipSentinel: boolean;
  #pending: Buffer[] = [];
  #pendingBytes = 0;

  /** `skipSentinel`: bytes up to the last 0xFF of a line are dropped (guest-sync-delimited). */
  constructor(options: { readonly maxBytes: number; readonly skipSentinel?: boolean }) {
    this.#maxBytes = options.maxBytes;
    this.#skipSentinel = options.skipSentinel ?? false;
  }

  push(chunk: Buffer): unknown[] {
    const values: unknown[] = [];
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      const value = this.#parse(chunk.subarray(start, end));
      if (value !== undefined) values.push(value);
      start = end + 1;
    }
    if (start < chunk.length) this.#keep(chunk.subarray(start));
    return values;
  }

  #keep(part: Buffer): void {
    this.#pendingBytes += part.length;
    if (this.#pendingBytes > this.#maxBytes) throw new JsonLineError(`line longer than ${this.#maxBytes} bytes`);
    this.#pending.push(part);
  }

  #parse(last: Buffer): unknown {
    this.#keep(last);
    let line = this.#pending.length === 1 ? last : Buffer.concat(this.#pending, this.#pendingBytes);
    this.#pending = [];
    this.#pendingBytes = 0;
    if (this.#skipSentinel) line = line.subarray(line.lastIndexOf(0xff) + 1);
    const text = line.toString('utf8').trim();
    if (text === '') return undefined;
    try {
      return JSON.parse(text) as unknown;
    } catch (cause) {
      throw new JsonLineError('a line is not JSON', { cause });
    }
  }
}
