import { isAbsolute } from 'node:path';
import { fault, type ManagedObjectClass } from '@hypostyle/vim';
import { HostError } from '../errors.ts';
import type { HostCore } from '../host-core.ts';
import { addDatastoreObject, removeDatastore } from '../inventory/datastore-object.ts';
import type { DatastoreBrowsers } from './datastore-browser.ts';

/** HostDatastoreSystem: folders of this machine as datastores. */
export function datastoreSystemClass(
  core: HostCore,
  browsers: DatastoreBrowsers,
): ManagedObjectClass<'HostDatastoreSystem'> {
  return {
    type: 'HostDatastoreSystem',
    derived: { datastore: { from: [], compute: () => core.datastores.all().map((datastore) => datastore.ref) } },
    methods: {
      CreateLocalDatastore: async (call, { name, path }) => {
        if (!/^[^/\\[\]%\u0000-\u001f]{1,80}$/.test(name))
          throw fault(
            'InvalidName',
            { name: name.slice(0, 200) },
            `'${name.slice(0, 80)}' is no name for a datastore.`,
          );
        if (!isAbsolute(path))
          throw fault('InvalidArgument', { invalidProperty: 'path' }, `'${path.slice(0, 200)}' is no absolute path.`);
        try {
          const datastore = await core.datastores.add(name, path);
          await addDatastoreObject(core, datastore);
          browsers.add(datastore);
          core.registry.commit((draft) => {
            draft.touch(call.self.ref, 'datastore');
            core.events.post(draft, {
              type: 'LocalDatastoreCreatedEvent',
              entity: datastore.ref,
              userName: call.session?.userName,
            });
          });
          return datastore.ref;
        } catch (error) {
          if (!(error instanceof HostError) && (error as NodeJS.ErrnoException).code === undefined) throw error;
          const message = error instanceof Error ? error.message : String(error);
          throw fault('HostConfigFault', {}, message, { cause: error });
        }
      },
      RemoveDatastore: (_, { datastore }) => removeDatastore(core, core.datastores.get(datastore)),
    },
  };
}
