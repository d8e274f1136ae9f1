import type { Duplex } from 'node:stream';
import { VmdkError } from '../errors.ts';

/** Bytes that may wait for the reader before the peer is asked to stop. */
const pauseBytes = 256 * 1024;

/** Takes exact numbers of bytes from one end of a connection, and sends with back-pressure. One reader at a time. */
export class Wire {
  readonly socket: Duplex;
  readonly #name: string;
  readonly #chunks: Buffer[] = [];
  #available = 0;
  #wake: (() => void) | undefined;
  #ended = false;
  #failure: Error | undefined;

  constructor(socket: Duplex, name: string) {
    this.socket = socket;
    this.#name = name;
    socket.on('data', this.#onData);
    socket.on('end', this.#onEnd);
    socket.on('close', this.#onEnd);
    socket.on('error', this.#onError);
    socket.resume();
  }

  /** Bytes that came and were not taken yet. */
  get buffered(): number {
    return this.#available;
  }

  /** Whether the peer has ended the connection and everything it sent was taken. */
  async atEnd(): Promise<boolean> {
    await this.#arrival();
    return this.#available === 0;
  }

  /** The next `length` bytes; `nbd-closed` when the connection ends before. */
  async read(length: number): Promise<Buffer> {
    const first = this.#chunks[0];
    if (first !== undefined && first.length > length) {
      this.#chunks[0] = first.subarray(length);
      this.#take(length);
      return first.subarray(0, length);
    }
    const buffer = Buffer.allocUnsafe(length);
    await this.readInto(buffer);
    return buffer;
  }

  /** Fills the buffer with the next bytes; `nbd-closed` when the connection ends before. */
  async readInto(target: Uint8Array): Promise<void> {
    for (let done = 0; done < target.length; ) {
      const chunk = await this.#someOf(target.length - done);
      target.set(chunk, done);
      done += chunk.length;
    }
  }

  /** Passes over the next bytes without keeping them. */
  async skip(length: number): Promise<void> {
    for (let left = length; left > 0; ) left -= (await this.#someOf(left)).length;
  }

  /** Sends the parts one after another; settles when the system has taken them, and they can be used for something else. */
  async write(...parts: readonly Uint8Array[]): Promise<void> {
    if (this.#failure !== undefined || this.socket.destroyed || !this.socket.writable) throw this.#closed();
    const last = parts.length - 1;
    const { promise, resolve } = Promise.withResolvers<Error | null | undefined>();
    this.socket.cork();
    for (const [index, part] of parts.entries()) this.socket.write(part, index === last ? resolve : undefined);
    this.socket.uncork();
    if ((await promise) || this.#failure !== undefined) throw this.#closed();
  }

  /** Lets go of the socket, so that something else may read it. */
  release(): Duplex {
    this.socket.pause();
    this.socket.off('data', this.#onData);
    this.socket.off('end', this.#onEnd);
    this.socket.off('close', this.#onEnd);
    this.socket.off('error', this.#onError);
    return this.socket;
  }

  /** Ends the connection at once. */
  destroy(): void {
    this.socket.destroy();
    this.#onEnd();
  }

  /** Up to `most` bytes, at least one. */
  async #someOf(most: number): Promise<Buffer> {
    await this.#arrival();
    const first = this.#chunks[0];
    if (first === undefined) throw this.#closed();
    const piece = first.subarray(0, most);
    if (piece.length === first.length) this.#chunks.shift();
    else this.#chunks[0] = first.subarray(most);
    this.#take(piece.length);
    return piece;
  }

  /** Waits until there is a byte, or never will be. */
  async #arrival(): Promise<void> {
    while (this.#available === 0 && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #take(length: number): void {
    this.#available -= length;
    if (this.#available < pauseBytes && this.socket.isPaused()) this.socket.resume();
  }

  #closed(): VmdkError {
    const reason = this.#failure?.message ?? 'the other side ended it';
    const cause = this.#failure === undefined ? {} : { cause: this.#failure };
    return new VmdkError('nbd-closed', { file: this.#name, reason, ...cause });
  }

  #wakeReader(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#chunks.push(chunk);
    this.#available += chunk.length;
    if (this.#available >= pauseBytes) this.socket.pause();
    this.#wakeReader();
  };

  readonly #onEnd = (): void => {
    this.#ended = true;
    this.#wakeReader();
  };

  readonly #onError = (error: Error): void => {
    this.#failure ??= error;
    this.#onEnd();
  };
}
