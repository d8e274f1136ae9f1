import {
  type ComputeResourceSummary,
  type DatastoreSummary,
  data,
  type HostListSummary,
  type HostRuntimeInfo,
  type ManagedObject,
  type ManagedObjectReference,
} from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import { referenceOf } from '../inventory/entity-document.ts';

/** Sums over the hosts of a compute resource; those that are away or in maintenance count for nothing effective. */
export function computeSummary(core: CenterCore, self: ManagedObject): ComputeResourceSummary {
  let totalCpu = 0;
  let totalMemory = 0;
  let numCpuCores = 0;
  let numCpuThreads = 0;
  let effectiveCpu = 0;
  let effectiveMemory = 0;
  let numHosts = 0;
  let numEffectiveHosts = 0;
  for (const child of core.inventory.children(self.ref.value)) {
    if (child.type !== 'HostSystem') continue;
    numHosts += 1;
    const object = core.registry.get(referenceOf(child));
    const summary = object?.value('summary') as HostListSummary | undefined;
    const runtime = object?.value('runtime') as HostRuntimeInfo | undefined;
    const hardware = summary?.hardware;
    if (hardware === undefined) continue;
    const mhz = hardware.cpuMhz * hardware.numCpuCores;
    totalCpu += mhz;
    totalMemory += Number(hardware.memorySize);
    numCpuCores += hardware.numCpuCores;
    numCpuThreads += hardware.numCpuThreads;
    if (runtime?.connectionState !== 'connected' || runtime.inMaintenanceMode) continue;
    numEffectiveHosts += 1;
    effectiveCpu += mhz;
    effectiveMemory += Math.floor(Number(hardware.memorySize) / 2 ** 20);
  }
  const sums = {
    totalCpu,
    totalMemory,
    numCpuCores,
    numCpuThreads,
    effectiveCpu,
    effectiveMemory,
    numHosts,
    numEffectiveHosts,
    overallStatus: numHosts > 0 && numEffectiveHosts === 0 ? ('red' as const) : ('green' as const),
  };
  return self.ref.type === 'ClusterComputeResource'
    ? data('ClusterComputeResourceSummary', { ...sums, currentFailoverLevel: 0, numVmotions: 0 })
    : data('ComputeResourceSummary', sums);
}

/** ClusterComputeResource.GetResourceUsage: what machines use of what the hosts have. */
export function clusterUsage(core: CenterCore, self: ManagedObject) {
  let cpuUsedMHz = 0;
  let memUsedMB = 0;
  const datastores = new Map<string, DatastoreSummary>();
  for (const child of core.inventory.children(self.ref.value)) {
    if (child.type !== 'HostSystem') continue;
    const object = core.registry.get(referenceOf(child));
    const stats = (object?.value('summary') as HostListSummary | undefined)?.quickStats;
    cpuUsedMHz += stats?.overallCpuUsage ?? 0;
    memUsedMB += stats?.overallMemoryUsage ?? 0;
    for (const ref of (object?.value('datastore') ?? []) as readonly ManagedObjectReference<'Datastore'>[]) {
      const summary = core.registry.read(ref, 'summary');
      if (summary !== undefined) datastores.set(ref.value, summary);
    }
  }
  const { effectiveCpu, effectiveMemory } = computeSummary(core, self);
  const sum = (of: (summary: DatastoreSummary) => number) =>
    BigInt(Math.floor([...datastores.values()].reduce((total, summary) => total + of(summary), 0) / 2 ** 20));
  return data('ClusterResourceUsageSummary', {
    cpuUsedMHz,
    cpuCapacityMHz: Number(effectiveCpu),
    memUsedMB,
    memCapacityMB: Number(effectiveMemory),
    storageUsedMB: sum(({ capacity, freeSpace }) => Number(capacity) - Number(freeSpace)),
    storageCapacityMB: sum(({ capacity }) => Number(capacity)),
  });
}
