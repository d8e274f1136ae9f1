import type { MachineConfiguration } from '../configuration/machine-configuration.ts';
import type { HostCore } from '../host-core.ts';
import type { MachineRecord } from '../machine/record/machine-record.ts';
import { insufficient } from '../pools/pool-config.ts';

type Reserving = Pick<MachineConfiguration, 'cpuAllocation' | 'memoryAllocation'>;

/**
 * Refuses what a machine reserves where its pool has not that much left. `before`: what it has already, as it runs.
 * InsufficientCpuResourcesFault, InsufficientMemoryResourcesFault.
 */
export function admitReservations(
  { poolUsage }: Pick<HostCore, 'poolUsage'>,
  { resourcePool }: Pick<MachineRecord, 'resourcePool'>,
  wanted: Reserving,
  before?: Reserving,
): void {
  for (const kind of ['cpu', 'memory'] as const) {
    const of = (one: Reserving | undefined) =>
      (kind === 'cpu' ? one?.cpuAllocation : one?.memoryAllocation)?.reservation ?? 0;
    const more = of(wanted) - of(before);
    const left = Math.max(0, poolUsage.unreserved(resourcePool.value, kind));
    if (more > left) throw insufficient(kind, left, more);
  }
}

/** Counts what a machine reserves from now on, though it does not run yet. The answer ends that. */
export function reserveForStart(core: Pick<HostCore, 'poolUsage'>, machine: MachineRecord): () => void {
  admitReservations(core, machine, machine.configuration);
  core.poolUsage.starting.add(machine.id);
  return () => core.poolUsage.starting.delete(machine.id);
}
