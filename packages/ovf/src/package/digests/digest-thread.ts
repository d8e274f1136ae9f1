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
/** Buffers that go to a thread and back. */
const bufferCount = 8;

/**
 * Digests of what passes by, by every algorithm: SHA-256 here, each other on a thread of its own, so that the slowest
 * of them is waited for and not their sum. For one file after another.
 */
export class DigestThreads {
  readonly #lanes = (['SHA512', 'SHA1'] as const).map((algorithm) => new DigestLane(algorithm));
  #own = new FileDigest([]);

  start(): void {
    this.#own = new FileDigest(['SHA256']);
    for (const lane of this.#lanes) lane.start();
  }

  /** Takes bytes; waits while a thread has all its buffers. */
  async update(chunk: Uint8Array): Promise<void> {
    // The threads have theirs to do meanwhile.
    for (const lane of this.#lanes) await lane.update(chunk);
    this.#own.update(chunk);
  }

  async finish(): Promise<ReadonlyMap<DigestAlgorithm, string>> {
    for (const lane of this.#lanes) lane.end();
    const digests = await Promise.all(this.#lanes.map((lane) => lane.digests()));
    return new Map([...this.#own.finish(), ...digests.flat()]);
  }

  async close(): Promise<void> {
    for (const lane of this.#lanes) await lane.close();
  }
}

/** A thread that digests by one algorithm. */
class DigestLane {
  readonly #algorithm: DigestAlgorithm;
  readonly #worker = new Worker(new URL('./stream-digest-worker.ts', import.meta.url));
  readonly #free = Array.from({ length: bufferCount }, () => new ArrayBuffer(bufferLength));
  #buffer: ArrayBuffer | undefined;
  #filled = 0;
  #failure: Error | undefined;
  #digests: readonly (readonly [DigestAlgorithm, string])[] | undefined;
  #wake: () => void = () => undefined;

  constructor(algorithm: DigestAlgorithm) {
    this.#algorithm = algorithm;
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
    this.#digests = undefined;
    this.#post({ algorithms: [this.#algorithm] });
  }

  async update(chunk: Uint8Array): Promise<void> {
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

  end(): void {
    this.#send();
    this.#post({ end: true });
  }

  async digests(): Promise<readonly (readonly [DigestAlgorithm, string])[]> {
    while (this.#digests === undefined) await this.#answer();
    return this.#digests;
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
