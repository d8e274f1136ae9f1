import type { ManagedObjectReference } from '@hypostyle/vim';
import type { ServerSession } from '../connection/server-session.ts';
import { CliError } from '../errors.ts';
import type { MachinePlace } from './machine-place.ts';

const numeric = new Intl.Collator('en', { numeric: true });

/** The datastore that a person names, or the one with most room of the host where a machine goes. */
export async function chooseDatastore(
  session: ServerSession,
  { inventory, datacenter, datastores }: MachinePlace,
  name: string | undefined,
): Promise<ManagedObjectReference<'Datastore'>> {
  if (name !== undefined) return inventory.find('Datastore', name, { within: datacenter }).ref;
  const all = [...datastores].map((value) => ({ type: 'Datastore' as const, value }));
  const summaries = all.length === 0 ? [] : await session.client.retrieve(all, ['summary']);
  const usable = summaries.filter(({ values }) => values.summary?.accessible);
  // Two folders of one file system have the same room, give or take what is written meanwhile.
  const roomOf = (candidate: (typeof usable)[number]) =>
    Math.floor(Number(candidate.values.summary?.freeSpace) / 2 ** 30);
  const [roomiest] = usable.sort((a, b) => roomOf(b) - roomOf(a) || numeric.compare(a.ref.value, b.ref.value));
  if (roomiest === undefined) {
    throw new CliError('failed', 'The server has no datastore that can be used.', {
      next: "Add one with 'hypo datastore add'.",
    });
  }
  return roomiest.ref;
}
