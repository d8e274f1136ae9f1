import { type CustomizationSpec, type CustomizationSpecItem, data, type ManagedObjectReference } from '@hypostyle/vim';
import { Type } from '@sinclair/typebox';
import { type CenterView, read } from '../calls/center-view.ts';
import { fromSpecification } from '../customization/from-specification.ts';
import { type CreateSpec, createSpec, guestCustomization, setSpec } from '../customization/guest-schemas.ts';
import { familyOf, toSpecification } from '../customization/to-specification.ts';
import { checkInput } from '../edge/check-input.ts';
import { AutomationError, invalidArgument, notFound } from '../errors.ts';
import { Machine } from '../machine/machine-reader.ts';
import { closed, defined, name as namedSchema, oneOf, some, takes } from '../schemas/common.ts';
import { type Operation, operation } from './operation.ts';

const summary = Type.Object({
  name: Type.String(),
  description: Type.String(),
  os_type: oneOf('LINUX', 'WINDOWS'),
  /** The same, as older references spell it. */
  OS_type: oneOf('LINUX', 'WINDOWS'),
  last_modified: Type.Optional(Type.String()),
});

const info = Type.Object({
  last_modified: Type.Optional(Type.String()),
  spec: Type.Object({
    fingerprint: Type.String(),
    name: Type.String(),
    description: Type.String(),
    spec: guestCustomization,
  }),
});

