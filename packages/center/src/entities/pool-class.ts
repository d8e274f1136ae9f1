import type { ManagedObject, ManagedObjectClass } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import { isShown, referenceOf } from '../inventory/entity-document.ts';
import { type MachineWork, machineMethodsOfPool } from '../machines/machine-methods.ts';
import { childrenOf, entityBase } from './entity-lists.ts';
import { poolSummary } from './pool-values.ts';

export function poolClass(core: CenterCore, work: MachineWork): ManagedObjectClass<'ResourcePool'> {
  return {
    type: 'ResourcePool',
    ...entityBase(core),
    derived: derived(core),
    methods: { ...machineMethodsOfPool(work) },
  };
}

export function vAppClass(core: CenterCore, work: MachineWork): ManagedObjectClass<'VirtualApp'> {
  return {
    type: 'VirtualApp',
    ...entityBase(core),
    derived: derived(core),
    methods: { ...machineMethodsOfPool(work) },
  };
}

function derived(core: CenterCore) {
  return {
    resourcePool: {
      from: [],
      compute: (self: ManagedObject) => childrenOf(core, self, ['ResourcePool', 'VirtualApp']),
    },
    vm: {
      from: [],
      compute: (self: ManagedObject) => core.inventory.machinesInPool(self.ref.value).filter(isShown).map(referenceOf),
    },
    summary: { from: ['name', 'config', 'runtime'], compute: poolSummary },
  };
}
