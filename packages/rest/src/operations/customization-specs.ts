import type { CustomizationSpec, ManagedObjectReference } from '@hypostyle/vim';
import { Type } from '@sinclair/typebox';
import { type CenterView, read } from '../calls/center-view.ts';
import { AutomationError, notFound } from '../errors.ts';
import { oneOf } from '../schemas/common.ts';
import { type Operation, operation } from './operation.ts';

const summary = Type.Object({
  name: Type.String(),
  description: Type.String(),
  os_type: oneOf('LINUX', 'WINDOWS'),
  last_modified: Type.Optional(Type.String()),
});

/** Specifications of what guests are to be told, by name. */
export const customizationOperations: readonly Operation[] = [
  operation({
    id: 'vcenter.guest.customization-specs.list',
    summary: 'Specifications for guests that are kept by name.',
    method: 'GET',
    path: '/vcenter/guest/customization-specs',
    rest: {},
    answer: Type.Array(summary, { maxItems: 1_000 }),
    run({ view }) {
      const manager = managerOf(view);
      // Lists leave out what the session may not read.
      if (!view.holds(manager, 'VirtualMachine.Provisioning.ReadCustSpecs')) return [];
      const known = read('CustomizationSpecManager', view.registry.get(manager), 'info') ?? [];
      if (known.length > 1_000)
        throw new AutomationError('unable_to_allocate_resource', 'Too many specifications: at most 1000 are listed.');
      return known.map(({ name, description, type, lastUpdateTime }) => ({
        name,
        description,
        os_type: type === 'Windows' ? ('WINDOWS' as const) : ('LINUX' as const),
        ...(lastUpdateTime === undefined ? {} : { last_modified: lastUpdateTime }),
      }));
    },
  }),
  operation({
    id: 'vcenter.guest.customization-specs.delete',
    summary: 'Forgets a specification.',
    method: 'DELETE',
    path: '/vcenter/guest/customization-specs/{name}',
    rest: {},
    async run({ view, path: { name } }) {
      const manager = managerOf(view);
      if (!(await view.invoke('CustomizationSpecManager', manager, 'DoesCustomizationSpecExist', { name })))
        throw notFound('CustomizationSpec', name);
      await view.invoke('CustomizationSpecManager', manager, 'DeleteCustomizationSpec', { name });
    },
  }),
];

/** The specification of a name. Fails with `not_found`. */
export async function customizationNamed(view: CenterView, name: string): Promise<CustomizationSpec> {
  const manager = managerOf(view);
  if (!(await view.invoke('CustomizationSpecManager', manager, 'DoesCustomizationSpecExist', { name })))
    throw notFound('CustomizationSpec', name);
  const { spec } = await view.invoke('CustomizationSpecManager', manager, 'GetCustomizationSpec', { name });
  return spec;
}

function managerOf(view: CenterView): ManagedObjectReference {
  const [manager] = view.registry.all('CustomizationSpecManager');
  if (manager === undefined) throw new AutomationError('unsupported', 'No specifications for guests are kept here.');
  return manager.ref;
}
