import { actingUser, type Call, data, fault, type ResourceConfigSpec, VimFault } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';

/** ResourcePool.UpdateChildResourceConfiguration of a machine of the pool: its host does it. Throws InvalidArgument. */
export async function changeMachineResources(core: CenterCore, call: Call, spec: ResourceConfigSpec): Promise<void> {
  const { entity, cpuAllocation, memoryAllocation } = spec;
  const machine = core.inventory.find(entity?.value ?? '');
  if (entity === undefined || machine?.type !== 'VirtualMachine' || machine.pool !== call.self.ref.value)
    throw fault('InvalidArgument', { invalidProperty: 'spec' }, 'A spec names what is no child of this pool.');
  const { link, ref } = core.hosts.route(entity);
  const change = data('VirtualMachineConfigSpec', { cpuAllocation, memoryAllocation });
  const context = { realUser: actingUser(call), signal: call.signal };
  const task = (await link.call(ref, 'ReconfigVM_Task', { spec: change }, context)) as { readonly value: string };
  const info = await link.tasks.finished(task.value, () => {}, call.signal);
  if (info?.error !== undefined) {
    const { error } = info;
    throw new VimFault(error.fault._typeName ?? 'SystemError', error.fault, error.localizedMessage ?? 'It failed.');
  }
  await link.caughtUp();
}
