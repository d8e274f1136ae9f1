import { type Call, fault, type ManagedObjectReference, type VirtualMachineConfigInfo } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import type { Forwarding } from '../forwarding/forwarding.ts';
import { poolOf } from './machine-place.ts';

/** Whether a machine is a template, as its host says. */
export function isTemplate(core: Pick<CenterCore, 'registry'>, machine: ManagedObjectReference): boolean {
  const config = core.registry.get(machine)?.value('config') as VirtualMachineConfigInfo | undefined;
  return config?.template === true;
}

/** Has the host make a machine of a template, in that pool of its compute resource. */
export async function markedAsMachine(
  core: CenterCore,
  forwarding: Forwarding,
  call: Call,
  args: { readonly pool: ManagedObjectReference; readonly host?: ManagedObjectReference | undefined },
): Promise<void> {
  const { inventory } = core;
  const { value, host } = inventory.get('VirtualMachine', call.self.ref);
  const pool = poolOf(core, args.pool);
  if (inventory.above(host, ['ComputeResource', 'ClusterComputeResource'])?.value !== pool.owner)
    throw fault(
      'InvalidArgument',
      { invalidProperty: 'pool' },
      'The template is on a host of another compute resource than the pool.',
    );
  await forwarding.call(call, { ...args });
  await inventory.edit((edit) => {
    const document = edit.find(value);
    if (document?.type === 'VirtualMachine' && edit.find(pool.value) !== undefined)
      edit.put({ ...document, pool: pool.value });
  });
}
