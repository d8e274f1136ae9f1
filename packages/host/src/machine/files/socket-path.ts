import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { HostCore } from '../../host-core.ts';

/** A name of a socket in the run directory; paths of sockets are short. */
export function freeSocketPath({ runDirectory }: Pick<HostCore, 'runDirectory'>): string {
  return join(runDirectory, `x-${randomBytes(4).toString('hex')}`);
}
