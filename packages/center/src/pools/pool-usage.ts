import {
  data,
  type HostListSummary,
  type HostRuntimeInfo,
  type ResourceConfigSpec,
  type ResourcePoolQuickStats,
  type ResourcePoolResourceUsage,
  type ResourcePoolRuntimeInfo,
  type VirtualMachineConfigInfo,
  type VirtualMachineRuntimeInfo,
  type VirtualMachineSummary,
} from '@hypostyle/vim';
import type { CenterBase } from '../center-base.ts';
import { type MachineDocument, type PoolDocument, referenceOf } from '../inventory/entity-document.ts';
import { allocationOf, insufficient, type Resource, reservationOf, resources } from './pool-allocation.ts';
import { isRoot, type PoolTree, poolAt, poolsIn } from './pool-tree.ts';

type Capacity = Readonly<Record<Resource, number>>;
/** Of machines, by pool. */
interface Sums {
  /** Version of the registry that they are of. */
  readonly version: number;
  /** In the pool itself. */
  readonly reserved: Map<string, Capacity>;
  /** In the pool and below. */
  readonly stats: Map<string, ResourcePoolQuickStats>;
}

/** Bytes of a unit in which `ResourcePoolResourceUsage` tells of it: MHz are told as MHz. */
const scales: Capacity = { cpu: 1, memory: 2 ** 20 };

/** What pools reserve and use, from the configuration and the last look at the machines in them. MHz and MiB. */
export class PoolUsage {
  readonly #core: CenterBase;
  #sums: Sums = { version: -1, reserved: new Map(), stats: new Map() };

  constructor(core: CenterBase) {
    this.#core = core;
  }

  /** A root pool has what its hosts have that machines may use now. */
  config(pool: PoolDocument): ResourceConfigSpec {
    const entity = { entity: referenceOf(pool) as never };
    if (!isRoot(pool)) return { ...pool.resources, ...entity };
    const has = this.#capacity(pool.owner);
    const all = (resource: Resource) => {
      const amount = BigInt(has[resource]);
      return { ...allocationOf(pool.resources, resource), reservation: amount, limit: amount };
    };
    return { ...pool.resources, ...entity, cpuAllocation: all('cpu'), memoryAllocation: all('memory') };
  }

