import { Worker } from 'node:worker_threads';
import { FileDigest } from './file-digests.ts';
import type { DigestAlgorithm } from './manifest.ts';

export type StreamDigestMessage =
  | { readonly algorithms: readonly DigestAlgorithm[] }
  | { readonly bytes: Uint8Array }
  | { readonly end: true };

export type StreamDigestAnswer =
  | { readonly doneBytes: number }
  | { readonly digests: readonly (readonly [DigestAlgorithm, string])[] };

/** Bytes that may wait for the thread. */
const maxWaiting = 4 * 1024 * 1024;

/**
 * Digests of what passes by, by every algorithm: SHA-256 here, the others on a thread of their own. For one file after
 * another.
 */
export class DigestThread {
  readonly #worker = new Worker(new URL('./stream-digest-worker.ts', import.meta.url));
  #own = new FileDigest([]);
  #waiting = 0;
  #failure: Error | undefined;
  #digests: readonly (readonly [DigestAlgorithm, string])[] | undefined;
  #wake: () => void = () => undefined;

  constructor() {
    this.#worker.on('message', (answer: StreamDigestAnswer) => {
      if ('doneBytes' in answer) this.#waiting -= answer.doneBytes;
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

  /** Takes bytes; waits while too many of them are under way. */
  async update(chunk: Uint8Array): Promise<void> {
    const bytes = Uint8Array.from(chunk);
    this.#waiting += bytes.length;
    this.#post({ bytes }, bytes.buffer);
    this.#own.update(chunk);
    while (this.#waiting > maxWaiting) await this.#answer();
  }

  async finish(): Promise<ReadonlyMap<DigestAlgorithm, string>> {
    this.#post({ end: true });
    while (this.#digests === undefined) await this.#answer();
    return new Map([...this.#own.finish(), ...this.#digests]);
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  #post(message: StreamDigestMessage, ...transfer: ArrayBuffer[]): void {
    this.#worker.postMessage(message, transfer);
  }

  async #answer(): Promise<void> {
    if (this.#failure === undefined) await new Promise<void>((resolve) => (this.#wake = resolve));
    if (this.#failure !== undefined) throw this.#failure;
  }
}
