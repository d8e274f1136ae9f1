import { createImportSpec, descriptorMethods, importSpecOn, validateOvfForHost } from '@hypostyle/services';
import type { ManagedObjectClass } from '@hypostyle/vim';
import type { HostCore } from '../host-core.ts';

/** OvfManager: descriptors of a package made into what ImportVApp takes. */
export function ovfManagerClass(core: HostCore): ManagedObjectClass<'OvfManager'> {
  return {
    type: 'OvfManager',
    methods: {
      ...descriptorMethods(core),
      ValidateHost: (_, { ovfDescriptor, vhp }) => validateOvfForHost(ovfDescriptor, vhp, core.networks.all()),
      CreateImportSpec: async (_, { ovfDescriptor, datastore, cisp }) => {
        const { name } = core.datastores.get(datastore);
        const networks = core.networks.all();
        const noRules = 'a single host has no rules.';
        const request = { descriptor: ovfDescriptor, parameters: cisp, networks, noRules };
        return importSpecOn(name, await createImportSpec(request));
      },
    },
  };
}
