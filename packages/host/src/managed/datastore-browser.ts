import { deleteFile, readVirtualDisk, requirePrivilege, searchDatastore } from '@hypostyle/services';
import {
  type Call,
  data,
  fault,
  type HostDatastoreBrowserSearchResults,
  type HostDatastoreBrowserSearchSpec,
  type ManagedObjectClass,
  type ManagedObjectReference,
  VimFault,
} from '@hypostyle/vim';
import { busyFiles } from '../datastore/busy-files.ts';
import type { Datastore } from '../datastore/datastore.ts';
import type { DiskWork } from '../disks/disk-work.ts';
import type { HostCore } from '../host-core.ts';
import { browserReference } from '../inventory/datastore-object.ts';
import { references } from '../inventory/references.ts';

interface SearchInput {
  readonly path: string;
  readonly spec: HostDatastoreBrowserSearchSpec | undefined;
}

/** Most folders of one answer: a result is a value of a task, and held in memory. */
const mostFolders = 20_000;

/** HostDatastoreBrowser: the host's own, and one of each datastore. */
export class DatastoreBrowsers {
  readonly #core: HostCore;
  readonly #class: ManagedObjectClass<'HostDatastoreBrowser'>;

  constructor(core: HostCore, disks: Pick<DiskWork, 'deleteNow'>) {
    this.#core = core;
    const define = (
      kind: string,
      method: 'SearchDatastore_Task' | 'SearchDatastoreSubFolders_Task',
      recursive: boolean,
    ) =>
      core.tasks.define<SearchInput>(kind, {
        method,
        cancelable: true,
        run: async (task, input) => {
          const results = await this.#search(input, recursive, task.signal);
          return recursive ? { _typeName: 'ArrayOfHostDatastoreBrowserSearchResults', _value: results } : results[0];
        },
      });
    const one = define('HostDatastoreBrowser.search', 'SearchDatastore_Task', false);
    const all = define('HostDatastoreBrowser.searchSubFolders', 'SearchDatastoreSubFolders_Task', true);
    const start = (
      work: typeof one,
      call: Call,
      path: string,
      spec: HostDatastoreBrowserSearchSpec | undefined,
    ): Promise<ManagedObjectReference<'Task'>> => {
      const { datastore } = core.datastores.parse(path);
      requirePrivilege(core, call, datastore.ref, 'Datastore.Browse');
      return work(call, { input: { path, spec }, entity: datastore.ref, entityName: datastore.name });
    };
    this.#class = {
      type: 'HostDatastoreBrowser',
      derived: { datastore: { from: [], compute: (self) => this.#datastoresOf(self.ref.value) } },
      methods: {
        SearchDatastore_Task: (call, { datastorePath, searchSpec }) => start(one, call, datastorePath, searchSpec),
        SearchDatastoreSubFolders_Task: (call, { datastorePath, searchSpec }) =>
          start(all, call, datastorePath, searchSpec),
        DeleteFile: async (call, { datastorePath }) => {
          const { datastore, path } = core.datastores.parse(datastorePath);
          requirePrivilege(core, call, datastore.ref, 'Datastore.DeleteFile');
          // Of a disk all its files go; what only has the name of one goes as the file that it is.
          if (await isDisk(datastore, path)) await disks.deleteNow(call, datastorePath);
          else await deleteFile(datastore, path, busyFiles(core));
        },
      },
    };
    core.registry.commit((draft) =>
      draft.add(this.#class, references.hostBrowser.value, { supportedType: supportedTypes() }),
    );
    for (const datastore of core.datastores.all()) this.add(datastore);
  }

  /** Adds the browser of a datastore that came later. */
  add(datastore: Datastore): void {
    this.#core.registry.commit((draft) => {
      draft.add(this.#class, browserReference(datastore).value, { supportedType: supportedTypes() });
      draft.touch(references.hostBrowser, 'datastore');
    });
  }

  #datastoresOf(value: string): ManagedObjectReference<'Datastore'>[] {
    const all = this.#core.datastores.all();
    const own = all.filter((datastore) => browserReference(datastore).value === value);
    return (own.length > 0 ? own : all).map((datastore) => datastore.ref);
  }

  async #search(
    { path, spec }: SearchInput,
    recursive: boolean,
    signal: AbortSignal,
  ): Promise<HostDatastoreBrowserSearchResults[]> {
    const { datastore, path: folder } = this.#core.datastores.parseOfTask(path);
    const results: HostDatastoreBrowserSearchResults[] = [];
    for await (const result of searchDatastore(datastore, {
      path: folder,
      searchSpec: spec,
      recursive,
      datastore: datastore.ref,
      signal,
    })) {
      results.push(result);
      if (!recursive) break;
      if (results.length > mostFolders)
        throw fault(
          'SystemError',
          { reason: 'too many folders' },
          `${path} has more than ${mostFolders} folders; search a folder below it.`,
        );
    }
    return results;
  }
}

async function isDisk(datastore: Datastore, path: string): Promise<boolean> {
  try {
    await readVirtualDisk(datastore, path);
    return true;
  } catch (error) {
    if (error instanceof VimFault && error.type === 'IncorrectFileType') return false;
    throw error;
  }
}

function supportedTypes() {
  return [
    data('VmConfigFileQuery', {}),
    data('TemplateConfigFileQuery', {}),
    data('VmDiskFileQuery', {}),
    data('FolderFileQuery', {}),
    data('IsoImageFileQuery', {}),
    data('VmSnapshotFileQuery', {}),
    data('VmLogFileQuery', {}),
    data('VmNvramFileQuery', {}),
    data('FloppyImageFileQuery', {}),
  ];
}
