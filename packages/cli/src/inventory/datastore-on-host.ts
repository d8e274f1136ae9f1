import type { ManagedObjectReference } from '@hypostyle/vim';
import type { ServerSession } from '../connection/server-session.ts';
import { CliError } from '../errors.ts';

/**
 * The datastore that a machine's files come to on a host: undefined where that has the machine's own, else the one with
 * most free room. Throws `failed` where it has none.
 */
export async function datastoreOnHost(
  { client }: ServerSession,
  machine: ManagedObjectReference<'VirtualMachine'>,
  host: ManagedObjectReference<'HostSystem'>,
): Promise<ManagedObjectReference<'Datastore'> | undefined> {
  const [[ofMachine], [ofHost]] = await Promise.all([
    client.retrieve(machine, ['datastore']),
    client.retrieve(host, ['datastore']),
  ]);
  const theirs = (ofHost?.values.datastore ?? []) as readonly ManagedObjectReference<'Datastore'>[];
  const own = (ofMachine?.values.datastore ?? []) as readonly ManagedObjectReference<'Datastore'>[];
  if (own.length > 0 && own.every(({ value }) => theirs.some((each) => each.value === value))) return undefined;
  const found = theirs.length === 0 ? [] : await client.retrieve(theirs, ['summary']);
  const [roomiest] = found
    .filter(({ values }) => values.summary?.accessible === true)
    .sort((a, b) => Number(b.values.summary?.freeSpace ?? 0) - Number(a.values.summary?.freeSpace ?? 0));
  if (roomiest !== undefined) return roomiest.ref as ManagedObjectReference<'Datastore'>;
  throw new CliError('failed', 'The host has no datastore that can be used.', { next: "See 'hypo datastore ls'." });
}
