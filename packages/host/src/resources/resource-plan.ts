import type { ProcessGroup } from '@hypostyle/contracts';
import { diskIo } from '../configuration/disk-io.ts';
import { equipmentOf } from '../configuration/equipment.ts';
import type { Allocation, MachineConfiguration } from '../configuration/machine-configuration.ts';
import { memoryOverhead } from '../inventory/memory-overhead.ts';
import { type Claim, entitlements } from './entitlements.ts';

/** A machine that runs, or is about to. */
export interface PlannedMachine {
  readonly id: string;
  /** Reference value of the pool that it is in. */
  readonly pool: string;
  readonly configuration: MachineConfiguration;
  readonly pid: number;
}

export interface PlannedPool {
  readonly id: string;
  readonly parent: string;
  readonly cpu: Allocation;
  readonly memory: Allocation;
}

export interface ResourcePlanOptions {
  readonly rootPool: string;
  readonly pools: readonly PlannedPool[];
  readonly machines: readonly PlannedMachine[];
  /** One processor's clock. */
  readonly hostMHz: number;
  readonly host: { readonly cpuMHz: number; readonly memoryMiB: number };
}

const mebibyte = 2 ** 20;

/** One of those that share what a pool has: a pool with machines that run in it, or a machine. */
interface Sharer {
  readonly name: string;
  readonly granted: { readonly cpu: Allocation; readonly memory: Allocation };
  readonly cpu: Claim;
  readonly memory: Claim;
  readonly disk: number;
  readonly pool?: string;
  readonly machine?: PlannedMachine;
}

/** The tree of groups that gives pools and machines what they are granted. Pools in which nothing runs have none. */
export function resourcePlan(options: ResourcePlanOptions): ProcessGroup[] {
  const { rootPool, pools, machines, hostMHz, host } = options;
  const poolsIn = Map.groupBy(pools, ({ parent }) => parent);
  const known = new Set(pools.map(({ id }) => id));
  const machinesIn = Map.groupBy(machines, ({ pool }) => (known.has(pool) ? pool : rootPool));

  const sharersOf = (pool: string): Sharer[] => [
    ...(poolsIn.get(pool) ?? []).flatMap((child): Sharer[] => {
      const below = sharersOf(child.id);
      if (below.length === 0) return [];
      const reserved = below.reduce((sum, { memory }) => sum + memory.reservation, 0);
      const memory = claimOf(child.memory, host.memoryMiB);
      return [
        {
          name: child.id,
          granted: child,
          cpu: claimOf(child.cpu, host.cpuMHz),
          // What is reserved of memory in a pool is reserved by all that it is in, or it would not be.
          memory: { ...memory, reservation: Math.max(memory.reservation, reserved) },
          disk: below.reduce((sum, { disk }) => sum + disk, 0),
          pool: child.id,
        },
      ];
    }),
    ...(machinesIn.get(pool) ?? []).map(
      (machine): Sharer => ({
        name: `vm-${machine.id.replace(/[^A-Za-z0-9_-]/g, '_')}`,
        granted: { cpu: machine.configuration.cpuAllocation, memory: machine.configuration.memoryAllocation },
        cpu: claimOf(machine.configuration.cpuAllocation, machine.configuration.cpus * hostMHz),
        memory: claimOf(machine.configuration.memoryAllocation, machine.configuration.memoryMiB),
        disk: machine.configuration.disks.reduce((sum, disk) => sum + diskIo(disk).shares, 0),
        machine,
      }),
    ),
  ];

  const groupsIn = (pool: string, path: readonly string[], has: { cpu: number; memory: number }): ProcessGroup[] => {
    const sharers = sharersOf(pool);
    const cpu = entitlements(
      has.cpu,
      sharers.map((one) => one.cpu),
    );
    const memory = entitlements(
      has.memory,
      sharers.map((one) => one.memory),
    );
    return sharers.flatMap((one, index) => {
      const own = [...path, one.name];
      const part = { cpu: cpu[index] ?? 0, memory: memory[index] ?? 0 };
      const group: ProcessGroup = {
        path: own,
        cpuWeight: Math.max(part.cpu, 1e-3),
        ...(one.granted.cpu.limit < 0 ? {} : { cpuLimit: one.granted.cpu.limit / hostMHz }),
        memory: {
          reserved: Math.floor(one.memory.reservation * mebibyte),
          entitled: Math.floor(part.memory * mebibyte),
          ...memoryLimitOf(one),
        },
        diskWeight: Math.max(one.disk, 1),
        ...(one.machine === undefined ? {} : { pid: one.machine.pid }),
      };
      return [group, ...(one.pool === undefined ? [] : groupsIn(one.pool, own, part))];
    });
  };
  return groupsIn(rootPool, [], { cpu: host.cpuMHz, memory: host.memoryMiB });
}

function claimOf({ reservation, limit, shares }: Allocation, most: number): Claim {
  const capped = limit < 0 ? most : Math.min(limit, most);
  return { reservation: Math.min(reservation, most), limit: Math.max(capped, Math.min(reservation, most)), shares };
}

/** A limit is of the guest's memory: what the engine needs beside it comes on top. */
function memoryLimitOf({ granted, machine }: Sharer): { readonly limit?: number } {
  const { limit } = granted.memory;
  if (limit < 0) return {};
  const overhead =
    machine === undefined
      ? 0
      : memoryOverhead({
          memoryBytes: machine.configuration.memoryMiB * mebibyte,
          videoBytes: equipmentOf(machine.configuration).videoRamKiB * 1024,
          cpus: machine.configuration.cpus,
        });
  return { limit: limit * mebibyte + overhead };
}
