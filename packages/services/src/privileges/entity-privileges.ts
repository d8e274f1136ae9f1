import { fault, type ManagedObjectReference } from '@hypostyle/vim';
import { type Caller, type PrivilegeScope, requirePrivilege } from './privilege-scope.ts';

type EntityTable = readonly (readonly [type: string, privilege: string])[];

/** ManagedEntity.Destroy_Task: held on the entity and on its parent. Narrower types come first. */
const destroying: EntityTable = [
  ['VirtualMachine', 'VirtualMachine.Inventory.Delete'],
  ['VirtualApp', 'VApp.Delete'],
  ['ResourcePool', 'Resource.DeletePool'],
  ['StoragePod', 'Folder.Delete'],
  ['Folder', 'Folder.Delete'],
  ['Datacenter', 'Datacenter.Delete'],
  ['ClusterComputeResource', 'Host.Inventory.DeleteCluster'],
  ['ComputeResource', 'Host.Inventory.RemoveHostFromCluster'],
  ['HostSystem', 'Host.Inventory.RemoveHostFromCluster'],
  ['Datastore', 'Datastore.Delete'],
  ['DistributedVirtualPortgroup', 'DVPortgroup.Delete'],
  ['Network', 'Network.Delete'],
  ['DistributedVirtualSwitch', 'DVSwitch.Delete'],
];

/** ManagedEntity.Rename_Task: held on the entity. A HostSystem is not renamed. */
const renaming: EntityTable = [
  ['VirtualMachine', 'VirtualMachine.Config.Rename'],
  ['VirtualApp', 'VApp.Rename'],
  ['ResourcePool', 'Resource.RenamePool'],
  ['Folder', 'Folder.Rename'],
  ['Datacenter', 'Datacenter.Rename'],
  ['ComputeResource', 'Host.Inventory.RenameCluster'],
  ['Datastore', 'Datastore.Rename'],
  ['DistributedVirtualPortgroup', 'DVPortgroup.Modify'],
  ['Network', 'Network.Config'],
  ['DistributedVirtualSwitch', 'DVSwitch.Modify'],
];

/** Folder.MoveIntoFolder_Task: held on the entity, on what it leaves and on what it comes into. */
const moving: EntityTable = [
  ['VirtualMachine', 'VirtualMachine.Inventory.Move'],
  ['VirtualApp', 'VApp.Move'],
  ['Folder', 'Folder.Move'],
  ['Datacenter', 'Datacenter.Move'],
  ['ComputeResource', 'Host.Inventory.MoveCluster'],
  ['Datastore', 'Datastore.Move'],
  ['Network', 'Network.Move'],
  ['DistributedVirtualSwitch', 'DVSwitch.Move'],
];

/** Checks what Destroy_Task needs. Throws NoPermission, NotSupported for what is not destroyed. */
export function requireForDestroy(scope: PrivilegeScope, caller: Caller, entity: ManagedObjectReference): void {
  const privilege = privilegeOf(scope, destroying, entity);
  requirePrivilege(scope, caller, entity, privilege);
  const parent = parentOf(scope, entity);
  if (parent !== undefined) requirePrivilege(scope, caller, parent, privilege);
}

/** Checks what Rename_Task needs. Throws NoPermission, NotSupported for what is not renamed. */
export function requireForRename(scope: PrivilegeScope, caller: Caller, entity: ManagedObjectReference): void {
  requirePrivilege(scope, caller, entity, privilegeOf(scope, renaming, entity));
}

/** Checks what Folder.MoveIntoFolder_Task needs. Throws NoPermission, NotSupported for what is not moved. */
export function requireForMoveIntoFolder(
  scope: PrivilegeScope,
  caller: Caller,
  {
    folder,
    entities,
  }: { readonly folder: ManagedObjectReference; readonly entities: readonly ManagedObjectReference[] },
): void {
  for (const entity of entities) {
    const parent = parentOf(scope, entity);
    if (scope.registry.schema.isSubtype(entity.type, 'HostSystem')) {
      requirePrivilege(scope, caller, folder, 'Host.Inventory.AddStandaloneHost');
      requirePrivilege(scope, caller, entity, 'Host.Inventory.MoveHost');
      if (parent !== undefined) requirePrivilege(scope, caller, parent, 'Host.Inventory.EditCluster');
      continue;
    }
    const privilege = privilegeOf(scope, moving, entity);
    requirePrivilege(scope, caller, entity, privilege);
    requirePrivilege(scope, caller, folder, privilege);
    if (parent !== undefined) requirePrivilege(scope, caller, parent, privilege);
  }
}

/** What a pool or a vApp asks for when something is moved into it (ResourcePool.MoveIntoResourcePool). */
const intoPool: Readonly<Record<'pool' | 'vApp', EntityTable>> = {
  pool: [
    ['VirtualMachine', 'Resource.AssignVMToPool'],
    ['VirtualApp', 'Resource.AssignVAppToPool'],
    ['ResourcePool', 'Resource.MovePool'],
  ],
  vApp: [
    ['VirtualMachine', 'VApp.AssignVM'],
    ['VirtualApp', 'VApp.AssignVApp'],
    ['ResourcePool', 'VApp.AssignResourcePool'],
  ],
};

/** Checks what ResourcePool.MoveIntoResourcePool needs. Throws NoPermission, NotSupported for what is in no pool. */
export function requireForMoveIntoPool(
  scope: PrivilegeScope,
  caller: Caller,
  { pool, entities }: { readonly pool: ManagedObjectReference; readonly entities: readonly ManagedObjectReference[] },
): void {
  const into = scope.registry.schema.isSubtype(pool.type, 'VirtualApp') ? 'vApp' : 'pool';
  for (const entity of entities) {
    requirePrivilege(scope, caller, pool, privilegeOf(scope, intoPool[into], entity));
    if (!scope.registry.schema.isSubtype(entity.type, 'ResourcePool')) continue;
    const own = scope.registry.schema.isSubtype(entity.type, 'VirtualApp') ? 'VApp.Move' : 'Resource.MovePool';
    requirePrivilege(scope, caller, entity, own);
    const parent = parentOf(scope, entity);
    if (parent !== undefined) requirePrivilege(scope, caller, parent, own);
  }
}

/** Checks that the caller may put a machine into a pool, which may be a vApp. */
export function requireForPool(scope: PrivilegeScope, caller: Caller, pool: ManagedObjectReference): void {
  const vApp = scope.registry.schema.isSubtype(pool.type, 'VirtualApp');
  requirePrivilege(scope, caller, pool, vApp ? 'VApp.AssignVM' : 'Resource.AssignVMToPool');
}

function privilegeOf({ registry }: PrivilegeScope, table: EntityTable, entity: ManagedObjectReference): string {
  // A client may name a base type; the object knows what it is.
  const { type } = registry.get(entity)?.ref ?? entity;
  const found = table.find(([each]) => registry.schema.isSubtype(type, each));
  if (found === undefined) throw fault('NotSupported', {}, `A ${type} does not allow this.`);
  return found[1];
}

function parentOf({ registry }: PrivilegeScope, entity: ManagedObjectReference): ManagedObjectReference | undefined {
  const object = registry.get(entity);
  return (object?.value('parent') ?? object?.value('parentVApp')) as ManagedObjectReference | undefined;
}
