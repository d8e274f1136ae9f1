import type { ManagedObjectClass, ManagedObjectReference } from '@hypostyle/vim';
import { joiningMethodsOfDatacenter } from '../joining/joining-methods.ts';
import type { MachineWork } from '../machines/machine-methods.ts';
import { powerMethodsOfDatacenter } from '../machines/power-on-many.ts';
import { entityClass } from './entity-class.ts';
import { inFolders } from './entity-lists.ts';
import type { EntityParts } from './entity-parts.ts';

export function datacenterClass(parts: EntityParts, work: MachineWork): ManagedObjectClass<'Datacenter'> {
  const { core, containers } = parts;
  return entityClass(parts, 'Datacenter', {
    derived: {
      datastore: {
        from: [],
        compute: (self) => inFolders(core, self.value('datastoreFolder') as ManagedObjectReference, 'Datastore'),
      },
      network: {
        from: [],
        compute: (self) => inFolders(core, self.value('networkFolder') as ManagedObjectReference, 'Network'),
      },
    },
    methods: {
      ...containers.entityMethods('Datacenter'),
      ReconfigureDatacenter_Task: (call, { spec, modify }) => containers.reconfigureDatacenter(call, spec, modify),
      ...joiningMethodsOfDatacenter(core),
      ...powerMethodsOfDatacenter(work),
    },
  });
}
