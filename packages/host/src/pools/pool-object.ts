import {
  entityDefaults,
  entityPerSession,
  requireForCreate,
  requireForDestroy,
  requireForImport,
  requireForMoveIntoPool,
  requireForRegister,
  requireForRename,
  requirePrivilege,
} from '@hypostyle/services';
import {
  type Draft,
  data,
  type ManagedObject,
  type ManagedObjectClass,
  type ResourceConfigSpec,
  VimFault,
} from '@hypostyle/vim';
import type { HostCore } from '../host-core.ts';
import { references } from '../inventory/references.ts';
import type { ImportWork } from '../machine/import/import-work.ts';
import type { ReconfigureWork } from '../machine/reconfigure/reconfigure-work.ts';
import { privilegeScope } from '../managed/privilege-scope.ts';
import { allocationInfo, resourceConfig } from '../projection/resource-config.ts';
import { resourceConfigOption } from './pool-config.ts';
import { type PoolRecord, poolReference } from './pool-record.ts';
import { PoolWork, rootStays } from './pool-work.ts';
import { invalid } from './pools.ts';

const rootPool = references.rootPool.value;
const rootName = 'Resources';

/** Puts the root pool and the pools that the store remembers into the inventory. */
export function addPools(core: HostCore, draft: Draft, imports: ImportWork, reconfigure: ReconfigureWork): void {
  const work = new PoolWork(core, (later, pool) => addPool(later, pool));
  const poolClass = resourcePoolClass(core, work, imports, reconfigure);
  const add = (into: Draft, id: string, name: string, parent: Parameters<typeof entityDefaults>[1]) =>
    into.add(poolClass, id, { ...entityDefaults(name, parent), owner: references.computeResource });
  const addPool = (into: Draft, { id, name, parent }: PoolRecord) => add(into, id, name, poolReference(parent));
  add(draft, rootPool, rootName, references.computeResource);
  for (const id of core.pools.withBelow(rootPool)) {
    const pool = core.pools.find(id);
    if (pool !== undefined) addPool(draft, pool);
  }
}

