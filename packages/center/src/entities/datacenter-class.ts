import type { ManagedObjectClass, ManagedObjectReference } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import { joiningMethodsOfDatacenter } from '../joining/joining-methods.ts';
import { entityBase, inFolders } from './entity-lists.ts';

export function datacenterClass(core: CenterCore): ManagedObjectClass<'Datacenter'> {
  return {
    type: 'Datacenter',
    ...entityBase(core),
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
    methods: { ...joiningMethodsOfDatacenter(core) },
  };
}
