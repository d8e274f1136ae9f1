import { fault } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import { type ComputeDocument, type HostDocument, isPool, type PoolDocument } from '../inventory/entity-document.ts';
import type { InventoryEdit } from '../inventory/inventory.ts';
import { requireFreeName } from '../inventory/name-scope.ts';
import { placedIn, poolAt } from '../pools/pool-tree.ts';
import { standalone } from './host-joining.ts';

/**
 * Puts a host and its machines into a cluster. One that was alone brings its pools below `pool`; without, they are gone
 * and all its machines are in the cluster's root pool. Throws InvalidState, InvalidArgument.
 */
export function moveHostIntoCluster(
  core: CenterCore,
  edit: InventoryEdit,
  host: HostDocument,
  cluster: ComputeDocument,
  pool?: PoolDocument,
): void {
  const before = computeAbove(core, host);
  if (before.value === cluster.value) return;
  checkMovable(core, host, before);
  requireSameDatacenter(core, before.value, cluster.value);
  edit.put({ ...host, parent: cluster.value });
  if (before.type === 'ComputeResource' && pool !== undefined) {
    adoptPools(core, edit, host, before, cluster, pool);
    removeCompute(edit, before);
    return;
  }
  // Its pools go first: what was in them may have their names.
  if (before.type === 'ComputeResource') removeCompute(edit, before);
  moveMachines(core, edit, host, pool?.value ?? cluster.pool);
}

/** Takes a host out of its cluster, to stand alone in a folder of hosts. Throws InvalidState, DuplicateName. */
export function moveHostIntoFolder(core: CenterCore, edit: InventoryEdit, host: HostDocument, folder: string): void {
  const before = computeAbove(core, host);
  checkMovable(core, host, before);
  requireSameDatacenter(core, before.value, folder);
  const parent = standalone(edit, host.name, folder);
  edit.put({ ...host, parent });
  const compute = edit.find(parent);
  if (compute?.type === 'ComputeResource') moveMachines(core, edit, host, compute.pool);
  if (before.type === 'ComputeResource') removeCompute(edit, before);
}

/** Throws ManagedObjectNotFound. */
export function clusterOf(core: CenterCore, ref: { readonly value: string }): ComputeDocument {
  const document = core.inventory.find(ref.value);
  if (document?.type === 'ClusterComputeResource') return document;
  const obj = { _typeName: 'ManagedObjectReference', type: 'ClusterComputeResource', value: ref.value } as const;
  throw fault('ManagedObjectNotFound', { obj }, `There is no cluster ${ref.value} here.`);
}

/** Throws InvalidArgument unless the pool is one of the cluster's. */
export function poolOfCluster(core: CenterCore, value: string, cluster: string): PoolDocument {
  const pool = core.inventory.find(value);
  if (isPool(pool) && pool.owner === cluster) return pool;
  throw fault('InvalidArgument', { invalidProperty: 'resourcePool' }, 'The pool is none of the cluster.');
}

function computeAbove(core: CenterCore, host: HostDocument): ComputeDocument {
  const compute = core.inventory.above(host.value, ['ComputeResource', 'ClusterComputeResource']);
  if (compute === undefined) throw new Error(`${host.value} is in no compute resource`);
  return compute;
}

/** One that leaves a cluster has nothing running. */
function checkMovable(core: CenterCore, host: HostDocument, before: ComputeDocument): void {
  if (before.type === 'ClusterComputeResource' && !isInMaintenance(core, host))
    throw fault('InvalidState', {}, `Enter maintenance mode on '${host.name}' first: it is part of a cluster.`);
}

export function isInMaintenance(core: CenterCore, host: HostDocument): boolean {
  return core.registry.read({ type: 'HostSystem', value: host.value }, 'runtime')?.inMaintenanceMode === true;
}

function requireSameDatacenter(core: CenterCore, a: string, b: string): void {
  const { inventory } = core;
  if (inventory.above(a, ['Datacenter'])?.value === inventory.above(b, ['Datacenter'])?.value) return;
  throw fault('InvalidArgument', { invalidProperty: 'host' }, 'A host stays in its datacenter.');
}

function moveMachines(core: CenterCore, edit: InventoryEdit, host: HostDocument, pool: string): void {
  const target = poolAt(edit, pool);
  // One that leaves a vApp comes into a folder.
  for (const machine of core.inventory.machinesOnHost(host.value)) {
    const placed = placedIn(core.inventory, machine, target);
    requireFreeName(edit, placed);
    edit.put(placed);
  }
}

/** The pools of a host that was alone come below a pool of the cluster, with their machines. */
function adoptPools(
  core: CenterCore,
  edit: InventoryEdit,
  host: HostDocument,
  before: ComputeDocument,
  cluster: ComputeDocument,
  pool: PoolDocument,
): void {
  const own = (parent: string) => {
    for (const child of edit.children(parent)) {
      if (!isPool(child)) continue;
      own(child.value);
      const adopted = { ...child, owner: cluster.value };
      if (child.parent === before.pool) requireFreeName(edit, { ...adopted, parent: pool.value });
      edit.put({ ...adopted, ...(child.parent === before.pool ? { parent: pool.value } : {}) });
    }
  };
  own(before.pool);
  for (const machine of core.inventory.machinesOnHost(host.value)) {
    if (machine.pool === undefined || machine.pool === before.pool) edit.put({ ...machine, pool: pool.value });
  }
}

/** A compute resource that its one host left, with the pools that are left in it. */
export function removeCompute(edit: InventoryEdit, compute: ComputeDocument): void {
  removePools(edit, compute.pool);
  edit.remove(compute.value);
}

function removePools(edit: InventoryEdit, value: string): void {
  for (const child of edit.children(value)) if (isPool(child)) removePools(edit, child.value);
  edit.remove(value);
}
