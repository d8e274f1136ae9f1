import { createHash } from 'node:crypto';
import { read } from 'node:fs';
import { promisify } from 'node:util';
import { parentPort } from 'node:worker_threads';
import type { DigestAnswer, DigestJob } from './digest-pool.ts';

const readPart = promisify(read);
const partLength = 1024 * 1024;
/** Bytes between two reports of progress. */
const reportLength = 16 * partLength;

/** Digests a part of an open file, reading one piece while the one before is digested. */
async function digest({ id, descriptor, offset, length, algorithm }: DigestJob, tell: (answer: DigestAnswer) => void) {
  const hash = createHash(algorithm.toLowerCase());
  const buffers = [Buffer.allocUnsafeSlow(partLength), Buffer.allocUnsafeSlow(partLength)];
  const readAt = (at: number, turn: number) =>
    readPart(descriptor, buffers[turn]!, 0, Math.min(partLength, length - at), offset + at);
  let reported = 0;
  let reading = length === 0 ? undefined : readAt(0, 0);
  for (let at = 0, turn = 0; reading !== undefined; turn = 1 - turn) {
    const { bytesRead } = await reading;
    if (bytesRead === 0) throw new Error('the file became shorter while it was read');
    const part = buffers[turn]!.subarray(0, bytesRead);
    at += bytesRead;
    reading = at < length ? readAt(at, 1 - turn) : undefined;
    hash.update(part);
    if (at - reported >= reportLength || at === length) {
      tell({ id, doneBytes: at - reported });
      reported = at;
    }
  }
  tell({ id, digest: hash.digest('hex') });
}

const port = parentPort!;
port.on('message', (job: DigestJob) => {
  const tell = (answer: DigestAnswer) => port.postMessage(answer);
  digest(job, tell).catch((error: unknown) => {
    tell({ id: job.id, problem: error instanceof Error ? error.message : String(error) });
  });
});
