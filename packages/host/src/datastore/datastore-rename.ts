import type { Call, ManagedObjectReference } from '@hypostyle/vim';
import type { HostCore } from '../host-core.ts';
import { otherDatastores } from '../machine/record/held-files.ts';
import type { Datastore } from './datastore.ts';
import { checkDatastoreName } from './datastore-name.ts';

/** Starts Rename_Task of a datastore. InvalidName; the task fails with DuplicateName. */
export type DatastoreRename = (
  call: Call,
  datastore: Datastore,
  name: string,
) => Promise<ManagedObjectReference<'Task'>>;

export function defineDatastoreRename(core: HostCore): DatastoreRename {
  const run = async (task: { readonly userName: string }, input: { readonly uuid: string; readonly name: string }) => {
    const datastore = core.datastores.get({ type: 'Datastore', value: input.uuid });
    await renameDatastore(core, datastore, input.name, task.userName);
  };
  const start = core.tasks.define<{ readonly uuid: string; readonly name: string }>('Datastore.rename', {
    method: 'Rename_Task',
    run,
    resume: run,
  });
  return async (call, datastore, name) => {
    checkDatastoreName(name);
    return start(call, { input: { uuid: datastore.uuid, name }, entityName: datastore.name });
  };
}

/** Gives a datastore another name; `[name] path` of everything on it follows in the same commit. */
export async function renameDatastore(
  core: HostCore,
  datastore: Datastore,
  newName: string,
  userName: string,
): Promise<void> {
  checkDatastoreName(newName);
  await core.datastores.rename(datastore, newName, () => {
    const oldName = datastore.name;
    core.registry.commit((draft) => {
      datastore.rename(newName);
      const summary = draft.get(datastore.ref, 'summary');
      const info = draft.get(datastore.ref, 'info');
      draft.set(datastore.ref, {
        name: newName,
        ...(summary === undefined ? {} : { summary: { ...summary, name: newName } }),
        ...(info === undefined ? {} : { info: { ...info, name: newName } }),
      });
      for (const machine of core.machines.all()) {
        if (machine.datastore !== datastore && !otherDatastores(machine).has(datastore)) continue;
        if (!draft.has(machine.ref)) continue;
        for (const property of ['config', 'layoutEx', 'summary']) draft.touch(machine.ref, property);
      }
      const event = { entity: datastore.ref, userName, members: { oldName, newName } };
      core.events.post(draft, { type: 'DatastoreRenamedEvent', ...event });
    });
  });
}
