import { parseDatastorePath } from '@hypostyle/services';
import {
  fault,
  type HostListSummary,
  type HostRuntimeInfo,
  type ManagedObjectReference,
  type VirtualMachineConfigSpec,
} from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import { type HostDocument, isPool, type PoolDocument, referenceOf } from '../inventory/entity-document.ts';
import { entityName } from '../inventory/entity-name.ts';
import { privilegeScope } from '../inventory/privilege-scope.ts';

/** Where a new machine comes to. Reference values. */
export interface MachinePlace {
  /** Undefined in a vApp. */
  readonly folder: string | undefined;
  readonly pool: string;
  readonly host: string;
}

/** What a client says of the place of a new machine. */
export interface AskedPlace {
  readonly folder: ManagedObjectReference | undefined;
  readonly pool: ManagedObjectReference;
  readonly host: ManagedObjectReference | undefined;
  /** Datastores that it needs, by name or reference. */
  readonly datastores: readonly (string | ManagedObjectReference)[];
  /** Hosts that a rule of the cluster asks for or against, where one can be chosen. */
  readonly wish?: HostWish;
}

/** Hosts, by reference value, that a machine had better be on, and better not; as far as it goes. */
export interface HostWish {
  readonly together: ReadonlySet<string>;
  readonly apart: ReadonlySet<string>;
}

/**
 * A place for a new machine: on the host that was asked for, or on the least loaded one that can take it. Throws
 * InvalidArgument, NotSupported for a folder of other things, InvalidDatastore, InvalidState, HostNotConnected.
 */
export function choosePlace(core: CenterCore, asked: AskedPlace): MachinePlace {
  const { inventory } = core;
  const pool = poolOf(core, asked.pool);
  const owner = { value: pool.owner };
  const datacenter = inventory.above(pool.owner, ['Datacenter']);
  const folder = asked.folder ?? (pool.type === 'VirtualApp' ? undefined : vmFolderOf(datacenter));
  if (folder !== undefined) {
    mustHoldMachines(core, folder);
    if (inventory.above(folder.value, ['Datacenter'])?.value !== datacenter?.value)
      throw fault(
        'InvalidArgument',
        { invalidProperty: 'pool' },
        'The folder and the resource pool are in different datacenters.',
      );
  }
  const hosts = inventory.children(owner.value).filter((child): child is HostDocument => child.type === 'HostSystem');
  const scope = privilegeScope(core);
  const needed = asked.datastores.map((one) =>
    typeof one === 'string' ? scope.datastore(one, { type: 'ComputeResource', ...owner }).value : one.value,
  );
  const host =
    asked.host === undefined ? freest(core, hosts, needed, asked.wish) : given(core, hosts, asked.host, needed);
  return { folder: folder?.value, pool: pool.value, host: host.value };
}

/** Names and references of the datastores that a spec's files are on. */
export function datastoresOf(spec: VirtualMachineConfigSpec): (string | ManagedObjectReference)[] {
  const found = new Map<string, string | ManagedObjectReference>();
  const path = spec.files?.vmPathName;
  const paths = path === undefined || path === '' ? [] : [path];
  for (const { device, operation } of spec.deviceChange ?? []) {
    if (operation === 'remove') continue;
    const backing = (device.backing ?? {}) as { fileName?: string; datastore?: ManagedObjectReference };
    if (backing.datastore !== undefined) found.set(backing.datastore.value, backing.datastore);
    if (backing.fileName?.startsWith('[') && !backing.fileName.startsWith('[]')) paths.push(backing.fileName);
  }
  for (const each of paths) {
    const { datastore } = parseDatastorePath(each);
    found.set(`[${datastore}]`, datastore);
  }
  return [...found.values()];
}

/** The name of a machine as it is kept. Throws InvalidName for what can be none. */
export function machineName(written: string): string {
  const name = entityName(written);
  if (!/[\u0000-\u001f\u007f]/.test(name)) return name;
  throw fault('InvalidName', { name: written.slice(0, 200) }, 'A name has no control characters.');
}

export function poolOf(core: Pick<CenterCore, 'inventory'>, ref: ManagedObjectReference): PoolDocument {
  const document = core.inventory.find(ref.value);
  if (isPool(document)) return document;
  throw fault('ManagedObjectNotFound', { obj: ref }, `There is no resource pool ${ref.value} here.`);
}

