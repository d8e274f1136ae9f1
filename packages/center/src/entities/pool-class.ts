import { requireForDestroy, requireForRename, requirePrivilege } from '@hypostyle/services';
import {
  type Call,
  data,
  type ManagedObject,
  type ManagedObjectClass,
  type ManagedObjectReference,
  type ResourceConfigSpec,
} from '@hypostyle/vim';
import { isShown, type PoolDocument, referenceOf } from '../inventory/entity-document.ts';
import { privilegeScope } from '../inventory/privilege-scope.ts';
import { type MachineWork, machineMethodsOfPool } from '../machines/machine-methods.ts';
import { changeMachineResources } from '../pools/machine-resources.ts';
import { resourceConfigOption } from '../pools/pool-allocation.ts';
import { poolAt, poolsIn } from '../pools/pool-tree.ts';
import { shownConfig } from '../vapps/vapp-entities.ts';
import { exportVApp } from '../vapps/vapp-export.ts';
import { entityClass } from './entity-class.ts';
import { childrenOf } from './entity-lists.ts';
import type { EntityParts } from './entity-parts.ts';

export function poolClass(parts: EntityParts, work: MachineWork): ManagedObjectClass<'ResourcePool'> {
  return entityClass(parts, 'ResourcePool', {
    derived: { ...derived(parts), summary: { from: [], compute: (self) => poolSummary(parts, self) } },
    methods: { ...parts.containers.entityMethods('ResourcePool'), ...poolMethods(parts, work) },
  });
}

export function vAppClass(parts: EntityParts, work: MachineWork): ManagedObjectClass<'VirtualApp'> {
  const { core, vApps, vAppPower: power, containers } = parts;
  const used = (self: ManagedObject, property: 'datastore' | 'network') => {
    const all = new Map<string, ManagedObjectReference>();
    const visit = (pool: PoolDocument) => {
      for (const machine of core.inventory.machinesInPool(pool.value)) {
        const refs = core.registry.get(referenceOf(machine))?.value(property) as ManagedObjectReference[] | undefined;
        for (const ref of refs ?? []) all.set(ref.value, ref);
      }
      for (const child of poolsIn(core.inventory, pool.value)) visit(child);
    };
    visit(documentOf(parts, self));
    return [...all.values()];
  };
  return entityClass(parts, 'VirtualApp', {
    derived: {
      ...derived(parts),
      summary: { from: [], compute: (self) => vAppSummary(parts, self) },
      vAppConfig: { from: [], compute: (self) => shownConfig(core.inventory, documentOf(parts, self)) },
      datastore: { from: [], compute: (self) => used(self, 'datastore') },
      network: { from: [], compute: (self) => used(self, 'network') },
    },
    methods: {
      ...containers.entityMethods('VirtualApp'),
      ...poolMethods(parts, work),
      UpdateVAppConfig: (call, { spec }) => vApps.update(call, spec),
      PowerOnVApp_Task: (call) => power.powerOn(call),
      PowerOffVApp_Task: (call, { force }) => power.powerOff(call, force),
      SuspendVApp_Task: (call) => power.suspend(call),
      ExportVApp: (call) => exportVApp(core, work.importing.leases, call),
      unregisterVApp_Task: (call) => containers.unregisterVApp(call),
    },
  });
}