/** Specifications of what guests are to be told, by name. */
export const customizationOperations: readonly Operation[] = [
  operation({
    id: 'vcenter.guest.customization-specs.list',
    summary: 'Specifications for guests that are kept by name.',
    method: 'GET',
    path: '/vcenter/guest/customization-specs',
    rest: {},
    query: Type.Object({
      names: some,
      os_type: Type.Optional(oneOf('LINUX', 'WINDOWS')),
      OS_type: Type.Optional(oneOf('LINUX', 'WINDOWS')),
    }),
    answer: Type.Array(summary, { maxItems: 1_000 }),
    run({ view, query }) {
      const manager = managerOf(view);
      // Lists leave out what the session may not read.
      if (!view.holds(manager, 'VirtualMachine.Provisioning.ReadCustSpecs')) return [];
      const known = read('CustomizationSpecManager', view.registry.get(manager), 'info') ?? [];
      if (known.length > 1_000)
        throw new AutomationError('unable_to_allocate_resource', 'Too many specifications: at most 1000 are listed.');
      const wanted = query.os_type ?? query.OS_type;
      return known.flatMap(({ name, description, type, lastUpdateTime }) => {
        const family = type === 'Windows' ? ('WINDOWS' as const) : ('LINUX' as const);
        if (!takes(query.names, name) || (wanted !== undefined && wanted !== family)) return [];
        return [{ name, description, os_type: family, OS_type: family, ...defined({ last_modified: lastUpdateTime }) }];
      });
    },
  }),
  operation({
    id: 'vcenter.guest.customization-specs.create',
    summary: 'Keeps a specification by a name that is free.',
    method: 'POST',
    path: '/vcenter/guest/customization-specs',
    rest: {},
    body: createSpec,
    answer: Type.String(),
    created: true,
    async run({ view, body }) {
      await view.invoke('CustomizationSpecManager', managerOf(view), 'CreateCustomizationSpec', { item: itemOf(body) });
      return body.name;
    },
  }),
  operation({
    id: 'vcenter.guest.customization-specs.get',
    summary: 'A specification.',
    method: 'GET',
    path: '/vcenter/guest/customization-specs/{name}',
    rest: {},
    answer: info,
    async run({ view, path }) {
      const { info: about, spec } = await itemNamed(view, path.name);
      return {
        ...defined({ last_modified: about.lastUpdateTime }),
        spec: {
          fingerprint: about.changeVersion ?? '',
          name: about.name,
          description: about.description,
          spec: fromSpecification(spec),
        },
      };
    },
  }),
  operation({
    id: 'vcenter.guest.customization-specs.set',
    summary: 'Changes a specification, if nobody did since it was read.',
    method: 'PUT',
    path: '/vcenter/guest/customization-specs/{name}',
    rest: {},
    body: setSpec,
    async run({ view, path, body }) {
      const before = await itemNamed(view, path.name);
      const { name, description = before.info.description, fingerprint, spec } = body;
      const item = itemOf({ name: path.name, description, spec }, fingerprint);
      const manager = managerOf(view);
      await view.invoke('CustomizationSpecManager', manager, 'OverwriteCustomizationSpec', { item });
      if (name !== undefined && name !== path.name)
        await view.invoke('CustomizationSpecManager', manager, 'RenameCustomizationSpec', {
          name: path.name,
          newName: name,
        });
    },
  }),
  operation({
    id: 'vcenter.guest.customization-specs.export',
    summary: 'A specification as a text to be kept in a file, without its passwords.',
    method: 'POST',
    path: '/vcenter/guest/customization-specs/{name}',
    action: 'export',
    rest: { wrap: null },
    body: closed({ format: oneOf('JSON', 'XML') }),
    answer: Type.String(),
    async run({ view, path, body }) {
      const { info: about, spec } = await itemNamed(view, path.name);
      const { name, description } = about;
      const blank = { name, description, spec: fromSpecification(spec, { blank: true }) };
      if (body.format === 'JSON') return JSON.stringify(blank);
      const item = { ...itemOf(blank), info: about };
      return view.invoke('CustomizationSpecManager', managerOf(view), 'CustomizationSpecItemToXml', { item });
    },
  }),
  operation({
    id: 'vcenter.guest.customization-specs.import_specification',
    summary: 'What a text of `export` says; nothing is kept by that.',
    method: 'POST',
    path: '/vcenter/guest/customization-specs',
    action: 'import',
    rest: { wrap: null },
    body: closed({ customization_spec: Type.String({ maxLength: 1_048_576 }) }),
    answer: createSpec,
    async run({ view, body: { customization_spec: text } }) {
      const manager = managerOf(view);
      view.require(manager, 'VirtualMachine.Provisioning.ModifyCustSpecs');
      if (!text.trimStart().startsWith('<')) return readJson(text);
      const item = await view.invoke('CustomizationSpecManager', manager, 'XmlToCustomizationSpecItem', {
        specItemXml: text,
      });
      const { name, description } = item.info;
      return { name, description, spec: fromSpecification(item.spec) };
    },
  }),
  operation({
    id: 'vcenter.vm.guest.customization.set',
    summary: 'Says what a guest that is off is to be told at its next start: by a kept specification, or by this one.',
    method: 'PUT',
    path: '/vcenter/vm/{vm}/guest/customization',
    rest: {},
    body: closed({ name: Type.Optional(namedSchema), spec: Type.Optional(guestCustomization) }),
    async run({ view, path, body }) {
      const machine = new Machine(view, path.vm);
      if ((body.name === undefined) === (body.spec === undefined))
        throw invalidArgument('Give the name of a specification, or a specification.');
      const spec =
        body.spec === undefined ? await customizationNamed(view, body.name ?? '') : toSpecification(body.spec);
      await view.run('VirtualMachine', machine.object.ref, 'CustomizeVM_Task', { spec });
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
  return (await itemNamed(view, name)).spec;
}

function itemOf({ name, description, spec }: CreateSpec, fingerprint?: string): CustomizationSpecItem {
  const about = { name, description, type: familyOf(spec), ...defined({ changeVersion: fingerprint }) };
  return data('CustomizationSpecItem', { info: data('CustomizationSpecInfo', about), spec: toSpecification(spec) });
}

function readJson(text: string): CreateSpec {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalidArgument('The text is neither JSON nor XML of a specification.');
  }
  const found = checkInput<CreateSpec>(createSpec, value, 'The specification');
  toSpecification(found.spec);
  return found;
}

async function itemNamed(view: CenterView, name: string): Promise<CustomizationSpecItem> {
  const manager = managerOf(view);
  if (!(await view.invoke('CustomizationSpecManager', manager, 'DoesCustomizationSpecExist', { name })))
    throw notFound('CustomizationSpec', name);
  return view.invoke('CustomizationSpecManager', manager, 'GetCustomizationSpec', { name });
}

function managerOf(view: CenterView): ManagedObjectReference {
  const [manager] = view.registry.all('CustomizationSpecManager');
  if (manager === undefined) throw new AutomationError('unsupported', 'No specifications for guests are kept here.');
  return manager.ref;
}
