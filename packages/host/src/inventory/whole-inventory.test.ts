import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadSchema, type ManagedObject, type ManagedObjectReference, type Schema } from '@hypostyle/vim';
import { Computer, smallMachine, vmFolder } from '../testing/host-fixture.ts';
import { references } from './references.ts';

/** Members that the schema requires and the value has not, and those that the schema does not know, by their path. */
function* wrongIn(schema: Schema, value: unknown, declared: string, path: string): Generator<string> {
  if (Array.isArray(value)) {
    for (const [index, element] of value.entries()) yield* wrongIn(schema, element, declared, `${path}[${index}]`);
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  const type = schema.data((value as { readonly _typeName?: string })._typeName ?? declared);
  if (type === undefined) return;
  for (const property of type.properties) {
    const member = (value as Record<string, unknown>)[property.name];
    if (member === undefined && !property.optional && !property.type.array) yield `${path}.${property.name} is missing`;
    yield* wrongIn(schema, member, property.type.name, `${path}.${property.name}`);
  }
  for (const name of Object.keys(value))
    if (name !== '_typeName' && type.property(name) === undefined) yield `${path}.${name} is unknown`;
}

function* wrongOf(schema: Schema, object: ManagedObject): Generator<string> {
  for (const property of object.managedType.properties) {
    const path = `${object.ref.type} ${object.ref.value} ${property.name}`;
    const value = object.value(property.name);
    const perSession = property.name in (object.class.perSession ?? {});
    if (value === undefined && !property.optional && !property.type.array && !perSession) yield `${path} is missing`;
    yield* wrongIn(schema, value, property.type.name, path);
  }
}

test('whatever an object of a host must have, it has, at any depth', async () => {
  const schema = loadSchema();
  const computer = await Computer.make();
  try {
    const daemon = await computer.start();
    const web = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as never;
    await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('off'));
    await daemon.task(web, 'PowerOnVM_Task');
    const wrong = [...daemon.host.registry.all()].flatMap((object) => [...wrongOf(schema, object)]);
    assert.deepEqual(wrong, []);
    await daemon.host.close();
  } finally {
    await computer.remove();
  }
});

test('what clients of a center read of an entity is there, where the schema does not require it', async () => {
  const computer = await Computer.make();
  try {
    const daemon = await computer.start();
    const web = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as ManagedObjectReference;
    await daemon.task(web, 'PowerOnVM_Task');
    const { registry } = daemon.host;
    const pool = references.rootPool;
    const read: [ManagedObjectReference, readonly string[]][] = [
      [references.host, ['hardware', 'capability', 'config', 'vm', 'datastore', 'network', 'systemResources']],
      [web, ['config', 'layout', 'layoutEx', 'storage', 'resourcePool', 'resourceConfig', 'guest', 'rootSnapshot']],
      [references.computeResource, ['resourcePool', 'host', 'datastore', 'network', 'environmentBrowser']],
      [registry.read(references.host, 'datastore')![0]!, ['host', 'vm', 'iormConfiguration']],
      [registry.read(references.host, 'network')![0]!, ['host', 'vm']],
      [pool, ['resourcePool', 'vm', 'childConfiguration']],
      ...[...registry.all('ManagedEntity')].map(
        ({ ref }) =>
          [ref, ['permission', 'recentTask', 'disabledMethod', 'value', 'customValue', 'declaredAlarmState']] as [
            ManagedObjectReference,
            readonly string[],
          ],
      ),
    ];
    const missing = read.flatMap(([ref, properties]) =>
      properties
        .filter((property) => registry.get(ref)?.value(property) === undefined)
        .map((property) => `${ref.type} ${property}`),
    );
    assert.deepEqual(missing, []);
    await daemon.host.close();
  } finally {
    await computer.remove();
  }
});
