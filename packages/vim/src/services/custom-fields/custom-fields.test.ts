import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from '../../runtime/registry.ts';
import { loadSchema } from '../../schema/schema.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';
import { MemoryPersistence } from '../memory-persistence.ts';
import { faultNamed, sessionOf, TestClient } from '../testing/calls.ts';
import { RecordedEvents } from '../testing/recorded-events.ts';
import { CustomFields } from './custom-fields.ts';

const schema = loadSchema();

async function build(persistence = new MemoryPersistence(), denied: readonly string[] = []) {
  const registry = new Registry(schema);
  const events = new RecordedEvents();
  const authorizer = { holds: (_session: unknown, _object: unknown, privilege: string) => !denied.includes(privilege) };
  const fields = await CustomFields.open({ registry, persistence, events, authorizer });
  const methods = { setCustomValue: fields.setCustomValue };
  const add = (type: 'VirtualMachine' | 'Folder', value: string) => {
    const ref: ManagedObjectReference = { _typeName: 'ManagedObjectReference', type, value };
    return registry.commit((draft) =>
      draft.add({ type, methods } as never, value, { name: value, ...fields.propertiesOf(ref) } as never),
    );
  };
  const machine = add('VirtualMachine', 'vm-1') as ManagedObjectReference<'VirtualMachine'>;
  const folder = add('Folder', 'group-v1') as ManagedObjectReference<'Folder'>;
  const client = new TestClient({ registry, authorizer });
  client.session = sessionOf('root');
  const define = async (args: object) =>
    ((await client.call(fields.ref, 'AddCustomFieldDef', { ...args })) as { key: number }).key;
  const set = (entity: ManagedObjectReference, key: number, value: string) =>
    client.call(fields.ref, 'SetField', { entity, key, value });
  return { registry, events, fields, machine, folder, client, define, set, persistence };
}

test('fields are defined for all entities or for a type, and their values shown on entities', async () => {
  const { define, set, registry, machine, folder, events, client, fields } = await build();
  const owner = await define({ name: 'owner' });
  const cost = await define({ name: 'cost', moType: 'VirtualMachine' });
  const names = (ref: typeof machine | typeof folder) => registry.read(ref, 'availableField')?.map(({ name }) => name);
  assert.deepEqual([names(machine), names(folder)], [['owner', 'cost'], ['owner']]);
  await set(machine, cost, '7');
  await client.call(machine, 'setCustomValue', { key: 'owner', value: 'ann' });
  await set(machine, cost, '8');
  const shown = registry.read(machine, 'customValue')?.map((each) => [each.key, (each as { value?: string }).value]);
  assert.deepEqual(shown, [
    [owner, 'ann'],
    [cost, '8'],
  ]);
  assert.equal(registry.read(machine, 'value'), registry.read(machine, 'customValue'));
  await client.call(fields.ref, 'RenameCustomFieldDef', { key: cost, name: 'price' });
  assert.deepEqual(names(machine), ['owner', 'price']);
  const before = registry.get(folder)?.version;
  await client.call(fields.ref, 'RemoveCustomFieldDef', { key: cost });
  assert.deepEqual(
    registry.read(machine, 'customValue')?.map(({ key }) => key),
    [owner],
  );
  assert.equal(registry.get(folder)?.version, before);
  assert.deepEqual(events.types, [
    'CustomFieldDefAddedEvent',
    'CustomFieldDefAddedEvent',
    'CustomFieldValueChangedEvent',
    'CustomFieldValueChangedEvent',
    'CustomFieldValueChangedEvent',
    'CustomFieldDefRenamedEvent',
    'CustomFieldDefRemovedEvent',
  ]);
  assert.equal((events.posted[4]?.members as { prevState?: string } | undefined)?.prevState, '7');
});

test('a name is taken for its type, and what is not there or not for the entity is said', async () => {
  const { define, set, machine, folder, client, fields } = await build();
  const cost = await define({ name: 'cost', moType: 'VirtualMachine' });
  await define({ name: 'cost', moType: 'HostSystem' });
  await define({ name: 'cost' });
  await assert.rejects(define({ name: 'cost' }), faultNamed('DuplicateName'));
  await assert.rejects(define({ name: 'cost', moType: 'VirtualMachine' }), faultNamed('DuplicateName'));
  await assert.rejects(define({ name: 'x', moType: 'Task' }), faultNamed('InvalidArgument'));
  await assert.rejects(define({ name: '' }), faultNamed('InvalidArgument'));
  const policy = { createPrivilege: 'x', readPrivilege: 'x', updatePrivilege: 'x', deletePrivilege: 'x' };
  await assert.rejects(define({ name: 'x', fieldPolicy: policy }), faultNamed('InvalidPrivilege'));
  await assert.rejects(set(folder, cost, '1'), faultNamed('InvalidArgument'));
  await assert.rejects(set(machine, 99, '1'), faultNamed('InvalidArgument'));
  await assert.rejects(
    client.call(machine, 'setCustomValue', { key: 'none', value: '' }),
    faultNamed('InvalidArgument'),
  );
  await assert.rejects(client.call(fields.ref, 'RemoveCustomFieldDef', { key: 99 }), faultNamed('InvalidArgument'));
});

test('fields and values are there after a restart, keys are not used again, values go with their entity', async () => {
  const { define, set, machine, fields, client, persistence } = await build();
  const owner = await define({ name: 'owner' });
  const last = await define({ name: 'last' });
  await set(machine, owner, 'ann');
  await client.call(fields.ref, 'RemoveCustomFieldDef', { key: last });
  const after = await build(persistence);
  assert.equal((after.registry.read(after.machine, 'customValue')?.[0] as { value?: string })?.value, 'ann');
  assert.equal(await after.define({ name: 'next' }), last + 1);
  await after.fields.forget(after.machine);
  const later = await build(persistence);
  assert.deepEqual(later.registry.read(later.machine, 'customValue'), []);
});

test('setting a field needs Global.SetCustomField on the entity, and the privilege that the field asks for', async () => {
  const { define, persistence } = await build();
  const policy = 'Global.Settings';
  const fieldPolicy = {
    createPrivilege: policy,
    readPrivilege: policy,
    updatePrivilege: policy,
    deletePrivilege: policy,
  };
  const key = await define({ name: 'guarded', fieldPolicy });
  const less = await build(persistence, ['Global.SetCustomField']);
  await assert.rejects(less.set(less.machine, key, '1'), {
    type: 'NoPermission',
    detail: { _typeName: 'NoPermission', object: less.machine, privilegeId: 'Global.SetCustomField' },
  });
  const guarded = await build(persistence, ['Global.Settings']);
  await assert.rejects(guarded.set(guarded.machine, key, '1'), faultNamed('NoPermission'));
});
