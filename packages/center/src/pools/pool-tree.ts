import { fault } from '@hypostyle/vim';
import {
  type DocumentOf,
  type EntityDocument,
  isCompute,
  isPool,
  type MachineDocument,
  type PoolDocument,
} from '../inventory/entity-document.ts';
import type { InventoryEdit } from '../inventory/inventory.ts';
import { requireFreeName } from '../inventory/name-scope.ts';

/** What an edit and the inventory have in common, as far as pools go. */
export type PoolTree = Pick<InventoryEdit, 'find' | 'children' | 'machinesInPool'>;

/** The pool or vApp. Throws ManagedObjectNotFound. */
export function poolAt(tree: Pick<PoolTree, 'find'>, value: string): PoolDocument {
  const document = tree.find(value);
  if (isPool(document)) return document;
  throw fault('ManagedObjectNotFound', { obj: { type: 'ResourcePool', value } }, `There is no pool ${value} here.`);
}

export function poolsIn(tree: Pick<PoolTree, 'children'>, value: string): PoolDocument[] {
  return tree.children(value).filter((child): child is PoolDocument => isPool(child));
}

/** True for the pool that is all of its compute resource. */
export function isRoot(pool: PoolDocument): boolean {
  return pool.parent === pool.owner;
}

/** The pool itself and every pool above it, nearest first. */
export function poolsAbove(tree: Pick<PoolTree, 'find'>, value: string): PoolDocument[] {
  const found: PoolDocument[] = [];
  for (let at = tree.find(value); isPool(at); at = at.parent === undefined ? undefined : tree.find(at.parent))
    found.push(at);
  return found;
}

/** The machine in a pool; one that is in a vApp is in no folder. */
export function placedIn(tree: Pick<PoolTree, 'find'>, machine: MachineDocument, pool: PoolDocument): MachineDocument {
  const { parent, ...rest } = machine;
  if (pool.type === 'VirtualApp') return { ...rest, pool: pool.value };
  return { ...rest, pool: pool.value, parent: parent ?? folderOutside(tree, machine) };
}

/** Where a machine comes to that leaves its vApp: beside it. */
function folderOutside(tree: Pick<PoolTree, 'find'>, machine: MachineDocument): string {
  for (const pool of poolsAbove(tree, machine.pool ?? '')) if (pool.vApp?.folder !== undefined) return pool.vApp.folder;
  for (let at: EntityDocument | undefined = tree.find(machine.host); at !== undefined; ) {
    if (at.type === 'Datacenter') return at.vmFolder;
    at = at.parent === undefined ? undefined : tree.find(at.parent);
  }
  throw new Error(`${machine.value} is in no datacenter`);
}

/** A pool in another; a vApp within a vApp is in no folder, and one that leaves it comes into the folder beside. */
function poolIn(tree: Pick<PoolTree, 'find'>, pool: PoolDocument, target: PoolDocument): PoolDocument {
  const moved = { ...pool, parent: target.value };
  if (pool.vApp === undefined) return moved;
  const { folder, ...vApp } = pool.vApp;
  if (target.type === 'VirtualApp') return { ...moved, vApp };
  const outer = poolsAbove(tree, pool.parent ?? '').find((above) => above.vApp?.folder !== undefined)?.vApp?.folder;
  const outside = folder ?? outer;
  return { ...moved, vApp: outside === undefined ? vApp : { ...vApp, folder: outside } };
}

/** A pool goes: its pools, vApps and machines go to the one above. Taken out of the inventory. Throws DuplicateName. */
export function dissolvePool(edit: InventoryEdit, pool: PoolDocument): void {
  const parent = poolAt(edit, pool.parent ?? '');
  const lifted = [
    ...poolsIn(edit, pool.value).map((child) => poolIn(edit, child, parent)),
    ...edit.machinesInPool(pool.value).map((machine) => placedIn(edit, machine, parent)),
  ];
  // It goes first: what was in it may have its name.
  edit.remove(pool.value);
  for (const document of lifted) put(edit, document);
}

/**
 * Moves a pool, a vApp or a machine into a pool of the same compute resource. Throws InvalidArgument for what cannot be
 * there, DuplicateName.
 */
export function moveIntoPool(edit: InventoryEdit, target: PoolDocument, entity: EntityDocument): void {
  if (entity.type === 'VirtualMachine') {
    checkOwner(target, computeOf(edit, entity), entity);
    if (entity.pool !== target.value) put(edit, placedIn(edit, entity, target));
    return;
  }
  if (!isPool(entity) || isRoot(entity)) throw invalidList(`'${entity.name}' is not moved into a resource pool.`);
  checkOwner(target, entity.owner, entity);
  if (poolsAbove(edit, target.value).some(({ value }) => value === entity.value))
    throw invalidList(`'${target.name}' is '${entity.name}' itself, or lies below it.`);
  if (entity.parent !== target.value) put(edit, poolIn(edit, entity, target));
}

function put(edit: InventoryEdit, document: EntityDocument): void {
  requireFreeName(edit, document);
  edit.put(document);
}

function computeOf(edit: Pick<PoolTree, 'find'>, machine: DocumentOf<'VirtualMachine'>): string | undefined {
  const parent = edit.find(machine.host)?.parent;
  return isCompute(parent === undefined ? undefined : edit.find(parent)) ? parent : undefined;
}

function checkOwner(target: PoolDocument, owner: string | undefined, entity: EntityDocument): void {
  if (target.owner !== owner)
    throw invalidList(`'${entity.name}' is not part of the compute resource that '${target.name}' divides.`);
}

function invalidList(message: string) {
  return fault('InvalidArgument', { invalidProperty: 'list' }, message);
}
