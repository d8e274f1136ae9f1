import type { HostCore } from '../../host-core.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { removeToolsDisc } from './tools-disc.ts';

/** A machine whose drives are changed otherwise has what its owner wants in them. */
export async function letToolsGo(core: HostCore, machine: MachineRecord): Promise<MachineRecord> {
  if (machine.toolsMounted !== true) return machine;
  await removeToolsDisc(machine);
  core.machines.change(machine.id, { toolsMounted: false });
  return { ...machine, toolsMounted: false };
}
