import { VmdkError } from '../errors.ts';

/** Takes exact numbers of bytes out of a stream of chunks. */
export class ByteQueue {
  readonly #chunks: Buffer[] = [];
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #name: string;
  readonly #signal: AbortSignal | undefined;
  #available = 0;
  #taken = 0;
  #ended = false;

  constructor(source: AsyncIterable<Uint8Array>, name: string, signal?: AbortSignal) {
    this.#source = source[Symbol.asyncIterator]();
    this.#name = name;
    this.#signal = signal;
  }

  /** Bytes taken so far. */
  get position(): number {
    return this.#taken;
  }

  /** Whether the stream has ended and everything was taken. */
  async atEnd(): Promise<boolean> {
    return !(await this.#fill(1));
  }

  /** The next `length` bytes, which stay in the queue; `truncated` when the stream ends before. */
  async peek(length: number): Promise<Buffer> {
    if (!(await this.#fill(length))) {
      const reason = `${length} bytes wanted, ${this.#available} came`;
      throw new VmdkError('truncated', { file: this.#name, place: `byte ${this.#taken}`, reason });
    }
    const first = this.#chunks[0];
    if (first && first.length >= length) return first.subarray(0, length);
    const joined = Buffer.concat(this.#chunks);
    this.#chunks.splice(0, this.#chunks.length, joined);
    return joined.subarray(0, length);
  }

  /** Takes the next `length` bytes; `truncated` when the stream ends before. */
  async take(length: number): Promise<Buffer> {
    const bytes = await this.peek(length);
    this.#drop(length);
    return bytes;
  }

  /** Takes whatever has come, at least a byte; undefined at the end of the stream. */
  async takeSome(): Promise<Buffer | undefined> {
    if (!(await this.#fill(1))) return undefined;
    const bytes = this.#chunks[0] as Buffer;
    this.#drop(bytes.length);
    return bytes;
  }

  /** Passes over `length` bytes without keeping them. */
  async skip(length: number): Promise<void> {
    for (let left = length; left > 0; ) {
      const piece = Math.min(left, 65536);
      await this.take(piece);
      left -= piece;
    }
  }

  /** Tells the source that no more is wanted. */
  async close(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    const returned = this.#source.return?.();
    // A source that hangs cannot answer; it must not hold up the abort.
    if (this.#signal?.aborted) returned?.catch(() => undefined);
    else await returned;
  }

  #drop(length: number): void {
    this.#available -= length;
    this.#taken += length;
    for (let left = length; left > 0; ) {
      const first = this.#chunks[0] as Buffer;
      if (first.length > left) {
        this.#chunks[0] = first.subarray(left);
        return;
      }
      this.#chunks.shift();
      left -= first.length;
    }
  }

  async #fill(length: number): Promise<boolean> {
    while (this.#available < length && !this.#ended) {
      this.#signal?.throwIfAborted();
      const next = await this.#next();
      if (next.done) this.#ended = true;
      else if (next.value.length > 0) {
        const { buffer, byteOffset, length: bytes } = next.value;
        this.#chunks.push(Buffer.from(buffer, byteOffset, bytes));
        this.#available += bytes;
      }
    }
    return this.#available >= length;
  }

  async #next(): Promise<IteratorResult<Uint8Array>> {
    const signal = this.#signal;
    if (!signal) return this.#source.next();
    const next = this.#source.next();
    const aborted = Promise.withResolvers<never>();
    const abort = () => aborted.reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    try {
      return await Promise.race([next, aborted.promise]);
    } finally {
      signal.removeEventListener('abort', abort);
      next.catch(() => undefined);
    }
  }
}
