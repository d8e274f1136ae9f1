import type { ManagedObjectReference } from '@hypostyle/vim';
import type { ServerSession } from '../connection/server-session.ts';
import { CliError } from '../errors.ts';
import { watchObject } from './watch.ts';

/** The first address that a machine's guest tells. `timeout` is in seconds. Throws `failed`. */
export async function waitForAddress(
  session: ServerSession,
  machine: ManagedObjectReference<'VirtualMachine'>,
  name: string,
  timeout: number,
  signal: AbortSignal,
): Promise<string> {
  const patience = AbortSignal.timeout(timeout * 1000);
  const paths = ['guest.ipAddress', 'runtime.powerState'] as const;
  try {
    for await (const values of watchObject(session, machine, paths, AbortSignal.any([signal, patience]))) {
      const address = values['guest.ipAddress'];
      if (typeof address === 'string' && address !== '') return address;
      if (values['runtime.powerState'] === 'poweredOff') {
        throw new CliError('failed', `${name} powered itself off before it had an address.`, {
          next: `See 'hypo logs ${name}'.`,
        });
      }
    }
  } catch (error) {
    if (!patience.aborted) throw error;
  }
  throw new CliError('failed', `${name} told no address within ${timeout} seconds.`, {
    next: `Its guest may lack an agent; look at it with 'hypo console ${name}'.`,
  });
}
