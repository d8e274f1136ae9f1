import { Worker } from 'node:worker_threads';
import { VmdkError } from '../errors.ts';
import { SettlePace } from './pace.ts';
import type { SettleGrainsOptions } from './settle-grains.ts';
import type { SettleAnswer, SettleDigestAlgorithm, SettleOrder } from './settle-messages.ts';
import type { StreamPlace } from './stream-file.ts';

export interface SettleStreamOptions extends SettleGrainsOptions {
  /** What the whole file must digest to, in hexadecimal; `digest-mismatch` where it does not. */
  readonly digest?: { readonly algorithm: SettleDigestAlgorithm; readonly expected: string };
  /** Holds the work back, and may be changed while it goes on. */
  readonly pace?: SettlePace;
  readonly signal?: AbortSignal;
  /** Bytes of the source's file. */
  readonly onProgress?: (progress: { readonly doneBytes: number; readonly totalBytes: number }) => void;
}

/**
 * Inflates a streamOptimized disk that lies in a file into a flat one, on two threads of the lowest priority: one
 * checks and inflates the grains, one digests the whole file. A run that was killed is gone on with from its record;
 * the target is durable when this resolves, and its record is there until the caller removes it. An abort leaves
 * target and record for the next run. Throws `VmdkError` that names file, byte and block.
 */
export async function settleStream(options: SettleStreamOptions): Promise<void> {
  const { digest, pace = new SettlePace(), signal, onProgress, ...grains } = options;
  const { source, targetPath, virtualBytes, fill, recordPath, about } = grains;
  signal?.throwIfAborted();
  const stop = () => pace.stop();
  signal?.addEventListener('abort', stop, { once: true });
  const totalBytes = source.length;
  const shared = { pace: pace.shared, source };
  const guarded = (work: Promise<void>) =>
    work.catch((error: unknown) => {
      stop();
      throw error;
    });
  try {
    const works = [
      guarded(
        runThread({ ...shared, kind: 'grains', targetPath, virtualBytes, fill, recordPath, about }, (doneBytes) =>
          onProgress?.({ doneBytes, totalBytes }),
        ).then(() => {}),
      ),
      ...(digest === undefined ? [] : [guarded(checkDigest(shared, digest))]),
    ];
    const failed = (await Promise.allSettled(works)).find((work) => work.status === 'rejected');
    signal?.throwIfAborted();
    if (failed !== undefined) throw failed.reason;
    onProgress?.({ doneBytes: totalBytes, totalBytes });
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}

/** Digests a stretch of a file on a thread of its own; `digest-mismatch` where it is not what is expected. */
export async function verifyDigest(
  source: StreamPlace,
  digest: { readonly algorithm: SettleDigestAlgorithm; readonly expected: string },
  options: { readonly signal?: AbortSignal } = {},
): Promise<void> {
  const pace = new SettlePace();
  const stop = () => pace.stop();
  options.signal?.throwIfAborted();
  options.signal?.addEventListener('abort', stop, { once: true });
  try {
    await checkDigest({ pace: pace.shared, source }, digest);
    options.signal?.throwIfAborted();
  } finally {
    options.signal?.removeEventListener('abort', stop);
  }
}

async function checkDigest(
  shared: { readonly pace: SharedArrayBuffer; readonly source: StreamPlace },
  { algorithm, expected }: { readonly algorithm: SettleDigestAlgorithm; readonly expected: string },
): Promise<void> {
  const answer = await runThread({ ...shared, kind: 'digest', algorithm }, () => {});
  if (answer.kind !== 'done' || answer.digest === expected.toLowerCase()) return;
  const file = shared.source.name ?? shared.source.path;
  throw new VmdkError('digest-mismatch', { file, reason: `its ${algorithm} is ${answer.digest}, not ${expected}` });
}

/** Rejects with what the thread failed of. */
function runThread(order: SettleOrder, onProgress: (doneBytes: number) => void): Promise<SettleAnswer> {
  return new Promise((resolve, reject) => {
    const { path } = order.source;
    const failed = (reason: string, cause?: unknown) => new VmdkError('io-failed', { file: path, reason, cause });
    let last: SettleAnswer | undefined;
    const worker = new Worker(new URL('./settle-thread.ts', import.meta.url), { workerData: order });
    worker.on('message', (answer: SettleAnswer) => {
      if (answer.kind === 'progress') onProgress(answer.doneBytes);
      else last = answer;
    });
    worker.on('error', (error) => reject(failed(error.message, error)));
    // What it says last is heard before its end is.
    worker.on('exit', () => {
      if (last?.kind === 'failed') reject(repeated(last));
      else if (last === undefined) reject(failed('its thread ended without a word'));
      else resolve(last);
    });
  });
}

function repeated({ code, file, message }: Extract<SettleAnswer, { kind: 'failed' }>): VmdkError {
  return Object.assign(new VmdkError(code, { file, reason: message }), { message });
}
