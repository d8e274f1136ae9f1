import {
  data,
  type ManagedObject,
  type ResourceConfigSpec,
  type ResourcePoolRuntimeInfo,
  type ResourcePoolSummary,
} from '@hypostyle/vim';

/** Use of a pool of which nothing is known. */
export function emptyPoolRuntime(): ResourcePoolRuntimeInfo {
  const usage = data('ResourcePoolResourceUsage', {
    reservationUsed: 0,
    reservationUsedForVm: 0,
    unreservedForPool: 0,
    unreservedForVm: 0,
    overallUsage: 0,
    maxUsage: 0,
  });
  return data('ResourcePoolRuntimeInfo', { memory: usage, cpu: usage, overallStatus: 'green' });
}

export function poolSummary(self: ManagedObject): ResourcePoolSummary {
  return data('ResourcePoolSummary', {
    name: self.value('name') as string,
    config: self.value('config') as ResourceConfigSpec,
    runtime: (self.value('runtime') as ResourcePoolRuntimeInfo | undefined) ?? emptyPoolRuntime(),
  });
}

/** Resources of a new pool: everything, and no more than its share. `entity` is laid over when shown. */
export function plainResources(): ResourceConfigSpec {
  const allocation = () =>
    data('ResourceAllocationInfo', {
      reservation: 0,
      expandableReservation: true,
      limit: -1,
      shares: data('SharesInfo', { shares: 4000, level: 'normal' }),
    });
  return data('ResourceConfigSpec', { cpuAllocation: allocation(), memoryAllocation: allocation() });
}
