import { VimFault } from '@hypostyle/vim';
import { type Bundle, bundleType } from '../bundle/bundle-entry.ts';
import { fileBundle } from '../bundle/file-bundle.ts';
import { receiveBundle } from '../bundle/receive-bundle.ts';
import { writeBundle } from '../bundle/write-bundle.ts';
import { faults } from '../errors.ts';
import { folderRows, folderUrl, indexPage, listFolder } from '../files/datastore-index.ts';
import { checkRelativePath, splitPath } from '../files/datastore-path.ts';
import { type DatastoreRoot, shownPath } from '../files/datastore-root.ts';
import { makeMissingFolders, removeEmptyFolders } from '../files/file-operations.ts';
import { type BusyCheck, checkIdle, deleteFile } from '../files/file-removal.ts';
import { checkOrdinaryPath, receiveFile } from '../files/file-upload.ts';
import { isHiddenPath } from '../files/hidden-names.ts';
import { fileResponse } from './file-response.ts';
import {
  announcedLength,
  type FileRequest,
  type FileResponse,
  header,
  plainResponse,
  splitUrl,
} from './http-exchange.ts';
import { faultResponse } from './http-faults.ts';
import { diskOfFlatName, openFlatView, openServedFile, type ServedFile } from './served-file.ts';

export type AccessVerdict = 'ok' | 'unauthenticated' | 'denied';

/** What the file face needs to know of the server: datastores, rights, and what is in use. */
export interface FolderAccess {
  /** Names or inventory paths of datacenters, for `dcPath`. */
  datacenters(): readonly string[];
  /** Datastores of a datacenter as the client named it; all, when it named none. */
  datastores(datacenter: string | undefined): readonly DatastoreRoot[];
  /** Names of the datastores of a datacenter that the list shows; those of `datastores` unless told. */
  datastoreNames?(datacenter: string | undefined): readonly string[];
  /** Asked before anything is said about what is there. `datastore` is undefined for the list of datastores. */
  authorize(
    datastore: string | undefined,
    privilege: string,
    datacenter: string | undefined,
  ): AccessVerdict | Promise<AccessVerdict>;
  /** Who answers for a datastore that is not of this computer; rights were checked before. Undefined for its own. */
  elsewhere?(
    datastore: string,
    datacenter: string | undefined,
  ): ((request: FileRequest) => Promise<FileResponse>) | undefined;
  readonly isBusy: BusyCheck;
  /** Files that change while they are read are not sent as a bundle. Default: none does. */
  readonly isWritten?: BusyCheck;
  /** The caller may bring what machines' folders keep for the service alone. Default: false. */
  readonly bringsHidden?: boolean;
  /** A disk with all that it lies on, as a folder with a flat one; `keepsUuid`, it is the same disk, elsewhere. */
  diskBundle?(root: DatastoreRoot, path: string, keepsUuid: boolean): Promise<Bundle>;
  /** Bytes of a disk whose chain is not plain VMDK, such as one with deltas; undefined leaves it to this package. */
  openFlatView?(root: DatastoreRoot, diskPath: string): Promise<ServedFile | undefined>;
}

const privileges = {
  list: 'Datastore.Browse',
  read: 'Datastore.FileManagement',
  write: 'Datastore.FileManagement',
  delete: 'Datastore.FileManagement',
} as const;

const contentTypes: Readonly<Record<string, string>> = {
  vmx: 'text/plain; charset=utf-8',
  log: 'text/plain; charset=utf-8',
  ovf: 'text/xml',
  xml: 'text/xml',
};

/**
 * The face of datastore files, `/folder/<path>?dcPath=…&dsName=…`: GET and HEAD with ranges, PUT, DELETE, and pages of
 * links for folders. `X-flat.vmdk` gives the bytes of the disk `X.vmdk` of whatever kind. Never rejects.
 */
export async function handleFolderRequest(request: FileRequest, access: FolderAccess): Promise<FileResponse> {
  try {
    return await answer(request, access);
  } catch (error) {
    return faultResponse(error);
  }
}

