import {
  createDescriptor,
  createImportSpec,
  importSpecOn,
  parseOvfDescriptor,
  requirePrivilege,
  validateOvfForHost,
} from '@hypostyle/services';
import { fault, type ManagedObjectClass, type VirtualMachineConfigInfo } from '@hypostyle/vim';
import type { HostCore } from '../host-core.ts';

/** OvfManager: descriptors of a package made into what ImportVApp takes. */
export function ovfManagerClass(core: HostCore): ManagedObjectClass<'OvfManager'> {
  return {
    type: 'OvfManager',
    methods: {
      ParseDescriptor: (_, { ovfDescriptor, pdp }) => parseOvfDescriptor(ovfDescriptor, pdp),
      CreateDescriptor: (call, { obj, cdp }) => {
        requirePrivilege(core, call, obj, 'VApp.Export');
        const config = core.registry.get(obj)?.value('config') as VirtualMachineConfigInfo | undefined;
        if (obj.type !== 'VirtualMachine' || config === undefined)
          throw fault('NotSupported', {}, 'Descriptors are made of virtual machines only.');
        return createDescriptor(config, cdp);
      },
      ValidateHost: (_, { ovfDescriptor, vhp }) => validateOvfForHost(ovfDescriptor, vhp, core.networks.all()),
      CreateImportSpec: async (_, { ovfDescriptor, datastore, cisp }) => {
        const { name } = core.datastores.get(datastore);
        const networks = core.networks.all();
        return importSpecOn(name, await createImportSpec({ descriptor: ovfDescriptor, parameters: cisp, networks }));
      },
    },
  };
}
