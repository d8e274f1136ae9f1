import { isAbsolute } from 'node:path';
import { actingUser, data, fault, type ManagedObjectClass } from '@hypostyle/vim';
import { checkDatastoreName } from '../datastore/datastore-name.ts';
import type { DatastoreRename } from '../datastore/datastore-rename.ts';
import { HostError } from '../errors.ts';
import type { HostCore } from '../host-core.ts';
import { addDatastoreObject, removeDatastore } from '../inventory/datastore-object.ts';
import type { DatastoreBrowsers } from './datastore-browser.ts';

export const datastoreSystemCapabilities = data('HostDatastoreSystemCapabilities', {
  nfsMountCreationRequired: false,
  nfsMountCreationSupported: false,
  localDatastoreSupported: true,
  vmfsExtentExpansionSupported: false,
});

/** HostDatastoreSystem: folders of this machine as datastores. */
export function datastoreSystemClass(
  core: HostCore,
  browsers: DatastoreBrowsers,
  rename: DatastoreRename,
): ManagedObjectClass<'HostDatastoreSystem'> {
  return {
    type: 'HostDatastoreSystem',
    derived: { datastore: { from: [], compute: () => core.datastores.all().map((datastore) => datastore.ref) } },
    methods: {
      CreateLocalDatastore: async (call, { name, path }) => {
        checkDatastoreName(name);
        if (!isAbsolute(path))
          throw fault('InvalidArgument', { invalidProperty: 'path' }, `'${path.slice(0, 200)}' is no absolute path.`);
        try {
          const { ref } = await core.datastores.add(name, path, (datastore, space) => {
            addDatastoreObject(core, datastore, space, rename);
            browsers.add(datastore);
            core.registry.commit((draft) => {
              core.events.post(draft, {
                type: 'LocalDatastoreCreatedEvent',
                entity: datastore.ref,
                userName: actingUser(call),
              });
            });
          });
          return ref;
        } catch (error) {
          if (!(error instanceof HostError) && (error as NodeJS.ErrnoException).code === undefined) throw error;
          const message = error instanceof Error ? error.message : String(error);
          throw fault('HostConfigFault', {}, message, { cause: error });
        }
      },
      RemoveDatastore: (call, { datastore }) => removeDatastore(core, call, core.datastores.get(datastore)),
    },
  };
}
