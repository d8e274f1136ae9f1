import { createHash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { OvfError } from '../../errors.ts';
import type { PackageSource } from '../package-source.ts';
import type { DigestAlgorithm } from './manifest.ts';

/** A part of an open file that a worker digests. */
export interface DigestJob {
  readonly id: number;
  readonly descriptor: number;
  readonly offset: number;
  readonly length: number;
  readonly algorithm: DigestAlgorithm;
}

/** What a worker says of a job: bytes since it last said so, and at the end the digest or what went wrong. */
export type DigestAnswer =
  | { readonly id: number; readonly doneBytes: number }
  | { readonly id: number; readonly digest: string }
  | { readonly id: number; readonly problem: string };

export interface DigestRequest {
  readonly name: string;
  /** Bytes; `null` when they are only known after reading. */
  readonly size: number | null;
  readonly algorithm: DigestAlgorithm;
}

export interface DigestOptions {
  readonly signal?: AbortSignal;
  /** Called with the bytes that were digested since the last call. */
  readonly onBytes?: (bytes: number) => void;
}

/** What came of a file: its digest in lower-case hexadecimal, or why it could not be read. */
export type DigestResult = { readonly digest: string } | { readonly problem: string };

/** Below this sum of bytes a worker costs more than it saves. */
const worthWorkers = 8 * 1024 * 1024;

/**
 * Digests of stored files. Large local ones go to worker threads, as many as there are cores and files; the rest is read
 * here. A file that cannot be read has a `problem`; the rest goes on. Throws the reason of `signal`.
 */
export async function digestFiles(
  source: PackageSource,
  requests: readonly DigestRequest[],
  options: DigestOptions = {},
): Promise<ReadonlyMap<string, DigestResult>> {
  const results = new Map<string, DigestResult>();
  const total = requests.reduce((sum, { size }) => sum + (size ?? 0), 0);
  if (source.locate === undefined || total < worthWorkers) {
    for (const request of requests) results.set(request.name, await settled(digestHere(source, request, options)));
    return results;
  }
  // The largest first, so that no core is left with it alone at the end.
  const queue = [...requests].sort((a, b) => (b.size ?? 0) - (a.size ?? 0));
  const lanes = Math.min(queue.length, availableParallelism());
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      const lane = new DigestLane(options);
      try {
        for (let request = queue.shift(); request !== undefined; request = queue.shift()) {
          results.set(request.name, await settled(lane.digest(source, request)));
        }
      } finally {
        await lane.close();
      }
    }),
  );
  return results;
}

/** A problem of one file as its result; an abort stays an error. */
async function settled(digest: Promise<string>): Promise<DigestResult> {
  try {
    return { digest: await digest };
  } catch (error) {
    if (error instanceof Aborted) throw error.reason;
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}

class Aborted extends Error {
  readonly reason: unknown;
  constructor(reason: unknown) {
    super('aborted');
    this.reason = reason;
  }
}

async function digestHere(
  source: PackageSource,
  { name, algorithm }: DigestRequest,
  { signal, onBytes }: DigestOptions,
): Promise<string> {
  const hash = createHash(algorithm.toLowerCase());
  for await (const part of source.read(name)) {
    if (signal?.aborted) throw new Aborted(signal.reason);
    hash.update(part);
    onBytes?.(part.length);
  }
  return hash.digest('hex');
}

/** One worker thread that digests one file after another. */
class DigestLane {
  readonly #worker = new Worker(new URL('./digest-worker.ts', import.meta.url));
  readonly #options: DigestOptions;
  #jobs = 0;

  constructor(options: DigestOptions) {
    this.#options = options;
  }

  async digest(source: PackageSource, { name, algorithm }: DigestRequest): Promise<string> {
    const { descriptor, offset, length, close } = await source.locate!(name);
    try {
      this.#jobs += 1;
      return await this.#run({ id: this.#jobs, descriptor, offset, length, algorithm }, name);
    } finally {
      await close();
    }
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  async #run(job: DigestJob, name: string): Promise<string> {
    const { signal, onBytes } = this.#options;
    const worker = this.#worker;
    let settle: () => void = () => undefined;
    try {
      return await new Promise<string>((resolve, reject) => {
        const onMessage = (answer: DigestAnswer) => {
          if (answer.id !== job.id) return;
          if ('doneBytes' in answer) onBytes?.(answer.doneBytes);
          else if ('digest' in answer) resolve(answer.digest);
          else reject(new OvfError('file-unreadable', answer.problem, { file: name }));
        };
        const onAbort = () => {
          // The thread must let go of the file before it is closed.
          void worker.terminate().then(() => reject(new Aborted(signal?.reason)));
        };
        const onExit = () => {
          if (!signal?.aborted)
            reject(new OvfError('file-unreadable', 'the thread that digests ended', { file: name }));
        };
        settle = () => {
          worker.off('message', onMessage).off('error', reject).off('exit', onExit);
          signal?.removeEventListener('abort', onAbort);
        };
        worker.on('message', onMessage).on('error', reject).on('exit', onExit);
        signal?.addEventListener('abort', onAbort, { once: true });
        if (signal?.aborted) onAbort();
        else worker.postMessage(job);
      });
    } finally {
      settle();
    }
  }
}
