import { data, type ResourceAllocationInfo, type ResourceConfigSpec } from '@hypostyle/vim';
import type { Allocation } from '../configuration/machine-configuration.ts';
import type { MachineRecord } from '../machine/record/machine-record.ts';

/** What a machine is granted of processors (MHz) or memory (MiB). */
export function allocationInfo(from: Allocation): ResourceAllocationInfo {
  return data('ResourceAllocationInfo', {
    reservation: from.reservation,
    expandableReservation: false,
    limit: from.limit,
    shares: data('SharesInfo', { shares: from.shares, level: from.level }),
  });
}

/** `VirtualMachine.resourceConfig`: what the machine is granted, as its pool lists it. */
export function resourceConfig(machine: MachineRecord): ResourceConfigSpec {
  const { cpuAllocation, memoryAllocation } = machine.configuration;
  return data('ResourceConfigSpec', {
    entity: machine.ref,
    changeVersion: machine.modified,
    lastModified: machine.modified,
    cpuAllocation: allocationInfo(cpuAllocation),
    memoryAllocation: allocationInfo(memoryAllocation),
  });
}
