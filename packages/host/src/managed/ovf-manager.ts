import { createImportSpec, parseOvfDescriptor } from '@hypostyle/services';
import type { ManagedObjectClass } from '@hypostyle/vim';
import type { HostCore } from '../host-core.ts';

/** OvfManager: descriptors of a package made into what ImportVApp takes. */
export function ovfManagerClass(core: HostCore): ManagedObjectClass<'OvfManager'> {
  return {
    type: 'OvfManager',
    methods: {
      ParseDescriptor: (_, { ovfDescriptor, pdp }) => parseOvfDescriptor(ovfDescriptor, pdp),
      CreateImportSpec: async (_, { ovfDescriptor, datastore, cisp }) => {
        const { name } = core.datastores.get(datastore);
        const networks = core.networks.all();
        const result = await createImportSpec({ descriptor: ovfDescriptor, parameters: cisp, networks });
        const { importSpec } = result;
        if (importSpec?._typeName !== 'VirtualMachineImportSpec') return result;
        const { configSpec } = importSpec as unknown as { readonly configSpec: object };
        const files = { _typeName: 'VirtualMachineFileInfo', vmPathName: `[${name}]` };
        return { ...result, importSpec: { ...importSpec, configSpec: { ...configSpec, files } } as typeof importSpec };
      },
    },
  };
}
