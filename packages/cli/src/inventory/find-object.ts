import type { ServerSession } from '../connection/server-session.ts';
import type { InventoryKind, InventoryObject } from './inventory.ts';
import { loadInventory } from './load-inventory.ts';

/** The objects of these names, paths or ids, in that order. Throws `not-found` for the first that is not there. */
export async function findObjects<T extends InventoryKind>(
  session: ServerSession,
  kind: T,
  names: readonly string[],
): Promise<InventoryObject<T>[]> {
  const inventory = await loadInventory(session);
  return names.map((name) => inventory.find(kind, name));
}

export async function findMachine(session: ServerSession, name: string): Promise<InventoryObject<'VirtualMachine'>> {
  return (await loadInventory(session)).find('VirtualMachine', name);
}
