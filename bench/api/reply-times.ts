import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { percentile } from './percentile.ts';
import { currentTime } from './requests.ts';
import { SoapSession } from './soap-session.ts';
import type { Subject } from './subject.ts';

export interface ReplyTimes {
  /** Milliseconds. */
  readonly p99: number;
  readonly longest: number;
}

/** How long somebody else waits for CurrentTime, asked every 2 ms from a thread of its own, while `work` runs. */
export async function replyTimesDuring(subject: Subject, work: () => Promise<unknown>): Promise<ReplyTimes> {
  const worker = new Worker(import.meta.filename, { workerData: subject.address });
  try {
    await once(worker, 'message');
    await work();
    const times = once(worker, 'message');
    worker.postMessage('end');
    return ((await times) as [ReplyTimes])[0];
  } finally {
    await worker.terminate();
  }
}

if (!isMainThread && parentPort !== null) {
  const port = parentPort;
  const session = await SoapSession.open(workerData as Subject['address']);
  const times: number[] = [];
  let ended = false;
  port.once('message', () => {
    ended = true;
  });
  for (let warm = 0; warm < 20; warm += 1) await session.call(currentTime);
  port.postMessage('ready');
  while (!ended) {
    times.push((await session.call(currentTime)).lastByte);
    await sleep(2);
  }
  session.close();
  port.postMessage({ p99: percentile(times, 0.99), longest: Math.max(...times) } satisfies ReplyTimes);
}
