import { requireForDestroy, requireForRename } from '@hypostyle/services';
import type { ManagedObjectClass, MethodTable } from '@hypostyle/vim';
import { privilegeScope } from '../inventory/privilege-scope.ts';
import type { DatastoreWork } from '../storage/datastore-work.ts';
import { entityClass } from './entity-class.ts';
import { usersOf } from './entity-lists.ts';
import type { EntityParts } from './entity-parts.ts';

export function datastoreClass(parts: EntityParts, work: DatastoreWork): ManagedObjectClass<'Datastore'> {
  const { core, forwarding } = parts;
  return entityClass(parts, 'Datastore', {
    derived: { vm: { from: [], compute: (self) => usersOf(core, self) } },
    methods: forwarding.methods('Datastore', {
      RenameDatastore: (call, { newName }) => work.rename(call, newName),
      Rename_Task: (call, { newName }) => work.startRename(call, newName),
      DestroyDatastore: (call) => work.destroy(call),
      Destroy_Task: (call) => work.startDestroy(call),
    }),
  });
}

export function networkClass(parts: EntityParts): ManagedObjectClass<'Network'> {
  const { core, forwarding } = parts;
  const scope = privilegeScope(core);
  const own: MethodTable<'Network'> = {
    Rename_Task: (call, args) => {
      requireForRename(scope, call, call.self.ref);
      return forwarding.task(call, args);
    },
    Destroy_Task: (call) => {
      requireForDestroy(scope, call, call.self.ref);
      return forwarding.task(call, {});
    },
  };
  return entityClass(parts, 'Network', {
    derived: { vm: { from: [], compute: (self) => usersOf(core, self) } },
    methods: forwarding.methods('Network', forwarding.passing(own)),
  });
}