async function answer(request: FileRequest, access: FolderAccess): Promise<FileResponse> {
  const url = splitUrl(request.url);
  const below = url?.path.match(/^\/folder(?:\/(.*))?$/s);
  if (url === undefined || !below) return plainResponse(400, 'The URL is not valid.');
  if (!['GET', 'HEAD', 'PUT', 'DELETE'].includes(request.method)) {
    return plainResponse(405, 'Use GET, HEAD, PUT or DELETE.', { allow: 'GET, HEAD, PUT, DELETE' });
  }
  const reading = request.method === 'GET' || request.method === 'HEAD';
  const datacenter = url.query.get('dcPath') ?? undefined;
  const name = url.query.get('dsName') ?? undefined;
  if (name === undefined) {
    if (!reading || below[1]) return plainResponse(400, 'Say which datastore with dsName.');
    return (await refusal(access, {}, privileges.list)) ?? datastorePage(request, access, datacenter);
  }
  const privilege = request.method === 'DELETE' ? privileges.delete : reading ? privileges.list : privileges.write;
  const place = { datastore: name, datacenter };
  const refused = await refusal(access, place, privilege);
  if (refused) return refused;
  const elsewhere = access.elsewhere?.(name, datacenter);
  if (elsewhere !== undefined) {
    if (isHiddenPath(checkRelativePath(below[1] ?? ''))) throw faults.notFound(`[${name}] ${below[1]}`);
    // Whether it is a folder is not known here: one that may only be browsed is asked for with a slash.
    const file = reading && below[1] !== undefined && /[^/]$/.test(below[1]);
    return (file ? await refusal(access, place, privileges.read) : undefined) ?? (await elsewhere(request));
  }
  const root = access.datastores(datacenter).find((datastore) => datastore.name === name);
  if (root === undefined) throw faults.invalidDatastore(name.slice(0, 255));
  const path = checkRelativePath(below[1] ?? '');
  if (request.method === 'PUT') return put(request, access, root, path);
  if (request.method === 'DELETE') {
    await deleteFile(root, path, access.isBusy);
    return { status: 204, headers: {} };
  }
  return get(request, access, root, path, url.query);
}

interface Place {
  readonly datastore?: string;
  readonly datacenter?: string | undefined;
}

async function refusal(
  access: FolderAccess,
  { datastore, datacenter }: Place,
  privilege: string,
): Promise<FileResponse | undefined> {
  const verdict = await access.authorize(datastore, privilege, datacenter);
  if (verdict === 'ok') return undefined;
  if (verdict === 'denied') return plainResponse(403, `This needs the privilege ${privilege}.`);
  return plainResponse(401, 'Sign in first.', { 'www-authenticate': 'Basic realm="Datastore files", charset="UTF-8"' });
}

async function get(
  request: FileRequest,
  access: FolderAccess,
  root: DatastoreRoot,
  path: string,
  query: URLSearchParams,
): Promise<FileResponse> {
  if (isHiddenPath(path)) throw faults.notFound(shownPath(root, path));
  if (header(request, 'accept') === bundleType) return getBundle(request, access, root, path);
  const file = await openFileOrView(access, root, path);
  if (file === 'folder') {
    const rows = folderRows(path, await listFolder(root, path), `?${sameQuery(query)}`);
    return page(request, `Index of ${shownPath(root, path)}`, rows);
  }
  let refused: FileResponse | undefined;
  try {
    const place = { datastore: root.name, datacenter: query.get('dcPath') ?? undefined };
    refused = await refusal(access, place, privileges.read);
  } finally {
    if (refused !== undefined) await file.close();
  }
  if (refused) return refused;
  const extension = /\.([a-z]+)$/i.exec(splitPath(path).name)?.[1]?.toLowerCase() ?? '';
  return fileResponse(request, file, contentTypes[extension] ?? 'application/octet-stream');
}