  runtime(pool: PoolDocument): ResourcePoolRuntimeInfo {
    const { inventory } = this.#core;
    const stats = this.quickStats(pool);
    const usage = (resource: Resource, overallUsage: number): ResourcePoolResourceUsage => {
      const scale = scales[resource];
      const value = (amount: number) => BigInt(Math.trunc(amount * scale));
      const left = Math.max(0, this.unreserved(inventory, pool, resource));
      return data('ResourcePoolResourceUsage', {
        reservationUsed: value(this.#reserved(inventory, pool, resource)),
        reservationUsedForVm: value(this.#reservedByMachines(inventory, pool.value, resource)),
        unreservedForPool: value(left),
        unreservedForVm: value(left),
        overallUsage: value(overallUsage),
        maxUsage: value(this.#most(pool, resource)),
      });
    };
    return data('ResourcePoolRuntimeInfo', {
      memory: usage('memory', Number(stats.hostMemoryUsage ?? 0)),
      cpu: usage('cpu', Number(stats.overallCpuUsage ?? 0)),
      overallStatus: 'green',
      sharesScalable: 'none',
    });
  }

  quickStats(pool: PoolDocument): ResourcePoolQuickStats {
    const { stats } = this.#sumsNow();
    const known = stats.get(pool.value) ?? this.#quickStats(pool);
    stats.set(pool.value, known);
    return known;
  }

  /** What was summed up since the last commit: thousands of machines are looked at once. */
  #sumsNow(): Sums {
    const { version } = this.#core.registry;
    if (this.#sums.version !== version) this.#sums = { version, reserved: new Map(), stats: new Map() };
    return this.#sums;
  }

  #quickStats(pool: PoolDocument): ResourcePoolQuickStats {
    const sums = {
      overallCpuUsage: 0,
      overallCpuDemand: 0,
      guestMemoryUsage: 0,
      hostMemoryUsage: 0,
      privateMemory: 0,
      sharedMemory: 0,
      swappedMemory: 0,
      balloonedMemory: 0,
      consumedOverheadMemory: 0,
    };
    for (const machine of this.#machinesBelow(pool.value)) {
      if (this.#runtime(machine)?.powerState !== 'poweredOn') continue;
      const stats = this.#summary(machine)?.quickStats;
      for (const name of Object.keys(sums) as (keyof typeof sums)[]) sums[name] += stats?.[name] ?? 0;
    }
    return data('ResourcePoolQuickStats', sums);
  }

  /** Memory of the machines in the pool and below, on or off, in MiB. */
  configuredMemory(pool: PoolDocument): number {
    let sum = 0;
    for (const machine of this.#machinesBelow(pool.value)) sum += this.#summary(machine)?.config.memorySizeMB ?? 0;
    return sum;
  }

  /** What may still be reserved in a pool, but for what one of its children has now. Less than nothing where it shrank. */
  unreserved(tree: PoolTree, pool: PoolDocument, resource: Resource, except?: string): number {
    const own = this.#reservation(pool, resource) - this.#reserved(tree, pool, resource, except);
    if (isRoot(pool) || allocationOf(pool.resources, resource).expandableReservation === false) return own;
    return own + Math.max(0, this.unreserved(tree, poolAt(tree, pool.parent ?? ''), resource));
  }

  /** Throws InsufficientCpuResourcesFault or InsufficientMemoryResourcesFault where a child asks for more than is left. */
  checkReservation(
    tree: PoolTree,
    pool: PoolDocument,
    { requested, except }: { readonly requested: Capacity; readonly except?: string },
  ): void {
    for (const resource of resources) {
      if (requested[resource] <= 0) continue;
      const left = this.unreserved(tree, pool, resource, except);
      if (requested[resource] > left) throw insufficient(resource, Math.max(0, left), requested[resource]);
    }
  }

  /** What a pool's children reserve must fit into what it has. */
  checkFits(tree: PoolTree, pool: PoolDocument): void {
    for (const resource of resources) {
      const left = this.unreserved(tree, pool, resource);
      const used = this.#reserved(tree, pool, resource);
      if (left < 0 && used > 0) throw insufficient(resource, used + left, used);
    }
  }

  /** What a machine reserves while it runs. */
  reservedBy(machine: MachineDocument): Capacity {
    if (this.#runtime(machine)?.powerState !== 'poweredOn') return { cpu: 0, memory: 0 };
    const config = this.#core.registry.get(referenceOf(machine))?.value('config') as
      | VirtualMachineConfigInfo
      | undefined;
    return {
      cpu: Number(config?.cpuAllocation?.reservation ?? 0),
      memory: Number(config?.memoryAllocation?.reservation ?? 0),
    };
  }

  #reservation(pool: PoolDocument, resource: Resource): number {
    return isRoot(pool) ? this.#capacity(pool.owner)[resource] : reservationOf(pool.resources, resource);
  }

  #reserved(tree: PoolTree, pool: PoolDocument, resource: Resource, except?: string): number {
    let sum = this.#reservedByMachines(tree, pool.value, resource, except);
    for (const child of poolsIn(tree, pool.value))
      if (child.value !== except) sum += reservationOf(child.resources, resource);
    return sum;
  }

  #reservedByMachines(tree: PoolTree, pool: string, resource: Resource, except?: string): number {
    // A change in the making has machines elsewhere.
    const reserved = tree === this.#core.inventory && except === undefined ? this.#sumsNow().reserved : undefined;
    const known = reserved?.get(pool);
    if (known !== undefined) return known[resource];
    const sum = { cpu: 0, memory: 0 };
    for (const machine of tree.machinesInPool(pool)) {
      if (machine.value === except) continue;
      const { cpu, memory } = this.reservedBy(machine);
      sum.cpu += cpu;
      sum.memory += memory;
    }
    reserved?.set(pool, sum);
    return sum[resource];
  }

  /** Most that all of a pool can ever use: the least limit on the way up. */
  #most(pool: PoolDocument, resource: Resource): number {
    if (isRoot(pool)) return this.#capacity(pool.owner)[resource];
    const above = this.#most(poolAt(this.#core.inventory, pool.parent ?? ''), resource);
    const limit = Number(allocationOf(pool.resources, resource).limit ?? -1);
    return limit < 0 ? above : Math.min(limit, above);
  }

  /** What the hosts of a compute resource have: those that are connected, and not in maintenance. */
  #capacity(compute: string): Capacity {
    let cpu = 0;
    let memory = 0;
    for (const child of this.#core.inventory.children(compute)) {
      if (child.type !== 'HostSystem') continue;
      const object = this.#core.registry.get(referenceOf(child));
      const { hardware } = (object?.value('summary') ?? {}) as Partial<HostListSummary>;
      const runtime = object?.value('runtime') as HostRuntimeInfo | undefined;
      if (hardware === undefined || runtime?.connectionState !== 'connected' || runtime.inMaintenanceMode) continue;
      cpu += hardware.cpuMhz * hardware.numCpuCores;
      memory += Math.floor(Number(hardware.memorySize) / 2 ** 20);
    }
    return { cpu, memory };
  }

  *#machinesBelow(pool: string): IterableIterator<MachineDocument> {
    yield* this.#core.inventory.machinesInPool(pool);
    for (const child of poolsIn(this.#core.inventory, pool)) yield* this.#machinesBelow(child.value);
  }

  #runtime(machine: MachineDocument): VirtualMachineRuntimeInfo | undefined {
    return this.#core.registry.get(referenceOf(machine))?.value('runtime') as VirtualMachineRuntimeInfo | undefined;
  }

  #summary(machine: MachineDocument): VirtualMachineSummary | undefined {
    return this.#core.registry.get(referenceOf(machine))?.value('summary') as VirtualMachineSummary | undefined;
  }
}