function vmFolderOf(datacenter: { readonly vmFolder: string } | undefined) {
  return datacenter && { type: 'Folder', value: datacenter.vmFolder };
}

function mustHoldMachines(core: CenterCore, ref: ManagedObjectReference): void {
  const folder = core.inventory.get('Folder', ref);
  if (!folder.childType.includes('VirtualMachine'))
    throw fault('NotSupported', {}, `The folder '${folder.name}' is not for virtual machines.`);
}

function given(
  core: CenterCore,
  hosts: readonly HostDocument[],
  ref: ManagedObjectReference,
  needed: readonly string[],
): HostDocument {
  const host = hosts.find(({ value }) => value === ref.value);
  if (host === undefined)
    throw fault(
      'InvalidArgument',
      { invalidProperty: 'host' },
      'The host is not one of the compute resource that the pool belongs to.',
    );
  core.hosts.connected(host.value);
  if (inMaintenance(core, host))
    throw fault('InvalidState', {}, `The host '${host.name}' is in maintenance mode; take it out of it first.`);
  mustHave(core, [host], needed);
  return host;
}

function freest(
  core: CenterCore,
  hosts: readonly HostDocument[],
  needed: readonly string[],
  wish: HostWish | undefined,
): HostDocument {
  const connected = hosts.filter(({ value }) => core.hosts.link(value)?.connected === true);
  const [first] = hosts;
  if (connected.length === 0) {
    if (first !== undefined) core.hosts.connected(first.value);
    throw fault('InvalidState', {}, 'The cluster has no host.');
  }
  const [best] = mustHave(core, connected, needed)
    .filter((host) => !inMaintenance(core, host))
    .map((host) => ({ host, load: loadOf(core, host) }))
    .sort(
      (a, b) =>
        against(a.host, wish) - against(b.host, wish) ||
        a.load.memory - b.load.memory ||
        a.load.machines - b.load.machines,
    );
  if (best === undefined)
    throw fault('InvalidState', {}, 'Every host that could take the machine is in maintenance mode.');
  return best.host;
}

/** How many rules a machine on the host would break. */
function against({ value }: HostDocument, wish: HostWish | undefined): number {
  if (wish === undefined) return 0;
  const alone = wish.together.size > 0 && !wish.together.has(value);
  return (alone ? 1 : 0) + (wish.apart.has(value) ? 1 : 0);
}

/** Hosts that have all those datastores. Throws InvalidDatastore when there is none. */
function mustHave(core: CenterCore, hosts: readonly HostDocument[], needed: readonly string[]): HostDocument[] {
  const having = hosts.filter(({ value }) =>
    needed.every((datastore) => core.hosts.shared.hostsOf(datastore).includes(value)),
  );
  if (having.length > 0) return having;
  const missing = needed.find((datastore) =>
    hosts.every(({ value }) => !core.hosts.shared.hostsOf(datastore).includes(value)),
  );
  const document = core.inventory.find(missing ?? needed[0] ?? '');
  const name = document?.name ?? '';
  throw fault(
    'InvalidDatastore',
    { name, ...(document?.type === 'Datastore' ? { datastore: referenceOf(document) } : {}) },
    needed.length > 1
      ? 'No host of the compute resource has all the datastores that the files are on.'
      : `No host of the compute resource that is connected has the datastore '${name}'.`,
  );
}

function inMaintenance(core: CenterCore, host: HostDocument): boolean {
  const runtime = core.registry.get(referenceOf(host))?.value('runtime') as HostRuntimeInfo | undefined;
  return runtime?.inMaintenanceMode === true;
}

/** Part of the memory that is in use, then how many machines there are, those that are just coming among them. */
function loadOf(core: CenterCore, host: HostDocument) {
  const summary = core.registry.get(referenceOf(host))?.value('summary') as HostListSummary | undefined;
  const used = (summary?.quickStats?.overallMemoryUsage ?? 0) * 2 ** 20;
  const all = Number(summary?.hardware?.memorySize ?? 0);
  const machines = core.inventory.machinesOnHost(host.value).length;
  // In tenths, so that a little more memory does not outweigh many machines that are still off.
  return { memory: all === 0 ? 0 : Math.floor((used / all) * 10), machines };
}
