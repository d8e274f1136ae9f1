import { type Draft, fault } from '@hypostyle/vim';
import { type DocumentOf, type EntityDocument, isCompute, isPool, referenceOf } from '../inventory/entity-document.ts';
import type { InventoryEdit } from '../inventory/inventory.ts';
import { poolArgument } from '../pools/pool-events.ts';
import { dissolvePool } from '../pools/pool-tree.ts';
import type { PostEvent } from './acting.ts';

/** What an edit and the inventory have in common: the tree to walk. */
export type Tree = Pick<InventoryEdit, 'find' | 'children' | 'vAppsIn' | 'machinesInPool'>;

/** Everything that goes with an entity, the entity first: of a vApp also the machines of the pools in it. */
export function subtree(tree: Tree, value: string): EntityDocument[] {
  const found = new Map<string, EntityDocument>();
  const visit = (at: EntityDocument | undefined, inVApp: boolean) => {
    if (at === undefined || found.has(at.value)) return;
    found.set(at.value, at);
    const within = inVApp || at.type === 'VirtualApp';
    for (const child of tree.children(at.value)) visit(child, within);
    for (const vApp of tree.vAppsIn(at.value)) visit(vApp, true);
    if (within) for (const machine of tree.machinesInPool(at.value)) visit(machine, true);
  };
  visit(tree.find(value), false);
  return [...found.values()];
}

/** Machines that go with an entity that is destroyed, or unregistered. */
export function machinesIn(tree: Tree, value: string): DocumentOf<'VirtualMachine'>[] {
  return subtree(tree, value).filter((one) => one.type === 'VirtualMachine');
}

/**
 * ManagedEntity.Destroy_Task of what the center alone has, once no machine is left in it. Throws NotSupported for what
 * is always there, ResourceInUse for what holds hosts, datastores or machines.
 */
export function destroy(
  edit: InventoryEdit,
  { value, post }: { readonly value: string; readonly post: PostEvent },
): void {
  const document = edit.find(value);
  if (document === undefined) return;
  checkDestroyable(edit, document);
  if (document.type === 'ResourcePool') {
    dissolvePool(edit, document);
    edit.show((draft) => tellDestroyed(draft, document, post));
    return;
  }
  const going = subtree(edit, value);
  for (const one of going) {
    if (['HostSystem', 'VirtualMachine', 'Datastore', 'Network'].includes(one.type)) throw inUse(document, one);
  }
  // Whatever is deepest goes first.
  for (const one of going.toReversed()) {
    edit.remove(one.value);
    edit.show((draft) => tellDestroyed(draft, one, post));
  }
}

function tellDestroyed(draft: Draft, one: EntityDocument, post: PostEvent): void {
  const entity = referenceOf(one);
  if (one.type === 'ClusterComputeResource') post(draft, { type: 'ClusterDestroyedEvent', entity });
  else if (isPool(one))
    post(draft, { type: 'ResourcePoolDestroyedEvent', entity, members: { resourcePool: poolArgument(one) } });
}

/** Throws NotSupported for what is always there, and ResourceInUse while hosts are in it. */
export function checkDestroyable(tree: Tree, document: EntityDocument): void {
  const root = document.type === 'ResourcePool' && isCompute(tree.find(document.parent ?? ''));
  if ((document.type === 'Folder' && document.fixed === true) || root)
    throw fault('NotSupported', {}, `'${document.name}' cannot be destroyed.`);
  if (isPool(document)) return;
  for (const one of subtree(tree, document.value)) if (one.type === 'HostSystem') throw inUse(document, one);
}

function inUse(document: EntityDocument, by: EntityDocument) {
  return fault(
    'ResourceInUse',
    { type: by.type, name: by.name },
    `'${document.name}' is in use: remove the ${by.type} '${by.name}' first.`,
  );
}
