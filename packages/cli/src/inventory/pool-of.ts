import type { ManagedObjectReference } from '@hypostyle/vim';
import { CliError } from '../errors.ts';
import type { Inventory, InventoryObject } from './inventory.ts';

/** A pool itself, or the root pool of a cluster or of a host of its own. */
export function poolOf(inventory: Inventory, place: InventoryObject): ManagedObjectReference<'ResourcePool'> {
  const compute = place.ref.type === 'HostSystem' ? (inventory.parentOf(place) ?? place) : place;
  const pool = ['ResourcePool', 'VirtualApp'].includes(compute.ref.type)
    ? compute
    : inventory.childrenOf(compute).find(({ ref }) => ref.type === 'ResourcePool');
  if (pool === undefined) {
    throw new CliError('failed', `${place.path} shows no resource pool.`, {
      next: 'The account may lack rights; sign in as somebody else with --username.',
    });
  }
  return pool.ref as ManagedObjectReference<'ResourcePool'>;
}
