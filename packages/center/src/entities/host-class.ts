import type { ManagedObjectClass } from '@hypostyle/vim';
import { isShown, referenceOf } from '../inventory/entity-document.ts';
import { joiningMethodsOfHost } from '../joining/joining-methods.ts';
import type { RemovalWork } from '../joining/remove-host-work.ts';
import { entityClass } from './entity-class.ts';
import type { EntityParts } from './entity-parts.ts';

export function hostClass(parts: EntityParts, removal: RemovalWork): ManagedObjectClass<'HostSystem'> {
  const { core, forwarding } = parts;
  return entityClass(parts, 'HostSystem', {
    derived: {
      vm: {
        from: [],
        compute: (self) => core.inventory.machinesOnHost(self.ref.value).filter(isShown).map(referenceOf),
      },
    },
    methods: forwarding.methods('HostSystem', joiningMethodsOfHost(core, removal)),
  });
}
