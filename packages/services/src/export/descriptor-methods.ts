import { fault, type ManagedObjectReference, type MethodTable, type VirtualMachineConfigInfo } from '@hypostyle/vim';
import { parseOvfDescriptor } from '../import/parse-descriptor.ts';
import { type PrivilegeScope, requirePrivilege } from '../privileges/privilege-scope.ts';
import { createDescriptor } from './create-descriptor.ts';
import { createVAppDescriptor, type DescribedVApp } from './create-vapp-descriptor.ts';

export interface DescriptorScope extends Pick<PrivilegeScope, 'registry' | 'authorizer'> {
  /** A vApp as it is described; absent where there are none. */
  readonly describeVApp?: (ref: ManagedObjectReference) => DescribedVApp;
}

/** What an OvfManager does the same way at a host and at a center: descriptors read, and made of machines and vApps. */
export function descriptorMethods(scope: DescriptorScope): MethodTable<'OvfManager'> {
  return {
    ParseDescriptor: (_, { ovfDescriptor, pdp }) => parseOvfDescriptor(ovfDescriptor, pdp),
    CreateDescriptor: (call, { obj, cdp }) => {
      requirePrivilege(scope, call, obj, 'VApp.Export');
      if (obj.type === 'VirtualApp' && scope.describeVApp !== undefined)
        return createVAppDescriptor(scope.describeVApp(obj), cdp);
      const described = cdp.snapshot === undefined ? obj : snapshotOf(scope, obj, cdp.snapshot);
      const config = scope.registry.get(described)?.value('config') as VirtualMachineConfigInfo | undefined;
      if (obj.type !== 'VirtualMachine' || config === undefined)
        throw fault('NotSupported', {}, 'Descriptors are made of virtual machines and vApps only.');
      return createDescriptor(config, cdp);
    },
  };
}

/** The snapshot whose machine is described as it was. Throws InvalidArgument for another machine's. */
function snapshotOf(
  { registry }: DescriptorScope,
  machine: ManagedObjectReference,
  snapshot: ManagedObjectReference<'VirtualMachineSnapshot'>,
): ManagedObjectReference {
  const found = registry.get(snapshot);
  const owner =
    found?.ref.type === 'VirtualMachineSnapshot' ? (found.value('vm') as ManagedObjectReference) : undefined;
  if (owner?.value === machine.value && owner.type === machine.type) return snapshot;
  throw fault('InvalidArgument', { invalidProperty: 'cdp.snapshot' }, 'The snapshot is not one of the machine.');
}
