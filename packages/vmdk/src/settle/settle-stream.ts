import { Worker } from 'node:worker_threads';
import { VmdkError } from '../errors.ts';
import { FileWindow } from '../file-window.ts';
import { sectorBytes } from '../size.ts';
import { parseSparseHeader, sparseFlags } from '../sparse/sparse-header.ts';
import { SettlePace } from './pace.ts';
import type { SettleGrainsOptions } from './settle-grains.ts';
import type { SettleAnswer, SettleDigestAlgorithm, SettleOrder } from './settle-messages.ts';
import type { StreamPlace } from './stream-file.ts';

/** What a whole file must digest to. */
export interface StreamDigest {
  readonly algorithm: SettleDigestAlgorithm;
  /** In hexadecimal. */
  readonly expected: string;
}

/** Called with the bytes of the source's file that have been passed. */
type OnProgress = (progress: { readonly doneBytes: number; readonly totalBytes: number }) => void;

export interface SettleStreamOptions extends SettleGrainsOptions {
  /** `digest-mismatch` where it does not match, if no damaged grain can be named. */
  readonly digest?: StreamDigest;
  /** Holds the work back, and may be changed while it goes on. For one run only. */
  readonly pace?: SettlePace;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
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
  const stop = () => pace.stop();
  await whileWanted(signal, stop, async () => {
    const totalBytes = source.length;
    const shared = { pace: pace.shared, source };
    const order = { ...shared, kind: 'grains', targetPath, virtualBytes, fill, recordPath, about } as const;
    const works = [
      runThread(order, (doneBytes) => onProgress?.({ doneBytes, totalBytes })),
      ...(digest === undefined ? [] : [checkDigest(shared, digest)]),
    ];
    for (const work of works) work.catch(stop);
    const failed = (await Promise.allSettled(works)).find((work) => work.status === 'rejected');
    signal?.throwIfAborted();
    if (failed !== undefined) throw await namedDamage(failed.reason, source, signal);
    onProgress?.({ doneBytes: totalBytes, totalBytes });
  });
}

/**
 * Checks a streamOptimized disk that lies in a file against its digest, at the speed of the digest; without one, every
 * grain by its own sum. Throws as `settleStream`.
 */
export async function verifyStream(
  source: StreamPlace,
  options: { readonly digest?: StreamDigest; readonly signal?: AbortSignal; readonly onProgress?: OnProgress } = {},
): Promise<void> {
  const { digest, signal, onProgress } = options;
  const pace = new SettlePace();
  // Somebody waits for it.
  const shared = { pace: pace.shared, source, urgent: true };
  const report = (doneBytes: number) => onProgress?.({ doneBytes, totalBytes: source.length });
  await whileWanted(
    signal,
    () => pace.stop(),
    async () => {
      if (digest === undefined) await runThread({ ...shared, kind: 'check' }, report);
      else {
        await checkDigest(shared, digest, report).catch(async (error: unknown) => {
          throw await namedDamage(error, source, signal);
        });
      }
      signal?.throwIfAborted();
    },
  );
}

/** Whether a stretch of a file begins as a streamOptimized disk does. */
export async function isStreamOptimized({ path, offset, length, name = path }: StreamPlace): Promise<boolean> {
  if (length < sectorBytes) return false;
  const file = await FileWindow.open(path, { offset, length });
  try {
    const header = parseSparseHeader(await file.read(0, sectorBytes), name);
    const wanted = sparseFlags.compressed | sparseFlags.markers;
    return (header.flags & wanted) === wanted;
  } catch (error) {
    if (error instanceof VmdkError && error.code !== 'io-failed') return false;
    throw error;
  } finally {
    await file.close();
  }
}

/**
 * Reads a streamOptimized disk's header, and its tables, commonly 1/16384 of the disk: each grain must come after the
 * one before, so that a damaged entry leads to no other grain; engines check a grain's own sum and nothing else.
 */
export async function readStreamTables(source: StreamPlace): Promise<{ readonly virtualBytes: number }> {
  const answer = await runThread({ pace: new SettlePace().shared, source, urgent: true, kind: 'tables' }, () => {});
  return { virtualBytes: (answer.kind === 'done' ? answer.virtualBytes : undefined) ?? 0 };
}

async function whileWanted(signal: AbortSignal | undefined, stop: () => void, work: () => Promise<void>) {
  signal?.throwIfAborted();
  signal?.addEventListener('abort', stop, { once: true });
  try {
    await work();
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}

/** A digest tells that something is wrong; the grains tell what, where it is in one of them. */
async function namedDamage(error: unknown, source: StreamPlace, signal: AbortSignal | undefined): Promise<unknown> {
  if (!(error instanceof VmdkError) || error.code !== 'digest-mismatch') return error;
  return verifyStream(source, signal ? { signal } : {}).then(
    () => error,
    (named: unknown) => named,
  );
}

async function checkDigest(
  shared: Pick<SettleOrder, 'pace' | 'source' | 'urgent'>,
  { algorithm, expected }: StreamDigest,
  report: (doneBytes: number) => void = () => {},
): Promise<void> {
  const answer = await runThread({ ...shared, kind: 'digest', algorithm }, report);
  if (answer.kind !== 'done' || answer.digest === expected.toLowerCase()) return;
  const file = shared.source.name ?? shared.source.path;
  throw new VmdkError('digest-mismatch', {
    file,
    reason: `its ${algorithm.toUpperCase()} is ${answer.digest}, not ${expected}`,
  });
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

function repeated({ code, file, message, systemCode }: Extract<SettleAnswer, { kind: 'failed' }>): VmdkError {
  const cause = systemCode === undefined ? {} : { cause: Object.assign(new Error(message), { code: systemCode }) };
  return Object.assign(new VmdkError(code, { file, reason: message, ...cause }), { message });
}
