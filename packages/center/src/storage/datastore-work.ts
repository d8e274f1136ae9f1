import { requireForDestroy, requireForRename } from '@hypostyle/services';
import { actingUser, type Call, fault, type ManagedObjectReference } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import { type DatastoreDocument, referenceOf } from '../inventory/entity-document.ts';
import { entityName } from '../inventory/entity-name.ts';
import { requireFreeName } from '../inventory/name-scope.ts';
import { privilegeScope } from '../inventory/privilege-scope.ts';

type Task = Promise<ManagedObjectReference<'Task'>>;

export interface DatastoreWork {
  /** Datastore.RenameDatastore. Throws InvalidName, DuplicateName, HostNotConnected. */
  rename(call: Call, newName: string): Promise<void>;
  startRename(call: Call, newName: string): Task;
  /** Datastore.DestroyDatastore. Throws ResourceInUse, HostNotConnected. */
  destroy(call: Call): Promise<void>;
  startDestroy(call: Call): Task;
}

/** A datastore is renamed and removed where it is: on every host that has it. */
export function defineDatastoreWork(core: CenterCore): DatastoreWork {
  const { inventory, tasks } = core;
  const rename = (value: string, newName: string, realUser: string) =>
    renameOnHosts(core, inventory.get('Datastore', { value }), entityName(newName), realUser);
  const destroy = (value: string, realUser: string) => {
    const document = inventory.find(value);
    return document?.type === 'Datastore' ? removeFromHosts(core, document, realUser) : Promise.resolve();
  };
  const renaming = tasks.define<{ readonly datastore: string; readonly newName: string }>('Datastore.rename', {
    method: 'Rename_Task',
    run: (task, { datastore, newName }) => rename(datastore, newName, task.userName),
    resume: (task, { datastore, newName }) => rename(datastore, newName, task.userName),
  });
  const destroying = tasks.define<{ readonly datastore: string }>('Datastore.destroy', {
    method: 'Destroy_Task',
    run: (task, { datastore }) => destroy(datastore, task.userName),
    resume: (task, { datastore }) => destroy(datastore, task.userName),
  });
  return {
    rename: (call, newName) => rename(call.self.ref.value, newName, actingUser(call)),
    startRename: (call, newName) => {
      requireForRename(privilegeScope(core), call, call.self.ref);
      entityName(newName);
      return renaming(call, { input: { datastore: call.self.ref.value, newName } });
    },
    destroy: (call) => destroy(call.self.ref.value, actingUser(call)),
    startDestroy: (call) => {
      requireForDestroy(privilegeScope(core), call, call.self.ref);
      checkUnused(core, inventory.get('Datastore', call.self.ref));
      return destroying(call, { input: { datastore: call.self.ref.value } });
    },
  };
}

/** All or none, as far as the hosts can be reached. */
async function renameOnHosts(
  core: CenterCore,
  datastore: DatastoreDocument,
  newName: string,
  realUser: string,
): Promise<void> {
  const { name } = datastore;
  await core.inventory.edit((edit) => requireFreeName(edit, { ...datastore, name: newName }));
  const places = placesOf(core, datastore);
  const renamed: typeof places = [];
  try {
    for (const place of places) {
      await place.link.call(place.ref, 'RenameDatastore', { newName }, { realUser });
      renamed.push(place);
    }
  } catch (error) {
    for (const { link, ref } of renamed)
      await link
        .call(ref, 'RenameDatastore', { newName: name }, { realUser })
        .catch((reason: unknown) => core.onLog(`the datastore '${name}' has two names`, reason));
    throw error;
  } finally {
    for (const { link } of renamed) await link.caughtUp().catch(() => {});
  }
}

async function removeFromHosts(core: CenterCore, datastore: DatastoreDocument, realUser: string): Promise<void> {
  checkUnused(core, datastore);
  for (const { link, ref } of placesOf(core, datastore)) {
    await link.call(ref, 'DestroyDatastore', {}, { realUser });
    await link.caughtUp();
  }
}

function checkUnused(core: CenterCore, datastore: DatastoreDocument): void {
  const [user] = core.inventory.uses.members(datastore.value);
  if (user === undefined) return;
  throw fault(
    'ResourceInUse',
    { type: 'Datastore', name: datastore.name },
    `The virtual machine '${core.inventory.find(user)?.name ?? user}' uses the datastore '${datastore.name}'.`,
  );
}

/** The datastore on each of its hosts. Throws HostNotConnected unless all are there. */
function placesOf(core: CenterCore, datastore: DatastoreDocument) {
  return core.hosts.shared.hostsOf(datastore.value).map((host) => {
    const link = core.hosts.connected(host);
    const ref = link.mirror.references.toHost(referenceOf(datastore));
    if (ref !== undefined) return { link, ref };
    throw fault('ManagedObjectNotFound', { obj: referenceOf(datastore) }, 'The host no longer has the datastore.');
  });
}
