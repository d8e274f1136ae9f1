import {
  type Call,
  data,
  fault,
  type ManagedObjectReference,
  type VirtualMachinePowerState,
  type VirtualMachineRuntimeInfo,
} from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import type { FarMoves, FarRelocateInput } from '../far/far-relocate.ts';
import { staysOn } from '../far/target-place.ts';
import type { Forwarding } from '../forwarding/forwarding.ts';

interface MigrateArguments {
  readonly pool?: ManagedObjectReference | undefined;
  readonly host?: ManagedObjectReference | undefined;
  readonly state?: VirtualMachinePowerState | undefined;
}

/** VirtualMachine.MigrateVM_Task to another host that has the machine's files too; its own host answers for itself. */
export type MigrateWork = (call: Call, args: MigrateArguments) => Promise<ManagedObjectReference<'Task'>>;

export function defineMigrateWork(core: CenterCore, forwarding: Forwarding, moves: FarMoves): MigrateWork {
  const start = core.tasks.define<FarRelocateInput>('VirtualMachine.migrate', {
    method: 'MigrateVM_Task',
    cancelable: true,
    run: (task, input) => moves.run(task, input, false),
    resume: (task, input) => moves.run(task, input, true),
  });
  return (call, args) => {
    const machine = core.inventory.get('VirtualMachine', call.self.ref);
    const { pool, host, state } = args;
    const spec = data('VirtualMachineRelocateSpec', { pool, host } as object);
    if (staysOn(core, machine, spec)) return forwarding.task(call, { ...args });
    const runtime = core.registry.get(call.self.ref)?.value('runtime') as VirtualMachineRuntimeInfo | undefined;
    if (state !== undefined && runtime !== undefined && runtime.powerState !== state)
      throw fault(
        'InvalidPowerState',
        { requestedState: state, existingState: runtime.powerState },
        'The machine is in another state than it is to be migrated in.',
      );
    const far = moves.begin(call, machine, spec, { migrates: true });
    return start(call, { input: { machine: machine.value, spec, far }, queueKey: `relocate ${machine.value}` });
  };
}
