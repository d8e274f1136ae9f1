import { data, fault } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import { plainResources } from '../entities/pool-values.ts';
import type { HostConnection } from '../hosts/host-connection.ts';
import { type HostLayout, readHostLayout } from '../hosts/host-layout.ts';
import { type HostAddress, type HostDocument, referenceOf } from '../inventory/entity-document.ts';
import type { InventoryEdit } from '../inventory/inventory.ts';

/** Where a new host goes. */
export type HostPlace =
  /** Alone, into a folder of hosts. */
  { readonly kind: 'standalone'; readonly folder: string } | { readonly kind: 'cluster'; readonly cluster: string };

export interface Newcomer {
  readonly name: string;
  readonly address: HostAddress;
  readonly connection: HostConnection;
  readonly layout: HostLayout;
  readonly identity: string;
}

/** What a host says of itself at first contact. Throws HostConnectFault where it is no host. */
export async function meetHost(name: string, address: HostAddress, connection: HostConnection): Promise<Newcomer> {
  const { about } = await connection.content();
  if (about.apiType !== 'HostAgent' || about.instanceUuid === undefined)
    throw fault('HostConnectFault', {}, `What answers at ${name} is no host but a ${about.apiType}.`);
  return { name, address, connection, layout: await readHostLayout(connection), identity: about.instanceUuid };
}

/** Puts a host into the inventory and follows it from then on; answers once all of it was taken over. */
export async function takeIn(
  core: CenterCore,
  { name, address, connection, identity }: Newcomer,
  place: HostPlace,
  signal: AbortSignal,
): Promise<HostDocument> {
  const host = await core.inventory.edit((edit) => {
    mustBeNew(core, identity);
    const parent = place.kind === 'cluster' ? place.cluster : standalone(edit, name, place.folder);
    const document: HostDocument = {
      type: 'HostSystem',
      value: edit.mint('host-'),
      name,
      parent,
      identity,
      address,
      disconnected: false,
    };
    edit.put(document);
    edit.show((draft) => core.events.post(draft, { type: 'HostAddedEvent', entity: referenceOf(document) }));
    return document;
  });
  const link = core.hosts.start(host, { first: connection });
  await link.ready(signal);
  return host;
}

/** Throws AlreadyConnected when the center has the host. */
export function mustBeNew(core: CenterCore, identity: string): void {
  for (const host of core.inventory.all('HostSystem')) {
    if (host.identity === identity)
      throw fault('AlreadyConnected', { name: host.name }, `The host is in this center already, as '${host.name}'.`);
  }
}

/** A compute resource of its own, with a root pool. */
function standalone(edit: InventoryEdit, name: string, folder: string): string {
  const value = edit.mint('domain-s');
  const pool = edit.mint('resgroup-');
  edit.put({
    type: 'ComputeResource',
    value,
    name,
    parent: folder,
    pool,
    environmentBrowser: edit.mint('envbrowser-'),
    configuration: data('ComputeResourceConfigInfo', { vmSwapPlacement: 'vmDirectory' }),
  });
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