function resourcePoolClass(
  core: HostCore,
  work: PoolWork,
  imports: ImportWork,
  reconfigure: ReconfigureWork,
): ManagedObjectClass<'ResourcePool'> {
  const { pools, poolUsage: usage } = core;
  const scope = privilegeScope(core);
  const place = (self: ManagedObject) => ({ folder: references.vmFolder, pool: self.ref });
  const rename = core.tasks.define<{ readonly id: string; readonly name: string }>('ResourcePool.rename', {
    method: 'Rename_Task',
    run: (task, { id, name }) => work.update(task.userName, poolReference(id), { name }),
    resume: (task, { id, name }) => work.update(task.userName, poolReference(id), { name }),
  });
  const destroyOne = async (task: { readonly userName: string }, { id }: { readonly id: string }) => {
    const pool = pools.find(id);
    if (pool !== undefined) await work.destroy(task.userName, [id], pool.parent);
  };
  const destroy = core.tasks.define<{ readonly id: string }>('ResourcePool.destroy', {
    method: 'Destroy_Task',
    run: destroyOne,
    resume: destroyOne,
  });
  const machinesIn = (id: string) =>
    [...core.machines.all()].filter(
      ({ resourcePool, configuration }) => resourcePool.value === id && !configuration.template,
    );
  return {
    type: 'ResourcePool',
    perSession: entityPerSession(core.authorizer),
    derived: {
      vm: { from: [], compute: ({ ref }) => machinesIn(ref.value).map((machine) => machine.ref) },
      resourcePool: { from: [], compute: ({ ref }) => pools.children(ref.value).map(({ id }) => poolReference(id)) },
      config: { from: [], compute: ({ ref }) => configOf(core, ref.value) },
      runtime: { from: [], compute: ({ ref }) => usage.runtime(ref.value) },
      childConfiguration: {
        from: [],
        compute: ({ ref }) => [
          ...pools.children(ref.value).map(({ id }) => configOf(core, id)),
          ...machinesIn(ref.value).map(resourceConfig),
        ],
      },
      summary: {
        from: ['name', 'config', 'runtime'],
        compute: ({ ref: { value } }) =>
          data('ResourcePoolSummary', {
            name: pools.find(value)?.name ?? rootName,
            config: configOf(core, value),
            runtime: usage.runtime(value),
            quickStats: usage.quickStats(value),
            configuredMemoryMB: usage.configuredMemory(value),
          }),
      },
    },
    methods: {
      CreateResourcePool: (call, { name, spec }) => work.create(call, name, spec),
      UpdateConfig: (call, { name, config }) => {
        if (name !== undefined) requireForRename(scope, call, call.self.ref);
        return work.update(call, call.self.ref, { name, config });
      },
      UpdateChildResourceConfiguration: async (call, { spec }) => {
        const ofMachines = spec.filter(({ entity }) => core.machines.find(entity?.value ?? '') !== undefined);
        for (const { entity } of ofMachines) {
          if (entity === undefined) continue;
          requirePrivilege(core, call, entity, 'VirtualMachine.Config.Resource');
          if (core.machines.get(entity).resourcePool.value !== call.self.ref.value)
            throw invalid('spec.entity', `${entity.value} is no child of this pool.`);
        }
        const ofPools = spec.filter((each) => !ofMachines.includes(each));
        for (const { entity } of ofPools)
          if (entity !== undefined) requirePrivilege(core, call, entity, 'Resource.EditPool');
        if (ofPools.length > 0) await work.updateChildren(call, ofPools);
        for (const { entity, cpuAllocation, memoryAllocation } of ofMachines) {
          if (entity === undefined) continue;
          const change = { _typeName: 'VirtualMachineConfigSpec', cpuAllocation, memoryAllocation } as const;
          const { error } = await core.tasks.finished(await reconfigure.reconfigure(call, change, entity));
          if (error !== undefined)
            throw new VimFault(
              error.fault._typeName ?? 'SystemError',
              error.fault,
              error.localizedMessage ?? 'It failed.',
            );
        }
      },
      MoveIntoResourcePool: (call, { list }) => {
        requireForMoveIntoPool(scope, call, { pool: call.self.ref, entities: list });
        return work.move(call, list);
      },
      DestroyChildren: (call) => {
        const children = pools.children(call.self.ref.value);
        for (const { id } of children) requireForDestroy(scope, call, poolReference(id));
        return work.destroy(
          call,
          children.map(({ id }) => id),
          call.self.ref.value,
        );
      },
      Destroy_Task: (call) => {
        requireForDestroy(scope, call, call.self.ref);
        const { value: id } = call.self.ref;
        if (id === rootPool) throw rootStays();
        return destroy(call, { input: { id } });
      },
      Rename_Task: (call, { newName }) => {
        requireForRename(scope, call, call.self.ref);
        const pool = pools.get(call.self.ref);
        if (pool === undefined) throw rootStays();
        pools.checkName(newName, pool.parent, pool.id);
        return rename(call, { input: { id: pool.id, name: newName } });
      },
      ImportVApp: (call, { spec }) => {
        requireForImport(scope, call, place(call.self), spec);
        return imports.begin(call, spec);
      },
      CreateChildVM_Task: (call, { config: spec }) => {
        requireForCreate(scope, call, place(call.self), spec);
        return imports.createChild(call, spec);
      },
      RegisterChildVM_Task: (call, { path, name }) => {
        requireForRegister(scope, call, place(call.self), path);
        return imports.registerChild(call, path, name);
      },
      QueryResourceConfigOption: () => resourceConfigOption(),
      RefreshRuntime: (call) => {
        core.registry.commit((draft) => draft.touch(call.self.ref, 'runtime'));
      },
    },
  };
}

function configOf({ pools, poolUsage }: HostCore, id: string): ResourceConfigSpec {
  const pool = pools.find(id);
  const allocation = (kind: 'cpu' | 'memory') => {
    const of = poolUsage.allocation(id, kind);
    return { ...allocationInfo(of), expandableReservation: of.expandable };
  };
  return data('ResourceConfigSpec', {
    entity: poolReference(id),
    ...(pool === undefined ? {} : { changeVersion: pool.modified, lastModified: pool.modified }),
    cpuAllocation: allocation('cpu'),
    memoryAllocation: allocation('memory'),
  });
}