/** A file, or a folder with all that is in it, as one stream. */
async function getBundle(
  request: FileRequest,
  access: FolderAccess,
  root: DatastoreRoot,
  path: string,
): Promise<FileResponse> {
  const datacenter = splitUrl(request.url)?.query.get('dcPath') ?? undefined;
  const refused = await refusal(access, { datastore: root.name, datacenter }, privileges.read);
  if (refused) return refused;
  checkOrdinaryPath(root, path);
  const disk = splitUrl(request.url)?.query.get('disk');
  if (disk === 'copy' || disk === 'move') {
    if (access.diskBundle === undefined) throw faults.notSupported('Disks are not sent here.');
    const sent = await access.diskBundle(root, path, disk === 'move');
    return { status: 200, headers: { 'content-type': bundleType }, body: writeBundle(sent, request.signal) };
  }
  if (access.isWritten !== undefined) await checkIdle(root, path, access.isWritten);
  const bundle = await fileBundle(root, path);
  const headers = { 'content-type': bundleType };
  if (request.method === 'HEAD') return { status: 200, headers };
  return { status: 200, headers, body: writeBundle(bundle, request.signal) };
}

async function openFileOrView(access: FolderAccess, root: DatastoreRoot, path: string): Promise<ServedFile | 'folder'> {
  try {
    return await openServedFile(root, path);
  } catch (error) {
    const disk = diskOfFlatName(path);
    if (disk === undefined || !(error instanceof VimFault) || error.type !== 'FileNotFound') throw error;
    return (await access.openFlatView?.(root, disk)) ?? (await openFlatView(root, disk));
  }
}

async function put(
  request: FileRequest,
  access: FolderAccess,
  root: DatastoreRoot,
  path: string,
): Promise<FileResponse> {
  const overwrite = !/^f(alse)?$/i.test(header(request, 'overwrite')?.trim() ?? 't');
  if (await access.isBusy(root, path)) throw faults.locked(shownPath(root, path));
  checkOrdinaryPath(root, path);
  // Folders that are not there are made: clients make folders by putting a file there (Ansible's vsphere_file).
  const made = await makeMissingFolders(root, splitPath(path).folder);
  let created: boolean;
  try {
    if (header(request, 'content-type') === bundleType) {
      const hidden = access.bringsHidden ?? false;
      await receiveBundle(root, path, request.body, { overwrite, hidden, signal: request.signal });
      return { status: 201, headers: { 'content-length': '0', location: folderUrl(path) } };
    }
    const contentLength = announcedLength(request);
    ({ created } = await receiveFile(root, path, request.body, { overwrite, contentLength, signal: request.signal }));
  } catch (error) {
    await removeEmptyFolders(root, made);
    throw error;
  }
  return created
    ? { status: 201, headers: { 'content-length': '0', location: folderUrl(path) } }
    : { status: 200, headers: { 'content-length': '0' } };
}

function datastorePage(request: FileRequest, access: FolderAccess, datacenter: string | undefined): FileResponse {
  const datacenters = access.datacenters();
  if (datacenter === undefined && datacenters.length > 1) {
    const rows = datacenters.map((name) => ({ href: `/folder?${new URLSearchParams({ dcPath: name })}`, text: name }));
    return page(request, 'Datacenters', rows);
  }
  const dcPath = datacenter ?? datacenters[0];
  const names = access.datastoreNames?.(dcPath) ?? access.datastores(dcPath).map(({ name }) => name);
  const rows = names.map((name) => {
    const query = new URLSearchParams({ ...(dcPath === undefined ? {} : { dcPath }), dsName: name });
    return { href: `/folder?${query}`, text: name };
  });
  return page(request, 'Datastores', rows);
}

function page(request: FileRequest, title: string, rows: Parameters<typeof indexPage>[1]): FileResponse {
  const body = indexPage(title, rows);
  const headers = {
    'content-type': 'text/html; charset=utf-8',
    'content-length': String(body.length),
    'content-security-policy': "default-src 'none'",
    'x-content-type-options': 'nosniff',
  };
  return request.method === 'HEAD' ? { status: 200, headers } : { status: 200, headers, body };
}

function sameQuery(query: URLSearchParams): URLSearchParams {
  const kept = new URLSearchParams();
  for (const name of ['dcPath', 'dsName']) {
    const value = query.get(name);
    if (value !== null) kept.set(name, value);
  }
  return kept;
}
