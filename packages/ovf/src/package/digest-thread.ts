import { Worker } from 'node:worker_threads';
import { FileDigest } from './file-digests.ts';
import type { DigestAlgorithm } from './manifest.ts';

export type StreamDigestMessage =
  | { readonly algorithms: readonly DigestAlgorithm[] }
  /** `length` bytes of the buffer, which goes back. */
  | { readonly buffer: ArrayBuffer; readonly length: number }
  | { readonly end: true };

export type StreamDigestAnswer =
  | { readonly buffer: ArrayBuffer }
  | { readonly digests: readonly (readonly [DigestAlgorithm, string])[] };

const bufferLength = 512 * 1024;
/** Buffers that go to the thread and back. */
const bufferCount = 8;

/**
 * Digests of what passes by, by every algorithm: SHA-256 here, the others on a thread of their own. For one file after
 * another.
 */
export class DigestThread {
  readonly #worker = new Worker(new URL('./stream-digest-worker.ts', import.meta.url));
  readonly #free = Array.from({ length: bufferCount }, () => new ArrayBuffer(bufferLength));
  #own = new FileDigest([]);
  #buffer: ArrayBuffer | undefined;
  #filled = 0;
  #failure: Error | undefined;
  #digests: readonly (readonly [DigestAlgorithm, string])[] | undefined;
  #wake: () => void = () => undefined;

  constructor() {
    this.#worker.on('message', (answer: StreamDigestAnswer) => {
      if ('buffer' in answer) this.#free.push(answer.buffer);
      else this.#digests = answer.digests;
      this.#wake();
    });
    this.#worker.on('error', (error: Error) => {
      this.#failure = error;
      this.#wake();
    });
  }

  start(): void {
    this.#own = new FileDigest(['SHA256']);
    this.#digests = undefined;
    this.#post({ algorithms: ['SHA1', 'SHA512'] });
  }

  /** Takes bytes; waits while the thread has all buffers. */
  async update(chunk: Uint8Array): Promise<void> {
    this.#own.update(chunk);
    for (let at = 0; at < chunk.length; ) {
      while (this.#buffer === undefined) {
        this.#buffer = this.#free.pop();
        if (this.#buffer === undefined) await this.#answer();
      }
      const part = chunk.subarray(at, at + bufferLength - this.#filled);
      new Uint8Array(this.#buffer).set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled === bufferLength) this.#send();
    }
  }

  async finish(): Promise<ReadonlyMap<DigestAlgorithm, string>> {
    this.#send();
    this.#post({ end: true });
    while (this.#digests === undefined) await this.#answer();
    return new Map([...this.#own.finish(), ...this.#digests]);
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  #send(): void {
    if (this.#buffer === undefined) return;
    this.#post({ buffer: this.#buffer, length: this.#filled }, this.#buffer);
    this.#buffer = undefined;
    this.#filled = 0;
  }

  #post(message: StreamDigestMessage, ...transfer: ArrayBuffer[]): void {
    this.#worker.postMessage(message, transfer);
  }

  async #answer(): Promise<void> {
    if (this.#failure === undefined) await new Promise<void>((resolve) => (this.#wake = resolve));
    if (this.#failure !== undefined) throw this.#failure;
  }
}
