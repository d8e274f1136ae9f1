import { fault, type MethodTable, type VirtualMachineConfigInfo } from '@hypostyle/vim';
import { parseOvfDescriptor } from '../import/parse-descriptor.ts';
import { type PrivilegeScope, requirePrivilege } from '../privileges/privilege-scope.ts';
import { createDescriptor } from './create-descriptor.ts';

/** What an OvfManager does the same way at a host and at a center: descriptors read, and made of machines. */
export function descriptorMethods(scope: Pick<PrivilegeScope, 'registry' | 'authorizer'>): MethodTable<'OvfManager'> {
  return {
    ParseDescriptor: (_, { ovfDescriptor, pdp }) => parseOvfDescriptor(ovfDescriptor, pdp),
    CreateDescriptor: (call, { obj, cdp }) => {
      requirePrivilege(scope, call, obj, 'VApp.Export');
      const config = scope.registry.get(obj)?.value('config') as VirtualMachineConfigInfo | undefined;
      if (obj.type !== 'VirtualMachine' || config === undefined)
        throw fault('NotSupported', {}, 'Descriptors are made of virtual machines only.');
      return createDescriptor(config, cdp);
    },
  };
}
