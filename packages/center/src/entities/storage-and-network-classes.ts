import type { ManagedObjectClass } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import type { Forwarding } from '../forwarding/forwarding.ts';
import { entityBase, usersOf } from './entity-lists.ts';

export function datastoreClass(core: CenterCore, forwarding: Forwarding): ManagedObjectClass<'Datastore'> {
  return {
    type: 'Datastore',
    ...entityBase(core),
    derived: { vm: { from: [], compute: (self) => usersOf(core, self) } },
    methods: forwarding.methods('Datastore'),
  };
}

export function networkClass(core: CenterCore, forwarding: Forwarding): ManagedObjectClass<'Network'> {
  return {
    type: 'Network',
    ...entityBase(core),
    derived: { vm: { from: [], compute: (self) => usersOf(core, self) } },
    methods: forwarding.methods('Network'),
  };
}
