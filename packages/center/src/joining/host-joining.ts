import { data, fault, type HostConnectInfo, type VimFault } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import { hostOverlay } from '../hosts/connection/connection-overlay.ts';
import type { HostConnection } from '../hosts/connection/host-connection.ts';
import { readHostLayout } from '../hosts/mirror/host-layout.ts';
import type { NewMachinesPlace } from '../hosts/mirror/mirror-context.ts';
import { unknownState } from '../hosts/mirror/unknown-state.ts';
import { type HostAddress, type HostDocument, referenceOf } from '../inventory/entity-document.ts';
import type { InventoryEdit } from '../inventory/inventory.ts';
import { requireFreeName } from '../inventory/name-scope.ts';
import { plainResources } from '../pools/pool-allocation.ts';

/** Longest that names of datastores are waited for, milliseconds: another host that has one may be away. */
const namingTime = 5_000;

/** Where a new host goes. */
export type HostPlace =
  /** Alone, into a folder of hosts. */
  { readonly kind: 'standalone'; readonly folder: string } | { readonly kind: 'cluster'; readonly cluster: string };

export interface Newcomer {
  readonly name: string;
  readonly address: HostAddress;
  readonly connection: HostConnection;
  readonly identity: string;
  /** What the host says of itself, in nobody's references. */
  readonly info: HostConnectInfo;
}

export interface TakeInOptions {
  /** True for a host that is left alone until somebody reconnects it. */
  readonly disconnected?: boolean;
  readonly newMachines?: NewMachinesPlace;
  /** Who takes it in; empty for the center itself. */
  readonly userName?: string;
  readonly chainId?: number;
}

/** What a host says of itself at first contact. Throws HostConnectFault where it is no host. */
export async function meetHost(
  core: CenterCore,
  name: string,
  address: HostAddress,
  connection: HostConnection,
): Promise<Newcomer> {
  const { about } = await connection.content();
  if (about.apiType !== 'HostAgent' || about.instanceUuid === undefined)
    throw fault('HostConnectFault', {}, `What answers at ${name} is no host but a ${about.apiType}.`);
  const { host } = await readHostLayout(connection);
  const info = await connection.call(host, 'QueryHostConnectionInfo', {});
  const plain = core.rewriter.rewrite({ name: 'HostConnectInfo', array: false }, info, () => undefined);
  return { name, address, connection, identity: about.instanceUuid, info: plain as HostConnectInfo };
}

/** Puts a host into the inventory and follows it from then on; answers once all of it was taken over. */
export async function takeIn(
  core: CenterCore,
  { name, address, connection, identity, info }: Newcomer,
  place: HostPlace,
  signal: AbortSignal,
  { disconnected = false, newMachines, userName, chainId }: TakeInOptions = {},
): Promise<HostDocument> {
  const host = await core.inventory.edit((edit) => {
    mustBeNew(core, identity);
    const parent =
      place.kind === 'cluster' ? inCluster(edit, name, place.cluster) : standalone(edit, name, place.folder);
    const value = edit.mint('host-');
    const document: HostDocument = { type: 'HostSystem', value, name, parent, identity, address, disconnected };
    const said = { runtime: info.host.runtime, summary: info.host };
    // It shows a host from the first moment on, and after a restart before it could be followed.
    const shown = hostOverlay(said, document, 'disconnected');
    edit.put(document, { ...unknownState(core.schema, document), ...shown });
    edit.write(core.lastKnown.written(value, shown));
    const event = { type: 'HostAddedEvent', entity: referenceOf(document), userName, chainId } as const;
    edit.show((draft) => core.events.post(draft, event));
    return document;
  });
  if (disconnected) {
    await connection.close();
    return host;
  }
  await core.hosts.start(host, { first: connection, newMachines }).ready(signal);
  // Whoever waits for the host writes paths with the names of its datastores.
  await core.hosts.named(AbortSignal.any([signal, AbortSignal.timeout(namingTime)]));
  return host;
}

/** Throws AlreadyConnected when the center has the host. */
export function mustBeNew(core: CenterCore, identity: string): void {
  const known = hostOfIdentity(core, identity);
  if (known !== undefined)
    throw fault('AlreadyConnected', { name: known.name }, `The host is in this center already, as '${known.name}'.`);
}

export function hostOfIdentity(core: CenterCore, identity: string): HostDocument | undefined {
  for (const host of core.inventory.all('HostSystem')) if (host.identity === identity) return host;
  return undefined;
}

function inCluster(edit: InventoryEdit, name: string, cluster: string): string {
  const same = edit.children(cluster).find((child) => child.type === 'HostSystem' && child.name === name);
  if (same !== undefined) throw duplicateHost(same as HostDocument);
  return cluster;
}

function duplicateHost(host: HostDocument): VimFault {
  return fault(
    'DuplicateName',
    { name: host.name, object: referenceOf(host) },
    `There is a host '${host.name}' already.`,
  );
}

/** A compute resource of its own, with a root pool. Throws DuplicateName. */
export function standalone(edit: InventoryEdit, name: string, folder: string): string {
  const value = edit.mint('domain-s');
  const pool = edit.mint('resgroup-');
  const compute = {
    type: 'ComputeResource',
    value,
    name,
    parent: folder,
    pool,
    environmentBrowser: edit.mint('envbrowser-'),
    configuration: data('ComputeResourceConfigInfo', { vmSwapPlacement: 'vmDirectory' }),
  } as const;
  requireFreeName(edit, compute);
  edit.put(compute);
  edit.put({
    type: 'ResourcePool',
    value: pool,
    name: 'Resources',
    parent: value,
    owner: value,
    resources: plainResources(),
  });
  return value;
}
