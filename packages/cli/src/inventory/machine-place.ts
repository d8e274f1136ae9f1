import type { ManagedObjectReference } from '@hypostyle/vim';
import type { ServerSession } from '../connection/server-session.ts';
import { CliError } from '../errors.ts';
import type { Inventory, InventoryObject } from './inventory.ts';
import { loadInventory } from './load-inventory.ts';

/** What a person says about where a machine goes: names, paths or ids. */
export interface PlaceChoice {
  readonly datacenter?: string | undefined;
  readonly folder?: string | undefined;
  /** A resource pool, a vApp, or a cluster or host for its root pool. */
  readonly pool?: string | undefined;
  readonly host?: string | undefined;
  /** Only hosts that have it are considered. */
  readonly datastore?: string | undefined;
}

export interface MachinePlace {
  readonly inventory: Inventory;
  readonly datacenter: InventoryObject<'Datacenter'>;
  readonly folder: ManagedObjectReference<'Folder'>;
  readonly pool: ManagedObjectReference<'ResourcePool'>;
  readonly host: ManagedObjectReference<'HostSystem'>;
  /** Ids of the datastores that the host has. */
  readonly datastores: ReadonlySet<string>;
  /** Ids of the networks that the host has. */
  readonly networks: ReadonlySet<string>;
}

/**
 * Where a new machine goes: what the person says, and for the rest the only datacenter, its machines' folder, the host
 * with most free memory, and its root pool. Throws `usage` where it cannot be guessed, `failed` where there is none.
 */
export async function machinePlace(session: ServerSession, choice: PlaceChoice = {}): Promise<MachinePlace> {
  const inventory = await loadInventory(session);
  const { folder, pool, host } = choice;
  const named = {
    datacenter: choice.datacenter === undefined ? undefined : inventory.find('Datacenter', choice.datacenter),
  };
  const scope = { within: named.datacenter };
  const chosen = {
    ...named,
    folder: folder === undefined ? undefined : inventory.find('Folder', folder, scope),
    pool: pool === undefined ? undefined : inventory.find(['ResourcePool', 'ComputeResource'], pool, scope),
    host: host === undefined ? undefined : inventory.find('HostSystem', host, scope),
  };
  const datacenter = datacenterOf(inventory, chosen);
  const candidate = await chooseHost(session, inventory, datacenter, chosen, choice.datastore);
  const compute = inventory.within(candidate, 'ComputeResource');
  const rootPool = compute && inventory.all('ResourcePool').find((one) => inventory.parentOf(one) === compute);
  const own = chosen.pool !== undefined && inventory.within(chosen.pool, 'ResourcePool');
  const into = own || rootPool;
  const vmFolder =
    chosen.folder?.ref ?? (await session.client.retrieve(datacenter.ref, ['vmFolder']))[0]?.values.vmFolder;
  if (into === undefined || vmFolder === undefined) {
    throw new CliError('failed', `${datacenter.path} shows no resource pool or no folder of machines.`, {
      next: 'The account may lack rights; sign in as somebody else with --username.',
    });
  }
  return {
    inventory,
    datacenter,
    folder: vmFolder as ManagedObjectReference as ManagedObjectReference<'Folder'>,
    pool: into.ref,
    host: candidate.ref,
    datastores: candidate.datastores,
    networks: candidate.networks,
  };
}

interface Chosen {
  readonly datacenter: InventoryObject | undefined;
  readonly folder: InventoryObject | undefined;
  readonly pool: InventoryObject | undefined;
  readonly host: InventoryObject | undefined;
}

