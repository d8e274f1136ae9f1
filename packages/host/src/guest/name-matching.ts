import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { guestFaults } from './guest-faults.ts';

/** Milliseconds that a client's pattern may take for a folder's names. */
const limit = 2_000;
const maxPattern = 1_000;

const work = `
const { parentPort, workerData } = require('node:worker_threads');
const pattern = new RegExp(workerData.pattern, 'u');
parentPort.postMessage(workerData.names.filter((name) => pattern.test(name)));
`;

/**
 * Names that a regular expression matches. It is a client's, and may take for ever: it runs apart, and not for long.
 * Throws InvalidArgument.
 */
export async function matchingNames(names: readonly string[], pattern: string): Promise<readonly string[]> {
  if (pattern.length > maxPattern) throw guestFaults.argument('matchPattern', 'The pattern is too long.');
  try {
    new RegExp(pattern, 'u');
  } catch {
    throw guestFaults.argument('matchPattern', 'The pattern is no regular expression.');
  }
  const worker = new Worker(work, {
    eval: true,
    workerData: { pattern, names },
    resourceLimits: { maxOldGenerationSizeMb: 64 },
  });
  const signal = AbortSignal.timeout(limit);
  try {
    const [found] = (await once(worker, 'message', { signal })) as [readonly string[]];
    return found;
  } catch {
    throw guestFaults.argument('matchPattern', 'The pattern takes too long.');
  } finally {
    await worker.terminate();
  }
}
