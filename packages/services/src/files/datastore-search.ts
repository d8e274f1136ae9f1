import {
  data,
  type FileInfo,
  type FileQuery,
  type HostDatastoreBrowserSearchResults,
  type HostDatastoreBrowserSearchSpec,
  type ManagedObjectReference,
  type VmConfigFileQuery,
  type VmDiskFileQuery,
} from '@hypostyle/vim';
import { faults } from '../errors.ts';
import { type FolderEntry, findEntry, listFolder } from './datastore-index.ts';
import { joinPath } from './datastore-path.ts';
import { type DatastoreRoot, openInRoot, shownPath } from './datastore-root.ts';
import { type DiskFacts, diskFacts } from './disk-facts.ts';
import { type FileKind, fileKind, infoTypes, queryKinds } from './file-kinds.ts';
import { isHiddenPath } from './hidden-names.ts';
import { matchesPattern } from './name-pattern.ts';

export interface DatastoreSearch {
  /** The folder to begin with; empty for the root. */
  readonly path: string;
  readonly searchSpec?: HostDatastoreBrowserSearchSpec | undefined;
  /** The folders below too. */
  readonly recursive: boolean;
  /** Reference of the datastore, for the results. */
  readonly datastore?: ManagedObjectReference<'Datastore'>;
  readonly signal?: AbortSignal;
}

/**
 * HostDatastoreBrowser: one result a folder, the folder itself first. Without queries every file is there, as a plain
 * FileInfo. Throws FileNotFound, NotADirectory, InvalidDatastorePath.
 */
export async function* searchDatastore(
  root: DatastoreRoot,
  search: DatastoreSearch,
): AsyncGenerator<HostDatastoreBrowserSearchResults, void, undefined> {
  const { path, recursive, datastore, signal } = search;
  if (isHiddenPath(path)) throw faults.notFound(shownPath(root, path));
  const spec = search.searchSpec ?? {};
  const folders = [path];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    signal?.throwIfAborted();
    const entries = await entriesOf(root, folder, folder === path);
    const file: FileInfo[] = [];
    for (const entry of sorted(entries, spec)) {
      const info = await infoOf(root, joinPath(folder, entry.name), entry, spec);
      if (info !== undefined) file.push(info);
    }
    yield data('HostDatastoreBrowserSearchResults', {
      folderPath: `${shownPath(root, folder)}${folder === '' ? ' ' : '/'}`,
      file,
      ...(datastore === undefined ? {} : { datastore }),
    });
    if (!recursive) return;
    const below = entries.filter(({ kind }) => kind === 'folder').map(({ name }) => joinPath(folder, name));
    folders.push(...below.reverse());
  }
}

/** A folder below the first one may go away while we walk. */
async function entriesOf(root: DatastoreRoot, folder: string, required: boolean): Promise<FolderEntry[]> {
  try {
    return await listFolder(root, folder);
  } catch (error) {
    if (required || (folder !== '' && (await findEntry(root, folder).catch(() => undefined)) !== undefined))
      throw error;
    return [];
  }
}

function sorted(entries: readonly FolderEntry[], spec: HostDatastoreBrowserSearchSpec): FolderEntry[] {
  const fits = ({ name }: FolderEntry) => {
    const patterns = spec.matchPattern ?? [];
    // Unset, names are compared without regard to case, as ESXi does.
    const loosely = spec.searchCaseInsensitive ?? true;
    return patterns.length === 0 || patterns.some((pattern) => matchesPattern(name, pattern, loosely));
  };
  const found = entries.filter(fits);
  if (!spec.sortFoldersFirst) return found;
  return [...found.filter(({ kind }) => kind === 'folder'), ...found.filter(({ kind }) => kind === 'file')];
}