function poolMethods(parts: EntityParts, work: MachineWork) {
  const { core, pools, vApps } = parts;
  const scope = privilegeScope(core);
  const edited = (call: Call, ref: ManagedObjectReference) =>
    requirePrivilege(scope, call, ref, ref.type === 'VirtualApp' ? 'VApp.ResourceConfig' : 'Resource.EditPool');
  return {
    CreateResourcePool: (call: Call, { name, spec }: { readonly name: string; readonly spec: ResourceConfigSpec }) =>
      pools.create(call, name, spec),
    CreateVApp: (call: Call, asked: Parameters<typeof vApps.create>[1]) => vApps.create(call, asked),
    UpdateConfig: async (
      call: Call,
      { name, config }: { readonly name?: string | undefined; readonly config?: ResourceConfigSpec | undefined },
    ) => {
      if (name !== undefined && name !== '') requireForRename(scope, call, call.self.ref);
      if (config !== undefined) edited(call, call.self.ref);
      await pools.update(call, { name, config });
    },
    UpdateChildResourceConfiguration: async (
      call: Call,
      { spec }: { readonly spec: readonly ResourceConfigSpec[] },
    ) => {
      const isMachine = ({ entity }: ResourceConfigSpec) => entity?.type === 'VirtualMachine';
      const ofPools = spec.filter((each) => !isMachine(each));
      for (const { entity } of spec) {
        if (entity === undefined) continue;
        if (entity.type === 'VirtualMachine') requirePrivilege(scope, call, entity, 'VirtualMachine.Config.Resource');
        else edited(call, entity);
      }
      if (ofPools.length > 0) await pools.updateChildren(call, ofPools);
      for (const each of spec.filter(isMachine)) await changeMachineResources(core, call, each);
    },
    MoveIntoResourcePool: (call: Call, { list }: { readonly list: readonly ManagedObjectReference[] }) =>
      pools.moveInto(call, list),
    DestroyChildren: (call: Call) => {
      for (const child of poolsIn(core.inventory, call.self.ref.value))
        if (child.type === 'ResourcePool') requireForDestroy(scope, call, referenceOf(child));
      return pools.destroyChildren(call);
    },
    QueryResourceConfigOption: () => resourceConfigOption(),
    RefreshRuntime: (call: Call) => {
      core.registry.commit((draft) => draft.touch(call.self.ref, 'runtime'));
    },
    ...machineMethodsOfPool(work),
  };
}

function documentOf({ core }: EntityParts, self: ManagedObject): PoolDocument {
  return poolAt(core.inventory, self.ref.value);
}

function derived(parts: EntityParts) {
  const { core, usage } = parts;
  const of = (self: ManagedObject) => documentOf(parts, self);
  return {
    resourcePool: {
      from: [],
      compute: (self: ManagedObject) => childrenOf(core, self, ['ResourcePool', 'VirtualApp']),
    },
    vm: {
      from: [],
      compute: (self: ManagedObject) => core.inventory.machinesInPool(self.ref.value).filter(isShown).map(referenceOf),
    },
    config: { from: [], compute: (self: ManagedObject) => usage.config(of(self)) },
    childConfiguration: {
      from: [],
      compute: (self: ManagedObject) => [
        ...poolsIn(core.inventory, self.ref.value).map((child) => usage.config(child)),
        ...core.inventory
          .machinesInPool(self.ref.value)
          .flatMap((machine) => core.registry.get(referenceOf(machine))?.value('resourceConfig') ?? []),
      ],
    },
    runtime: { from: [], compute: (self: ManagedObject) => usage.runtime(of(self)) },
  };
}

function summaryMembers(parts: EntityParts, pool: PoolDocument) {
  const { usage } = parts;
  return {
    name: pool.name,
    config: usage.config(pool),
    runtime: usage.runtime(pool),
    quickStats: usage.quickStats(pool),
    configuredMemoryMB: usage.configuredMemory(pool),
  };
}

function poolSummary(parts: EntityParts, self: ManagedObject) {
  return data('ResourcePoolSummary', summaryMembers(parts, documentOf(parts, self)));
}

function vAppSummary(parts: EntityParts, self: ManagedObject) {
  const vApp = documentOf(parts, self);
  const config = vApp.vApp?.config;
  const [product] = config?.product ?? [];
  return data('VirtualAppSummary', {
    ...summaryMembers(parts, vApp),
    vAppState: parts.vAppPower.state(vApp),
    suspended: parts.vAppPower.isSuspended(vApp),
    installBootRequired: config?.installBootRequired ?? false,
    ...(config?.instanceUuid === undefined ? {} : { instanceUuid: config.instanceUuid }),
    ...(product === undefined ? {} : { product }),
  });
}
