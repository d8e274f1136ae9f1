import { requireForCreate, requireForImport, requireForRegister } from '@hypostyle/services';
import { type Call, fault, type ManagedObjectReference, type MethodTable } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import { FarMoves } from '../far/far-relocate.ts';
import type { Forwarding } from '../forwarding/forwarding.ts';
import { privilegeScope } from '../inventory/privilege-scope.ts';
import type { PoolOperations } from '../pools/pool-operations.ts';
import { type CloneWork, defineCloneWork, defineInstantCloneWork, type InstantCloneWork } from './clone-work.ts';
import { type CreateWork, defineCreateWork } from './create-work.ts';
import { defineImports, type Imports } from './imports.ts';
import { poolOf } from './machine-place.ts';
import { defineMigrateWork, type MigrateWork } from './migrate-work.ts';
import { PendingNames } from './pending-names.ts';
import { defineRelocateWork, type RelocateWork } from './relocate-work.ts';
import { defineMachineRename, type MachineRename } from './rename-work.ts';

/** Work on machines that the center has a part in, beside what it passes on. Defined once a center. */
export interface MachineWork {
  readonly core: CenterCore;
  readonly forwarding: Forwarding;
  readonly creating: CreateWork;
  readonly cloning: CloneWork;
  readonly instantCloning: InstantCloneWork;
  readonly relocating: RelocateWork;
  readonly migrating: MigrateWork;
  readonly importing: Imports;
  readonly rename: MachineRename;
}

export function defineMachineWork(core: CenterCore, forwarding: Forwarding, pools: PoolOperations): MachineWork {
  const moves = new FarMoves(core, forwarding);
  return {
    core,
    forwarding,
    creating: defineCreateWork(core, forwarding),
    cloning: defineCloneWork(core, forwarding),
    instantCloning: defineInstantCloneWork(core, forwarding),
    relocating: defineRelocateWork(core, forwarding, moves),
    migrating: defineMigrateWork(core, forwarding, moves),
    importing: defineImports(core, forwarding, pools),
    rename: defineMachineRename(core, forwarding, new PendingNames()),
  };
}

/** Methods of a folder that make machines in it. */
export function machineMethodsOfFolder({ core, creating }: MachineWork): MethodTable<'Folder'> {
  const scope = privilegeScope(core);
  return {
    CreateVM_Task: (call, { config, pool, host }) => {
      const folder = call.self.ref;
      requireForCreate(scope, call, { folder, pool }, config);
      return creating.create(call, { folder, pool, host }, config);
    },
    RegisterVM_Task: (call, { path, name, asTemplate, pool, host }) => {
      const folder = call.self.ref;
      if (asTemplate) {
        if (pool !== undefined)
          throw fault('InvalidArgument', { invalidProperty: 'pool' }, 'A template is in no resource pool.');
        requireForRegister(scope, call, { folder, pool: undefined }, path);
        return creating.register(call, { folder, pool: rootPoolOf(core, host), host }, { path, name, asTemplate });
      }
      if (pool === undefined)
        throw fault('InvalidArgument', { invalidProperty: 'pool' }, 'A virtual machine needs a resource pool.');
      requireForRegister(scope, call, { folder, pool }, path);
      return creating.register(call, { folder, pool, host }, { path, name, asTemplate });
    },
  };
}

/** Methods of a resource pool, or a vApp, that make machines in it. */
export function machineMethodsOfPool({ core, creating, importing }: MachineWork): MethodTable<'ResourcePool'> {
  const scope = privilegeScope(core);
  return {
    CreateChildVM_Task: (call, { config, host }) => {
      const pool = call.self.ref;
      requireForCreate(scope, call, { folder: near(core, call), pool }, config);
      return creating.create(call, { folder: undefined, pool, host }, config);
    },
    RegisterChildVM_Task: (call, { path, name, host }) => {
      const pool = call.self.ref;
      requireForRegister(scope, call, { folder: near(core, call), pool }, path);
      return creating.register(call, { folder: undefined, pool, host }, { path, name, asTemplate: false });
    },
    ImportVApp: (call, { spec, folder, host }) => {
      const pool = call.self.ref;
      requireForImport(scope, call, { folder: folder ?? near(core, call), pool }, spec);
      return importing.begin(call, { folder, pool, host }, spec);
    },
  };
}

/** Where rights on what comes into a pool without a folder are held: the folder of its datacenter, for a vApp itself. */
function near(core: CenterCore, { self }: Call): ManagedObjectReference {
  const pool = poolOf(core, self.ref);
  const datacenter = core.inventory.above(pool.owner, ['Datacenter']);
  if (pool.type === 'VirtualApp' || datacenter === undefined) return self.ref;
  return { _typeName: 'ManagedObjectReference', type: 'Folder', value: datacenter.vmFolder };
}

/** The pool that a host's machines are in unless told. Throws InvalidArgument without a host. */
function rootPoolOf(core: CenterCore, host: ManagedObjectReference | undefined): ManagedObjectReference {
  const compute = core.inventory.above(host?.value ?? '', ['ComputeResource', 'ClusterComputeResource']);
  if (host === undefined || compute === undefined)
    throw fault('InvalidArgument', { invalidProperty: 'host' }, 'A template needs a host that it is on.');
  return { _typeName: 'ManagedObjectReference', type: 'ResourcePool', value: compute.pool };
}
