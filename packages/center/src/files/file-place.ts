import { formatDatastorePath, parseDatastorePath } from '@hypostyle/services';
import { fault, type ManagedObjectReference } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import type { HostLink } from '../hosts/connection/host-link.ts';
import type { DatacenterDocument, DatastoreDocument, EntityDocument } from '../inventory/entity-document.ts';
import { datacenterAt } from '../inventory/inventory-path.ts';

/** A file or folder of a datastore of the center. */
export interface FilePlace {
  readonly datastore: DatastoreDocument;
  /** `[datastore] path`. */
  readonly path: string;
}

/**
 * Where a name given to a file manager leads: `[datastore] path` in the datacenter, or a URL of the file face, which
 * says its datacenter itself. Throws InvalidDatastorePath, InvalidDatastore, InvalidArgument for a datacenter that is
 * needed and is not said.
 */
export function filePlace(
  core: CenterCore,
  name: string,
  datacenter: ManagedObjectReference | undefined,
  argument = 'datacenter',
): FilePlace {
  const url = /^https?:\/\//i.test(name) ? fileUrl(name) : undefined;
  const { datastore, path } = url ?? parseDatastorePath(name);
  const within =
    url?.datacenter === undefined
      ? datacenter && core.inventory.get('Datacenter', datacenter)
      : datacenterAt(core, url.datacenter);
  if (within === undefined && url?.datacenter !== undefined)
    throw fault('InvalidArgument', { invalidProperty: 'name' }, `There is no datacenter '${url.datacenter}' here.`);
  const found = datastoresNamed(core, datastore, within);
  const [first] = found;
  if (first === undefined)
    throw fault('InvalidDatastore', { name: datastore }, `There is no datastore '${datastore}' here.`);
  if (found.length > 1)
    throw fault(
      'InvalidArgument',
      { invalidProperty: argument },
      `Several datacenters have a datastore '${datastore}'; say which one is meant.`,
    );
  return { datastore: first, path: formatDatastorePath({ datastore, path }) };
}

/** Datastores of a name, of one datacenter or of all. */
export function datastoresNamed(
  core: Pick<CenterCore, 'inventory'>,
  name: string,
  datacenter: DatacenterDocument | undefined,
): DatastoreDocument[] {
  const { inventory } = core;
  if (datacenter === undefined) return [...inventory.all('Datastore')].filter((datastore) => datastore.name === name);
  const below = (folder: string): EntityDocument[] =>
    inventory.children(folder).flatMap((child) => (child.type === 'Folder' ? below(child.value) : [child]));
  return below(datacenter.datastoreFolder).filter(
    (child): child is DatastoreDocument => child.type === 'Datastore' && child.name === name,
  );
}

/**
 * The line to a connected host that has all those datastores; the host of this process before others. Throws
 * HostNotConnected where none that has them is connected, NotSupported where no host has them all.
 */
export function hostOfDatastores(core: CenterCore, datastores: readonly DatastoreDocument[]): HostLink {
  const [first, ...others] = datastores.map(({ value }) => core.hosts.shared.hostsOf(value));
  const hosts = (first ?? []).filter((host) => others.every((has) => has.includes(host)));
  const links = hosts.flatMap((host) => core.hosts.link(host) ?? []).filter((link) => link.connected);
  const local = links.find(({ host }) => core.inventory.get('HostSystem', { value: host }).address.local);
  const link = local ?? links[0];
  if (link !== undefined) return link;
  const names = [...new Set(datastores.map(({ name }) => `'${name}'`))].join(' and ');
  if (hosts.length > 0 || datastores.length < 2)
    throw fault('HostNotConnected', {}, `No host that has ${names} is connected; wait until one is back.`);
  throw fault('NotSupported', {}, `No host has both ${names}; it is no one host's to do.`);
}

function fileUrl(text: string): { readonly datastore: string; readonly path: string; readonly datacenter?: string } {
  const invalid = () =>
    fault('InvalidDatastorePath', { datastorePath: text.slice(0, 2_048) }, 'The URL names no file.');
  if (!URL.canParse(text)) throw invalid();
  const { pathname, searchParams } = new URL(text);
  const datastore = searchParams.get('dsName') ?? '';
  const datacenter = searchParams.get('dcPath');
  if (!pathname.startsWith('/folder') || datastore === '') throw invalid();
  let path: string;
  try {
    path = decodeURIComponent(pathname.slice('/folder'.length)).replace(/^\//, '');
  } catch {
    throw invalid();
  }
  const parsed = parseDatastorePath(formatDatastorePath({ datastore, path }));
  return { ...parsed, ...(datacenter === null ? {} : { datacenter }) };
}
