import type { ResourceAllocationInfo } from '@hypostyle/vim';
import type { ServerSession } from '../connection/server-session.ts';
import type { Inventory, InventoryObject } from '../inventory/inventory.ts';
import { formatBytes, formatDuration } from '../output/format.ts';

/** Facts of an object: for programs, and as people read them. */
export interface ObjectInfo {
  readonly value: Readonly<Record<string, unknown>>;
  readonly shown: Readonly<Record<string, string | undefined>>;
}

/** What matters of an object that is no machine. */
export async function objectInfo(
  session: ServerSession,
  inventory: Inventory,
  object: InventoryObject,
): Promise<ObjectInfo> {
  const common = {
    id: object.ref.value,
    type: object.ref.type as string,
    name: object.name,
    inventoryPath: object.path,
  };
  const { value, shown } = await factsOf(session, inventory, object);
  return { value: { ...common, ...value }, shown: { ...common, ...shown } };
}

function factsOf(session: ServerSession, inventory: Inventory, object: InventoryObject): Promise<ObjectInfo> {
  switch (object.ref.type) {
    case 'HostSystem':
      return hostFacts(session, inventory, object as InventoryObject<'HostSystem'>);
    case 'Datastore':
      return datastoreFacts(session, object as InventoryObject<'Datastore'>);
    case 'ResourcePool':
      return poolFacts(session, inventory, object as InventoryObject<'ResourcePool'>);
    default:
      return containerFacts(inventory, object);
  }
}

async function hostFacts(
  { client }: ServerSession,
  inventory: Inventory,
  object: InventoryObject<'HostSystem'>,
): Promise<ObjectInfo> {
  const [found] = await client.retrieve(object.ref, ['summary', 'runtime', 'vm', 'datastore']);
  const { summary, runtime, vm = [], datastore = [] } = found?.values ?? {};
  const { hardware, config, quickStats, managementServerIp } = summary ?? {};
  const datastores = datastore.flatMap(({ value }) => inventory.byId(value)?.name ?? []);
  const value = {
    state: runtime?.connectionState,
    maintenanceMode: runtime?.inMaintenanceMode ?? false,
    power: runtime?.powerState,
    bootTime: runtime?.bootTime,
    vendor: hardware?.vendor,
    model: hardware?.model,
    cpuModel: hardware?.cpuModel,
    cores: hardware?.numCpuCores,
    threads: hardware?.numCpuThreads,
    memoryBytes: hardware === undefined ? undefined : Number(hardware.memorySize),
    memoryUsedMiB: quickStats?.overallMemoryUsage,
    cpuUsedMHz: quickStats?.overallCpuUsage,
    product: config?.product?.fullName,
    thumbprint: config?.sslThumbprint,
    managedBy: managementServerIp,
    machines: vm.length,
    datastores,
  };
  return {
    value,
    shown: {
      state: `${value.state ?? 'unknown'}${value.maintenanceMode ? ', in maintenance mode' : ''}`,
      running: value.bootTime && `for ${formatDuration(Date.now() - Date.parse(value.bootTime))}`,
      hardware: [value.vendor, value.model].filter(Boolean).join(' '),
      processor: value.cpuModel && `${value.cpuModel}, ${value.cores} cores, ${value.threads} threads`,
      memory:
        value.memoryBytes === undefined
          ? undefined
          : `${formatBytes(value.memoryBytes)}${value.memoryUsedMiB === undefined ? '' : `, ${formatBytes(value.memoryUsedMiB * 2 ** 20)} used`}`,
      product: value.product,
      thumbprint: value.thumbprint,
      'managed by': value.managedBy,
      machines: String(value.machines),
      datastores: datastores.join(', '),
    },
  };
}

async function datastoreFacts({ client }: ServerSession, { ref }: InventoryObject<'Datastore'>): Promise<ObjectInfo> {
  const [found] = await client.retrieve(ref, ['summary', 'vm', 'host']);
  const { summary, vm = [], host = [] } = found?.values ?? {};
  const value = {
    url: summary?.url,
    accessible: summary?.accessible,
    capacity: summary && Number(summary.capacity),
    free: summary && Number(summary.freeSpace),
    machines: vm.length,
    hosts: host.length,
  };
  return {
    value,
    shown: {
      url: value.url,
      room:
        value.capacity === undefined
          ? undefined
          : `${formatBytes(value.free ?? 0)} of ${formatBytes(value.capacity)} free`,
      accessible: value.accessible ? 'yes' : 'no',
      machines: String(value.machines),
      hosts: String(value.hosts),
    },
  };
}

async function poolFacts(
  { client }: ServerSession,
  inventory: Inventory,
  object: InventoryObject<'ResourcePool'>,
): Promise<ObjectInfo> {
  const [found] = await client.retrieve(object.ref, ['config', 'vm']);
  const { config, vm = [] } = found?.values ?? {};
  const { cpuAllocation, memoryAllocation } = config ?? {};
  return {
    value: { cpu: allocationOf(cpuAllocation), memory: allocationOf(memoryAllocation), machines: vm.length },
    shown: {
      cpu: allocationText(cpuAllocation, 'MHz'),
      memory: allocationText(memoryAllocation, 'MiB'),
      machines: String(vm.length),
      pools: String(inventory.childrenOf(object).length),
    },
  };
}

/** What a pool gets, without the names of the interface's types. */
function allocationOf(allocation: ResourceAllocationInfo | undefined) {
  if (allocation === undefined) return undefined;
  const { reservation, expandableReservation, limit, shares } = allocation;
  return {
    reservation,
    expandableReservation,
    limit,
    shares: shares && { shares: shares.shares, level: shares.level },
  };
}

/** What a pool gets, in a line. */
export function allocationText(allocation: ResourceAllocationInfo | undefined, unit: string): string | undefined {
  if (allocation === undefined) return undefined;
  const { reservation = 0, limit = -1, shares } = allocation;
  const most = Number(limit) < 0 ? 'none' : `${Number(limit)} ${unit}`;
  const level = shares?.level === 'custom' ? String(shares.shares) : (shares?.level ?? 'normal');
  return `${Number(reservation)} ${unit} reserved, limit ${most}, shares ${level}`;
}

async function containerFacts(inventory: Inventory, object: InventoryObject): Promise<ObjectInfo> {
  const count = (kind: 'VirtualMachine' | 'HostSystem' | 'Datastore') =>
    inventory.all(kind).filter((one) => inventory.isBelow(one, object)).length;
  const value = {
    children: inventory.childrenOf(object).map(({ name }) => name),
    machines: count('VirtualMachine'),
    hosts: count('HostSystem'),
    datastores: count('Datastore'),
  };
  return {
    value,
    shown: {
      children: value.children.join(', '),
      machines: String(value.machines),
      hosts: String(value.hosts),
      datastores: String(value.datastores),
    },
  };
}
