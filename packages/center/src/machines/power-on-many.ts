import { requirePrivilege } from '@hypostyle/services';
import {
  type Call,
  type ClusterAttemptedVmInfo,
  type ClusterNotAttemptedVmInfo,
  data,
  fault,
  fromDocument,
  localizedFault,
  type ManagedObjectReference,
  type MethodTable,
  toDocument,
  VimFault,
} from '@hypostyle/vim';
import { privilegeScope } from '../inventory/privilege-scope.ts';
import type { MachineWork } from './machine-methods.ts';

/** Machines that one call may start. */
const most = 1_000;

/**
 * Datacenter: powers several machines on, each by a task of its own on its host; the datacenter's task tells which were
 * begun, and why others were not. Nothing is recommended: where a machine lies is where it starts.
 */
export function powerMethodsOfDatacenter({ core, forwarding }: MachineWork): MethodTable<'Datacenter'> {
  const scope = privilegeScope(core);
  const tell = core.tasks.define<unknown>('Datacenter.powerOnVm', {
    method: 'PowerOnMultiVM_Task',
    run: async (_, outcome) => fromDocument(outcome),
    resume: async (_, outcome) => fromDocument(outcome),
  });
  const begin = async (call: Call, ref: ManagedObjectReference<'VirtualMachine'>) => {
    const self = core.registry.get(ref);
    const method = core.schema.method('PowerOnVM_Task');
    if (self === undefined || method === undefined) {
      throw fault('ManagedObjectNotFound', { obj: ref }, `There is no machine ${ref.value}.`);
    }
    if (core.inventory.above(ref.value, ['Datacenter'])?.value !== call.self.ref.value) {
      throw fault('InvalidArgument', { invalidProperty: 'vm' }, `Machine ${ref.value} is of another datacenter.`);
    }
    const { activationId: _, ...context } = call.context;
    return forwarding.task({ ...call, self, method, context }, {});
  };
  return {
    PowerOnMultiVM_Task: async (call, { vm: machines }) => {
      if (machines.length > most) {
        throw fault('InvalidArgument', { invalidProperty: 'vm' }, `At most ${most} machines are started at a time.`);
      }
      // Rights are asked for before anything is begun: who has none starts no task.
      for (const ref of machines)
        if (core.registry.get(ref) !== undefined) requirePrivilege(scope, call, ref, 'VirtualMachine.Interact.PowerOn');
      const attempted: ClusterAttemptedVmInfo[] = [];
      const notAttempted: ClusterNotAttemptedVmInfo[] = [];
      for (const vm of new Map(machines.map((ref) => [ref.value, ref])).values()) {
        try {
          attempted.push(data('ClusterAttemptedVmInfo', { vm, task: await begin(call, vm) }));
        } catch (error) {
          if (!(error instanceof VimFault)) throw error;
          notAttempted.push(data('ClusterNotAttemptedVmInfo', { vm, fault: localizedFault(error) }));
        }
      }
      return tell(call, { input: toDocument(data('ClusterPowerOnVmResult', { attempted, notAttempted })) });
    },
  };
}
