import type { ServerSession } from '../connection/server-session.ts';
import { CliError } from '../errors.ts';
import type { Inventory, InventoryKind, InventoryObject } from './inventory.ts';
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

/** The only datacenter, or the one that is named. */
export function findDatacenter(inventory: Inventory, name: string | undefined): InventoryObject<'Datacenter'> {
  if (name !== undefined) return inventory.find('Datacenter', name);
  const all = inventory.all('Datacenter');
  const [only] = all;
  if (only === undefined) {
    throw new CliError('failed', 'The server has no datacenter.', {
      next: "Make one with 'hypo datacenter create NAME'.",
    });
  }
  if (all.length > 1) {
    throw new CliError('usage', `The server has ${all.length} datacenters.`, {
      next: `Say which: ${all.map(({ path }) => path).join(', ')}.`,
    });
  }
  return only;
}

/** Kinds in the order in which people mean them. */
const anyKind: readonly InventoryKind[] = [
  'VirtualMachine',
  'HostSystem',
  'Datastore',
  'ClusterComputeResource',
  'Datacenter',
  'Network',
  'ResourcePool',
  'Folder',
  'ComputeResource',
];

/** Of the first kind that has something of that name. Throws `not-found`. */
export function findAnything(
  inventory: Inventory,
  name: string,
  kinds: readonly InventoryKind[] = anyKind,
): InventoryObject {
  if (name === '/') return inventory.root;
  let missing: unknown;
  for (const kind of kinds) {
    try {
      return inventory.find(kind, name);
    } catch (error) {
      if (!(error instanceof CliError) || error.kind !== 'not-found') throw error;
      missing ??= error;
    }
  }
  // Where anything would do, most people look for the first kind.
  if (kinds === anyKind) throw missing;
  return inventory.find(kinds, name);
}
