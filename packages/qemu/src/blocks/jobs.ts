import { setTimeout as sleep } from 'node:timers/promises';
import { qemuErrors } from '../errors.ts';
import type { Engine } from '../machine/engine.ts';
import { isObject } from '../qmp/qmp-message.ts';

/** Milliseconds between looks at a job's progress; its states are events. */
const progressInterval = 500;

export interface JobWatch {
  readonly signal?: AbortSignal;
  /** 0 to 1. */
  readonly onProgress?: (fraction: number) => void;
}

interface JobInfo {
  readonly status: string;
  readonly current: number;
  readonly total: number;
  readonly error: string | undefined;
}

/** What is known of a job; undefined when there is none of that id. */
export async function readJob(engine: Pick<Engine, 'execute'>, id: string): Promise<JobInfo | undefined> {
  const jobs = await engine.execute('query-jobs');
  const job: unknown = (Array.isArray(jobs) ? jobs : []).find((one: unknown) => isObject(one) && one.id === id);
  if (!isObject(job)) return undefined;
  return {
    status: String(job.status),
    current: Number(job['current-progress'] ?? 0),
    total: Number(job['total-progress'] ?? 0),
    error: typeof job.error === 'string' ? job.error : undefined,
  };
}

/**
 * Waits until a job is ready to be completed or has concluded by itself, which is then dismissed. Rejects with
 * `block-failed` when it failed, and with the signal's reason when it was cancelled by that.
 */
export async function jobReady(engine: Engine, id: string, watch: JobWatch = {}): Promise<'ready' | 'concluded'> {
  return await follow(engine, id, watch, (job) => job?.status === 'ready' || job?.status === 'standby');
}

/** Waits for the end of a job and dismisses it. Rejects as `jobReady`. */
export async function jobConcluded(engine: Engine, id: string): Promise<void> {
  await follow(engine, id, {}, () => false);
}

async function follow(
  engine: Engine,
  id: string,
  { signal, onProgress }: JobWatch,
  isEnough: (job: JobInfo | undefined) => boolean,
): Promise<'ready' | 'concluded'> {
  let wake: (() => void) | undefined;
  let cancelled = false;
  const unsubscribe = engine.onEvent((event) => {
    if (event.name === 'JOB_STATUS_CHANGE' && event.data.id === id) wake?.();
  });
  const abort = () => wake?.();
  signal?.addEventListener('abort', abort, { once: true });
  try {
    for (;;) {
      const next = new Promise<void>((resolve) => {
        wake = resolve;
      });
      const job = await readJob(engine, id);
      if (job !== undefined && job.total > 0) onProgress?.(Math.min(1, job.current / job.total));
      if (job === undefined || job.status === 'concluded') {
        await engine.execute('job-dismiss', { id }).catch(() => {});
        if (cancelled && signal?.aborted) throw signal.reason;
        if (job?.error !== undefined) throw qemuErrors.blockFailed(job.error);
        return 'concluded';
      }
      if (signal?.aborted && !cancelled) {
        cancelled = true;
        await engine.execute('job-cancel', { id }).catch(() => {});
        continue;
      }
      if (!cancelled && isEnough(job)) return 'ready';
      const timer = new AbortController();
      await Promise.race([next, sleep(progressInterval, undefined, { signal: timer.signal }).catch(() => {})]);
      timer.abort();
    }
  } finally {
    unsubscribe();
    signal?.removeEventListener('abort', abort);
  }
}
