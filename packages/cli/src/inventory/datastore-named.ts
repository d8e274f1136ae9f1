import type { ManagedObjectReference } from '@hypostyle/vim';
import type { ServerSession } from '../connection/server-session.ts';
import { loadInventory } from './load-inventory.ts';

/** The datastore of that name, path or id. Throws `not-found`, and `usage` for a name that two have. */
export async function datastoreNamed(
  session: ServerSession,
  name: string,
): Promise<ManagedObjectReference<'Datastore'>> {
  return (await loadInventory(session)).find('Datastore', name).ref as ManagedObjectReference<'Datastore'>;
}
