import type { ManagedObjectReference, VirtualMachineConfigInfo } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';

/** Whether a machine is a template, as its host says. */
export function isTemplate(core: Pick<CenterCore, 'registry'>, machine: ManagedObjectReference): boolean {
  const config = core.registry.get(machine)?.value('config') as VirtualMachineConfigInfo | undefined;
  return config?.template === true;
}
