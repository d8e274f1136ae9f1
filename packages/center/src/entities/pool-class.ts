import type { ManagedObject, ManagedObjectClass } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import { referenceOf } from '../inventory/entity-document.ts';
import { childrenOf, entityBase } from './entity-lists.ts';
import { poolSummary } from './pool-values.ts';

export function poolClass(core: CenterCore): ManagedObjectClass<'ResourcePool'> {
  return { type: 'ResourcePool', ...entityBase(core), derived: derived(core), methods: {} };
}

export function vAppClass(core: CenterCore): ManagedObjectClass<'VirtualApp'> {
  return { type: 'VirtualApp', ...entityBase(core), derived: derived(core), methods: {} };
}

function derived(core: CenterCore) {
  return {
    resourcePool: {
      from: [],
      compute: (self: ManagedObject) => childrenOf(core, self, ['ResourcePool', 'VirtualApp']),
    },
    vm: { from: [], compute: (self: ManagedObject) => core.inventory.machinesInPool(self.ref.value).map(referenceOf) },
    summary: { from: ['name', 'config', 'runtime'], compute: poolSummary },
  };
}