/** The datacenter of all that was chosen, or the only one that has hosts. */
export function datacenterOf(inventory: Inventory, chosen: Chosen): InventoryObject<'Datacenter'> {
  const said = [chosen.datacenter, chosen.host, chosen.pool, chosen.folder].flatMap(
    (object) => (object && inventory.within(object, 'Datacenter')) ?? [],
  );
  const paths = [...new Set(said.map(({ path }) => path))];
  if (paths.length > 1) {
    throw new CliError('usage', `What you name lies in different datacenters: ${paths.join(', ')}.`, {
      next: 'Choose folder, pool and host of one datacenter.',
    });
  }
  const [first] = said;
  if (first !== undefined) return first;
  const withHosts = [
    ...new Set(inventory.all('HostSystem').flatMap((host) => inventory.within(host, 'Datacenter') ?? [])),
  ];
  const [only] = withHosts;
  if (only === undefined) {
    throw new CliError('failed', 'The server has no host that machines could be put on.', {
      next: "Take one in with 'hypo host join'.",
    });
  }
  if (withHosts.length > 1) {
    throw new CliError('usage', `The server has ${withHosts.length} datacenters with hosts.`, {
      next: `Say which with --datacenter: ${withHosts.map(({ path }) => path).join(', ')}.`,
    });
  }
  return only;
}

interface HostCandidate {
  readonly ref: ManagedObjectReference<'HostSystem'>;
  readonly path: string;
  /** Bytes. */
  readonly freeMemory: number;
  /** Why nothing can be put there, a few words. */
  readonly obstacle?: string;
  readonly datastores: ReadonlySet<string>;
  readonly networks: ReadonlySet<string>;
}

async function chooseHost(
  session: ServerSession,
  inventory: Inventory,
  datacenter: InventoryObject,
  chosen: Chosen,
  datastore: string | undefined,
): Promise<HostCandidate> {
  const around = chosen.host ?? (chosen.pool && inventory.within(chosen.pool, 'ComputeResource')) ?? datacenter;
  const hosts = inventory.all('HostSystem').filter((host) => inventory.isBelow(host, around));
  const store = datastore === undefined ? undefined : inventory.find('Datastore', datastore, { within: datacenter });
  const candidates = await describeHosts(session, hosts);
  const usable = candidates.filter(
    ({ obstacle, datastores }) => obstacle === undefined && (store === undefined || datastores.has(store.ref.value)),
  );
  const roomiest = pickHost(usable);
  if (roomiest !== undefined) return roomiest;
  const reasons = candidates.map(
    ({ path, obstacle }) => `${path} ${obstacle ?? `has no datastore '${datastore ?? ''}'`}`,
  );
  throw new CliError('failed', `No host takes the machine${reasons.length > 0 ? `: ${reasons.join(', ')}` : ''}.`, {
    next: "'hypo host ls' shows their states.",
  });
}

/** The one with most free memory, to the GiB; among equals the first. */
export function pickHost<T extends Pick<HostCandidate, 'freeMemory' | 'path'>>(usable: readonly T[]): T | undefined {
  const room = ({ freeMemory }: T) => Math.floor(freeMemory / 2 ** 30);
  return [...usable].sort((a, b) => room(b) - room(a) || a.path.localeCompare(b.path, 'en', { numeric: true }))[0];
}

async function describeHosts(
  { client }: ServerSession,
  hosts: readonly InventoryObject<'HostSystem'>[],
): Promise<HostCandidate[]> {
  if (hosts.length === 0) return [];
  const found = await client.retrieve(
    hosts.map(({ ref }) => ref),
    ['summary', 'runtime', 'datastore', 'network'],
  );
  return found.map(({ ref, values }) => {
    const { summary, runtime, datastore = [], network = [] } = values;
    const used = (summary?.quickStats.overallMemoryUsage ?? 0) * 2 ** 20;
    const obstacle =
      runtime?.connectionState !== 'connected'
        ? `is ${runtime?.connectionState ?? 'not shown'}`
        : runtime.inMaintenanceMode
          ? 'is in maintenance mode'
          : undefined;
    return {
      ref,
      path: hosts.find((host) => host.ref.value === ref.value)?.path ?? ref.value,
      freeMemory: Number(summary?.hardware?.memorySize ?? 0) - used,
      ...(obstacle === undefined ? {} : { obstacle }),
      datastores: new Set(datastore.map(({ value }) => value)),
      networks: new Set(network.map(({ value }) => value)),
    };
  });
}
