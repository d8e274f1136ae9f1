import type { HostDatastoreBrowserSearchResults, ManagedObjectReference, VmDiskFileInfo } from '@hypostyle/vim';
import { data, VimFault } from '@hypostyle/vim';
import type { ServerSession } from '../connection/server-session.ts';
import { CliError } from '../errors.ts';
import { loadInventory } from './load-inventory.ts';

/** A file or folder of a datastore as commands name it. */
export interface FilePlace {
  /** `[datastore] folder/file`. */
  readonly name: string;
  readonly path: string;
  readonly datastore: ManagedObjectReference<'Datastore'>;
}

/** Reads `[datastore] folder/file`. Throws `usage` for anything else, `not-found` where there is no such datastore. */
export async function filePlace(session: ServerSession, text: string): Promise<FilePlace> {
  const [, datastore, path] = /^\[([^\]]+)\] ?(.*)$/.exec(text) ?? [];
  if (datastore === undefined || path === undefined)
    throw new CliError('usage', `'${text}' is no path on a datastore.`, {
      next: "Name it as '[datastore1] folder/file'.",
    });
  const found = (await loadInventory(session)).find('Datastore', datastore);
  return {
    name: text,
    path: path.replace(/\/$/, ''),
    datastore: found.ref as ManagedObjectReference<'Datastore'>,
  };
}

/** What a folder has, or every folder below it too; of disks with all that is told of them. */
export async function listPlace(
  session: ServerSession,
  place: FilePlace,
  { recursive = false, name }: { readonly recursive?: boolean; readonly name?: string } = {},
): Promise<readonly HostDatastoreBrowserSearchResults[]> {
  const { client } = session;
  const [found] = await client.retrieve(place.datastore, ['browser']);
  const browser = found?.values.browser;
  if (browser === undefined) throw new CliError('failed', `${place.name}: the datastore is not to be searched.`);
  const searchSpec = data('HostDatastoreBrowserSearchSpec', {
    details: data('FileQueryFlags', { fileType: true, fileSize: true, modification: true, fileOwner: false }),
    sortFoldersFirst: true,
    ...(name === undefined ? {} : { matchPattern: [name], searchCaseInsensitive: false, query: [diskQuery] }),
  });
  const args = { datastorePath: place.name, searchSpec };
  if (!recursive) {
    const task = await client.call(browser, 'SearchDatastore_Task', args);
    return [(await client.waitForTask(task)) as HostDatastoreBrowserSearchResults];
  }
  const task = await client.call(browser, 'SearchDatastoreSubFolders_Task', args);
  if (task === undefined) throw new CliError('failed', `${place.name}: the search was not begun.`);
  const results = (await client.waitForTask(task)) as
    | readonly HostDatastoreBrowserSearchResults[]
    | { readonly _value: readonly HostDatastoreBrowserSearchResults[] };
  return '_value' in results ? results._value : results;
}

const diskQuery = data('VmDiskFileQuery', {
  details: data('VmDiskFileQueryFlags', {
    diskType: true,
    capacityKb: true,
    hardwareVersion: true,
    controllerType: true,
    diskExtents: true,
    thin: true,
  }),
});

/** What is told of a virtual disk; undefined where the file is none, or not there. */
export async function diskAt(session: ServerSession, place: FilePlace): Promise<VmDiskFileInfo | undefined> {
  if (!/\.vmdk$/i.test(place.path)) return undefined;
  const slash = place.path.lastIndexOf('/');
  const folder = { ...place, name: place.name.slice(0, place.name.length - (place.path.length - slash - 1)) };
  try {
    const [result] = await listPlace(session, folder, { name: place.path.slice(slash + 1) });
    const [file] = result?.file ?? [];
    const disk = file?._typeName === 'VmDiskFileInfo' ? (file as VmDiskFileInfo) : undefined;
    // A name is all that something else has of a disk.
    return disk?.capacityKb === undefined ? undefined : disk;
  } catch (error) {
    if (error instanceof VimFault && error.type === 'FileNotFound') return undefined;
    throw error;
  }
}
