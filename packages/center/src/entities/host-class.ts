import type { ManagedObjectClass } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import type { Forwarding } from '../forwarding/forwarding.ts';
import { isShown, referenceOf } from '../inventory/entity-document.ts';
import { joiningMethodsOfHost } from '../joining/joining-methods.ts';
import type { RemovalWork } from '../joining/remove-host-work.ts';
import { entityBase } from './entity-lists.ts';

export function hostClass(
  core: CenterCore,
  forwarding: Forwarding,
  removal: RemovalWork,
): ManagedObjectClass<'HostSystem'> {
  return {
    type: 'HostSystem',
    ...entityBase(core),
    derived: {
      vm: {
        from: [],
        compute: (self) => core.inventory.machinesOnHost(self.ref.value).filter(isShown).map(referenceOf),
      },
    },
    methods: forwarding.methods('HostSystem', joiningMethodsOfHost(core, removal)),
  };
}
