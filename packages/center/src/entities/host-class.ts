import type { ManagedObjectClass } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import type { Forwarding } from '../forwarding/forwarding.ts';
import { referenceOf } from '../inventory/entity-document.ts';
import { entityBase } from './entity-lists.ts';

export function hostClass(core: CenterCore, forwarding: Forwarding): ManagedObjectClass<'HostSystem'> {
  return {
    type: 'HostSystem',
    ...entityBase(core),
    derived: {
      vm: { from: [], compute: (self) => core.inventory.machinesOnHost(self.ref.value).map(referenceOf) },
    },
    methods: forwarding.methods('HostSystem'),
  };
}
