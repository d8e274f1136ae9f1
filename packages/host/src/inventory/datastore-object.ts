import { entityDefaults, entityPerSession, reference, requireForRename } from '@hypostyle/services';
import { actingUser, type Call, type DatastoreSummary, data, fault, type ManagedObjectClass } from '@hypostyle/vim';
import type { Datastore } from '../datastore/datastore.ts';
import { type DatastoreRename, renameDatastore } from '../datastore/datastore-rename.ts';
import { type DatastoreSpace, spaceOf } from '../datastore/datastores.ts';
import { StorageWatch } from '../datastore/storage-watch.ts';
import type { HostCore } from '../host-core.ts';
import { refreshFiles } from '../machine/files/refresh-files.ts';
import { claimOf } from '../machine/record/claims.ts';
import { otherDatastores } from '../machine/record/held-files.ts';
import type { MachineRecord } from '../machine/record/machine-record.ts';
import { privilegeScope } from '../managed/privilege-scope.ts';
import { references } from './references.ts';

/** Reference of the browser of one datastore. */
export function browserReference(datastore: Datastore) {
  return reference('HostDatastoreBrowser', `${datastore.uuid}-browser`);
}

/** Puts a datastore into the inventory with the space that it has. */
export function addDatastoreObject(
  core: HostCore,
  datastore: Datastore,
  space: DatastoreSpace | undefined,
  rename: DatastoreRename,
): void {
  core.registry.commit((draft) => {
    draft.add(datastoreClass(core, datastore, rename), datastore.ref.value, {
      ...entityDefaults(datastore.name, references.datastoreFolder),
      browser: browserReference(datastore),
      capability: data('DatastoreCapability', {
        directoryHierarchySupported: true,
        rawDiskMappingsSupported: false,
        perFileThinProvisioningSupported: true,
        storageIORMSupported: false,
        nativeSnapshotSupported: false,
        topLevelDirectoryCreateSupported: true,
        seSparseSupported: false,
        vmfsSparseSupported: false,
        vmdkExpandSupported: false,
      }),
      iormConfiguration: data('StorageIORMInfo', {
        enabled: false,
        congestionThresholdMode: 'automatic',
        congestionThreshold: 30,
        statsCollectionEnabled: false,
        reservationEnabled: false,
      }),
      ...spaceProperties(core, datastore, space),
      host: [
        data('DatastoreHostMount', {
          key: references.host,
          mountInfo: data('HostMountInfo', {
            path: datastore.url,
            accessMode: 'readWrite',
            mounted: true,
            accessible: space !== undefined,
          }),
        }),
      ],
    });
    core.inventory.datastoresChanged(draft);
  });
}

function datastoreClass(
  core: HostCore,
  datastore: Datastore,
  rename: DatastoreRename,
): ManagedObjectClass<'Datastore'> {
  return {
    type: 'Datastore',
    perSession: entityPerSession(core.authorizer),
    derived: {
      vm: {
        from: [],
        compute: () =>
          [...core.machines.all()].filter((machine) => isOn(machine, datastore)).map((machine) => machine.ref),
      },
    },
    methods: {
      RefreshDatastore: () => refreshSpace(core, datastore),
      RefreshDatastoreStorageInfo: () => refreshStorage(core, datastore),
      DestroyDatastore: (call) => removeDatastore(core, call, datastore),
      RenameDatastore: (call, { newName }) => renameDatastore(core, datastore, newName, actingUser(call)),
      Rename_Task: (call, { newName }) => {
        requireForRename(privilegeScope(core), call, datastore.ref);
        return rename(call, datastore, newName);
      },
    },
  };
}

function spaceProperties(core: HostCore, datastore: Datastore, space: DatastoreSpace | undefined) {
  const { name, url, directory } = datastore;
  const capacity = space?.capacityBytes ?? 0;
  const freeSpace = space?.freeBytes ?? 0;
  const uncommitted = [...core.machines.all()].reduce((sum, { datastore: own, files }) => {
    const abroad = files.abroad?.get(datastore.uuid)?.uncommittedBytes ?? 0;
    if (own !== datastore) return sum + abroad;
    const others = [...(files.abroad?.values() ?? [])];
    return others.reduce((left, { uncommittedBytes }) => left - uncommittedBytes, sum + files.uncommittedBytes);
  }, 0);
  const summary: DatastoreSummary = data('DatastoreSummary', {
    datastore: datastore.ref,
    name,
    url,
    capacity,
    freeSpace,
    uncommitted,
    accessible: space !== undefined,
    multipleHostAccess: false,
    // A folder of the host is no VMFS volume, and the model's word for it is OTHER.
    type: 'OTHER',
    maintenanceMode: 'normal',
  });
  const info = data('LocalDatastoreInfo', {
    name,
    url,
    freeSpace,
    maxFileSize: 2 ** 46,
    maxVirtualDiskCapacity: 62 * 2 ** 40,
    maxMemoryFileSize: 2 ** 46,
    timestamp: new Date().toISOString(),
    path: directory,
  });
  return { summary, info };
}

async function refreshSpace(core: HostCore, datastore: Datastore): Promise<void> {
  showSpace(core, datastore, await spaceOf(datastore));
}

/** Looks at the files of every machine of a datastore again, and at its space. */
async function refreshStorage(core: HostCore, datastore: Datastore): Promise<void> {
  for (const machine of [...core.machines.all()]) if (isOn(machine, datastore)) await refreshFiles(core, machine.id);
  await refreshSpace(core, datastore);
}

function showSpace(core: HostCore, datastore: Datastore, space: DatastoreSpace | undefined): void {
  core.registry.commit((draft) => {
    if (draft.has(datastore.ref)) draft.set(datastore.ref, spaceProperties(core, datastore, space));
  });
}

/** Whether a machine, or a disk of one, is on a datastore. */
function isOn(machine: MachineRecord, datastore: Datastore): boolean {
  return machine.datastore === datastore || otherDatastores(machine).has(datastore);
}

/** Removes a datastore with no machines; its folder stays as it is. ResourceInUse. */
export async function removeDatastore(core: HostCore, call: Call, datastore: Datastore): Promise<void> {
  const user = [...core.machines.all()].find((machine) => isOn(machine, datastore));
  if (user !== undefined) {
    throw fault(
      'ResourceInUse',
      { type: 'Datastore', name: datastore.name },
      `The datastore '${datastore.name}' has the machine '${user.configuration.name}'; unregister or destroy it first.`,
    );
  }
  // From the first claim of a place on it to the machine's registration, a task is about to use it.
  if (core.claims.isWithin(claimOf.place(datastore.uuid, '')))
    throw fault(
      'ResourceInUse',
      { type: 'Datastore', name: datastore.name },
      `A machine is just being made on the datastore '${datastore.name}'.`,
    );
  await core.datastores.remove(datastore, () =>
    core.registry.commit((draft) => {
      core.events.post(draft, {
        type: 'DatastoreRemovedOnHostEvent',
        entity: datastore.ref,
        userName: actingUser(call),
        members: { host: undefined },
      });
      draft.remove(datastore.ref);
      const browser = browserReference(datastore);
      if (draft.has(browser)) draft.remove(browser);
      core.inventory.datastoresChanged(draft);
    }),
  );
}

/** Keeps the space of all datastores true; the answer stops it. */
export function watchSpace(core: HostCore): () => void {
  const watch = new StorageWatch(core, (datastore, space) => showSpace(core, datastore, space));
  return () => watch.close();
}
