import { setTimeout as sleep } from 'node:timers/promises';

/** How often in a row nothing must be under way, and the milliseconds between two looks. */
const looks = 5;
const between = 3;

/**
 * Resolves once nothing is being done to files in this process any more. A daemon that died in a test begins nothing new,
 * but what it had asked of the system comes to its end: on a busy machine that takes a while.
 */
export async function filesAtRest(): Promise<void> {
  for (let calm = 0; calm < looks; ) {
    await sleep(between);
    const busy = process.getActiveResourcesInfo().some((name) => name.startsWith('FSReq') || name === 'CloseReq');
    calm = busy ? 0 : calm + 1;
  }
}
