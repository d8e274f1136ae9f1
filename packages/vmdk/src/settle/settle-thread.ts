// A thread that settles a disk, or digests its file. Everything here is synchronous, so that all of the work is the
// thread's own and has its priority.
import { createHash } from 'node:crypto';
import { closeSync, openSync, readlinkSync, readSync } from 'node:fs';
import { setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { fileError, VmdkError } from '../errors.ts';
import { sectorBytes } from '../size.ts';
import { PaceKeeper } from './pace.ts';
import { SettleGrains } from './settle-grains.ts';
import type { SettleAnswer, SettleOrder } from './settle-messages.ts';
import { StreamFile } from './stream-file.ts';

const lowestPriority = 19;
const readBytes = 2 * 2 ** 20;
/** Milliseconds between words on how far it is. */
const wordInterval = 100;

const order = workerData as SettleOrder;
const keeper = new PaceKeeper(order.pace);
let spoken = 0;
const say = (answer: SettleAnswer) => parentPort?.postMessage(answer);

try {
  if (order.urgent !== true) lowerPriority();
  if (order.kind === 'digest') digest(order);
  else if (order.kind === 'tables') tables(order);
  else settle(order);
} catch (error) {
  const { code, file } = error instanceof VmdkError ? error : { code: 'io-failed' as const, file: order.source.path };
  const { code: systemCode } = ((error instanceof VmdkError ? error.cause : error) ?? {}) as {
    readonly code?: unknown;
  };
  const message = error instanceof Error ? error.message : String(error);
  say({ kind: 'failed', code, file, message, ...(typeof systemCode === 'string' ? { systemCode } : {}) });
}

function tables({ source }: SettleOrder): void {
  const file = StreamFile.open(source);
  try {
    file.countGrains();
    say({ kind: 'done', virtualBytes: file.front.capacity * sectorBytes });
  } finally {
    file.close();
  }
}

function settle(options: Extract<SettleOrder, { kind: 'grains' | 'check' }>): void {
  const grains = new SettleGrains(options.source, options.kind === 'grains' ? options : undefined);
  try {
    for (let passed = grains.step(); passed !== undefined; passed = grains.step()) {
      report(grains.position.source);
      keeper.passed(passed);
      if (!keeper.stopped) continue;
      grains.checkpoint();
      say({ kind: 'stopped' });
      return;
    }
    say({ kind: 'done' });
  } finally {
    grains.close();
  }
}

function digest({ source, algorithm }: Extract<SettleOrder, { kind: 'digest' }>): void {
  const hash = createHash(algorithm);
  const buffer = Buffer.allocUnsafe(readBytes);
  const file = openSync(source.path, 'r');
  try {
    for (let done = 0; done < source.length; ) {
      const count = readSync(file, buffer, 0, Math.min(readBytes, source.length - done), source.offset + done);
      if (count === 0) {
        const reason = `${source.length - done} bytes are missing`;
        throw new VmdkError('truncated', { file: source.name ?? source.path, reason });
      }
      hash.update(buffer.subarray(0, count));
      done += count;
      report(done);
      keeper.passed(count);
      if (!keeper.stopped) continue;
      say({ kind: 'stopped' });
      return;
    }
    say({ kind: 'done', digest: hash.digest('hex') });
  } catch (error) {
    throw fileError(error, source.name ?? source.path);
  } finally {
    closeSync(file);
  }
}

function report(doneBytes: number): void {
  const now = performance.now();
  if (now - spoken < wordInterval) return;
  spoken = now;
  say({ kind: 'progress', doneBytes });
}

/** Of this thread alone. Where the system does not do it, the work goes on as it is. */
function lowerPriority(): void {
  try {
    setPriority(Number(readlinkSync('/proc/thread-self').split('/').at(-1)), lowestPriority);
  } catch {
    // No such file, or no such right.
  }
}
