import { data, type ResourcePoolQuickStats, type ResourcePoolRuntimeInfo } from '@hypostyle/vim';
import { references } from '../inventory/references.ts';
import type { MachineRecord } from '../machine/record/machine-record.ts';
import type { Machines } from '../machine/record/machines.ts';
import type { PoolAllocation } from './pool-record.ts';
import type { Pools } from './pools.ts';

export interface HostResources {
  readonly cpuMHz: number;
  readonly memoryMiB: number;
}

type Kind = 'cpu' | 'memory';
const rootPool = references.rootPool.value;

/** What pools reserve and use, computed from the machines that run in them. MHz and MiB. */
export class PoolUsage {
  readonly #pools: Pools;
  readonly #machines: Machines;
  readonly #host: HostResources;
  /** Machines that are being started: what they reserve is theirs already. */
  readonly starting = new Set<string>();

  constructor(pools: Pools, machines: Machines, host: HostResources) {
    this.#pools = pools;
    this.#machines = machines;
    this.#host = host;
  }

  allocation(id: string, kind: Kind): PoolAllocation {
    const pool = this.#pools.find(id);
    if (pool !== undefined) return pool[kind];
    const all = kind === 'cpu' ? this.#host.cpuMHz : this.#host.memoryMiB;
    return { reservation: all, expandable: false, limit: all, level: 'normal', shares: 4000 };
  }

  /** What may still be reserved in a pool, but for what one of its pools has now. */
  unreserved(id: string, kind: Kind, except?: string): number {
    const { reservation, expandable } = this.allocation(id, kind);
    const pools = this.#pools.children(id).filter((child) => child.id !== except);
    const used = pools.reduce((sum, child) => sum + child[kind].reservation, 0) + this.#reservedByMachines(id, kind);
    const own = reservation - used;
    const parent = this.#pools.find(id)?.parent;
    return expandable && parent !== undefined ? own + Math.max(0, this.unreserved(parent, kind)) : own;
  }

  runtime(id: string): ResourcePoolRuntimeInfo {
    const running = this.#runningBelow(id);
    const usage = (kind: Kind, used: number, scale: number) => {
      const { reservation, limit } = this.allocation(id, kind);
      const forVm = this.#reservedByMachines(id, kind);
      const pools = this.#pools.children(id).reduce((sum, child) => sum + child[kind].reservation, 0);
      const left = Math.max(0, this.unreserved(id, kind)) * scale;
      const all = kind === 'cpu' ? this.#host.cpuMHz : this.#host.memoryMiB;
      return data('ResourcePoolResourceUsage', {
        reservationUsed: (id === rootPool ? Math.min(reservation, forVm + pools) : forVm + pools) * scale,
        reservationUsedForVm: forVm * scale,
        unreservedForPool: left,
        unreservedForVm: left,
        overallUsage: used * scale,
        maxUsage: (limit === -1 ? all : Math.min(limit, all)) * scale,
      });
    };
    const cpu = running.reduce((sum, { stats }) => sum + (stats?.cpuMHz ?? 0), 0);
    const memory = running.reduce((sum, { stats }) => sum + (stats?.hostMemoryMiB ?? 0), 0);
    return data('ResourcePoolRuntimeInfo', {
      cpu: usage('cpu', cpu, 1),
      memory: usage('memory', memory, 2 ** 20),
      overallStatus: 'green',
    });
  }

  /** As measured at the machines' last looks. */
  quickStats(id: string): ResourcePoolQuickStats {
    const running = this.#runningBelow(id);
    const sum = (of: (machine: MachineRecord) => number) => running.reduce((all, machine) => all + of(machine), 0);
    const cpu = sum(({ stats }) => stats?.cpuMHz ?? 0);
    return data('ResourcePoolQuickStats', {
      overallCpuUsage: cpu,
      overallCpuDemand: cpu,
      guestMemoryUsage: sum(({ stats }) => stats?.guestMemoryMiB ?? 0),
      hostMemoryUsage: sum(({ stats }) => stats?.hostMemoryMiB ?? 0),
      balloonedMemory: sum(({ stats }) => stats?.balloonedMiB ?? 0),
      privateMemory: sum(({ stats }) => stats?.guestMemoryMiB ?? 0),
      sharedMemory: 0,
      swappedMemory: 0,
    });
  }

  /** Memory of the machines in the pool and below, on or off, in MiB. */
  configuredMemory(id: string): number {
    const within = new Set(this.#pools.withBelow(id));
    let sum = 0;
    for (const { resourcePool, configuration } of this.#machines.all())
      if (within.has(resourcePool.value)) sum += configuration.memoryMiB;
    return sum;
  }

  #reservedByMachines(id: string, kind: Kind): number {
    let sum = 0;
    for (const { id: machine, resourcePool, powerState, configuration } of this.#machines.all()) {
      if (resourcePool.value !== id || !(powerState === 'poweredOn' || this.starting.has(machine))) continue;
      sum += (kind === 'cpu' ? configuration.cpuAllocation : configuration.memoryAllocation).reservation;
    }
    return sum;
  }

  #runningBelow(id: string): MachineRecord[] {
    const within = new Set(this.#pools.withBelow(id));
    return [...this.#machines.all()].filter(
      ({ resourcePool, powerState }) => powerState === 'poweredOn' && within.has(resourcePool.value),
    );
  }
}