async function infoOf(
  root: DatastoreRoot,
  path: string,
  entry: FolderEntry,
  spec: HostDatastoreBrowserSearchSpec,
): Promise<FileInfo | undefined> {
  const kind: FileKind = entry.kind === 'folder' ? 'folder' : fileKind(entry.name);
  const queries = spec.query ?? [];
  const query = queries.find((one) => asksFor(one, kind));
  if (queries.length > 0 && query === undefined) return undefined;
  const facts = kind === 'disk' && entry.kind === 'file' ? await diskFacts(root, path) : undefined;
  if (query !== undefined && !(await passes(root, path, query, facts))) return undefined;
  const { details } = spec;
  const common = {
    path: entry.name,
    ...(details?.fileSize ? { fileSize: facts?.fileBytes ?? entry.size } : {}),
    ...(details?.modification ? { modification: entry.modified.toISOString() } : {}),
    ...(details?.fileOwner ? { owner: ownerName(entry.owner) } : {}),
  };
  // Without a query or `fileType` clients get the plain kind, as from ESXi.
  if (query === undefined && !details?.fileType) return data('FileInfo', common);
  if (kind === 'disk') return data('VmDiskFileInfo', { ...common, ...diskDetails(query, facts) });
  if ((kind === 'config' || kind === 'template') && query !== undefined) {
    const wanted = (query as VmConfigFileQuery).details?.configVersion;
    const configVersion = wanted ? await configVersionOf(root, path) : undefined;
    return data(infoTypes[kind], { ...common, ...(configVersion === undefined ? {} : { configVersion }) });
  }
  return data(infoTypes[kind], common);
}

function asksFor(query: FileQuery, kind: FileKind): boolean {
  const kinds = queryKinds[query._typeName ?? 'FileQuery'];
  return kinds === 'all' || (kinds?.includes(kind) ?? false);
}

async function passes(root: DatastoreRoot, path: string, query: FileQuery, facts?: DiskFacts): Promise<boolean> {
  if (query._typeName === 'VmDiskFileQuery') {
    const { filter } = query as VmDiskFileQuery;
    if (filter === undefined) return true;
    const { controllerType = [], matchHardwareVersion = [], diskType = [], thin, encrypted } = filter;
    // No disk here is encrypted.
    if (encrypted === true) return false;
    if (thin !== undefined && facts?.thin !== thin) return false;
    if (controllerType.length > 0 && !controllerType.includes(facts?.controllerType ?? '')) return false;
    if (matchHardwareVersion.length > 0 && !matchHardwareVersion.includes(facts?.hardwareVersion ?? -1)) return false;
    return diskType.length === 0 || diskType.includes(facts?.backing ?? '');
  }
  const { matchConfigVersion: versions = [], encrypted } = (query as VmConfigFileQuery).filter ?? {};
  if (encrypted === true) return false;
  if (versions.length === 0) return true;
  return versions.includes((await configVersionOf(root, path)) ?? -1);
}

function diskDetails(query: FileQuery | undefined, facts: DiskFacts | undefined) {
  const details = query?._typeName === 'VmDiskFileQuery' ? (query as VmDiskFileQuery).details : undefined;
  if (details === undefined || facts === undefined) return {};
  const { hardwareVersion, controllerType } = facts;
  return {
    ...(details.diskType ? { diskType: facts.backing } : {}),
    ...(details.capacityKb ? { capacityKb: Math.ceil(facts.capacityBytes / 1024) } : {}),
    ...(details.hardwareVersion && hardwareVersion !== undefined ? { hardwareVersion } : {}),
    ...(details.controllerType && controllerType !== undefined ? { controllerType } : {}),
    ...(details.diskExtents ? { diskExtents: facts.extents } : {}),
    ...(details.thin ? { thin: facts.thin } : {}),
  };
}

/** `virtualHW.version` of a .vmx, read from its first 64 KiB. */
async function configVersionOf(root: DatastoreRoot, path: string): Promise<number | undefined> {
  try {
    const handle = await openInRoot(root, path);
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(65_536), 0, 65_536, 0);
      const text = buffer.toString('utf8', 0, bytesRead);
      const version = /^\s*virtualHW\.version\s*=\s*"(\d{1,3})"/im.exec(text)?.[1];
      return version === undefined ? undefined : Number(version);
    } finally {
      await handle.close();
    }
  } catch {
    return undefined;
  }
}

function ownerName(id: number): string {
  return id === 0 ? 'root' : String(id);
}
