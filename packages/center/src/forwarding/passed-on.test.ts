import assert from 'node:assert/strict';
import { test } from 'node:test';
import { smallMachine, vmFolder } from '@hypostyle/host/testing';
import { loadSchema, type ManagedObjectReference, type VimFault } from '@hypostyle/vim';
import { HostNetwork, TestCenter } from '../testing/center-fixture.ts';

const schema = loadSchema();

/** Every reference in a value. */
function referencesIn(value: unknown, found: ManagedObjectReference[] = []): ManagedObjectReference[] {
  if (typeof value !== 'object' || value === null) return found;
  const { _typeName, type, value: inner } = value as { _typeName?: string; type?: string; value?: string };
  const isReference =
    _typeName === 'ManagedObjectReference' || (type !== undefined && schema.managed(type) !== undefined);
  if (isReference && typeof inner === 'string') found.push(value as ManagedObjectReference);
  else for (const one of Object.values(value)) referencesIn(one, found);
  return found;
}

test('nothing at the center speaks in the references of a host, and what a host does not do is not done', {
  timeout: 60_000,
}, async (t) => {
  const network = new HostNetwork();
  const daemon = await network.add('local');
  const center = await TestCenter.open(network, undefined, 'local');
  t.after(async () => {
    await center.close();
    await network.remove();
  });
  await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('one'));
  await center.until(() => center.all('VirtualMachine').length === 1);
  const { registry } = center.center;
  const known = (ref: ManagedObjectReference) => registry.byValue(ref.value)?.ref.type === ref.type;
  const check = (value: unknown, where: string) => {
    for (const ref of referencesIn(value)) assert.ok(known(ref), `${where} names ${ref.type} ${ref.value}`);
  };
  let looked = 0;
  for (const type of schema.names()) {
    if (schema.managed(type) === undefined) continue;
    for (const object of registry.all(type as 'Task')) {
      if (object.ref.type !== type) continue;
      for (const { name } of schema.managed(type)?.properties ?? []) {
        check(object.value(name), `${type}.${name}`);
        looked += 1;
      }
    }
  }
  assert.ok(looked > 200, `${looked}`);

  // Methods that need nothing and change little: asked there and here.
  const pairs: [ManagedObjectReference, ManagedObjectReference][] = [];
  for (const type of [
    'VirtualMachine',
    'HostSystem',
    'Datastore',
    'HostDatastoreSystem',
    'HostDatastoreBrowser',
    'Network',
    'EnvironmentBrowser',
  ] as const) {
    const [here] = center.all(type);
    const there = here && center.center.core.hosts.route(here).ref;
    if (here !== undefined && there !== undefined) pairs.push([here, there]);
  }
  assert.equal(pairs.length, 7);
  const outcome = async (call: () => Promise<unknown>) => {
    try {
      return { result: await call() };
    } catch (error) {
      return { fault: (error as VimFault).type };
    }
  };
  let asked = 0;
  const answered: string[] = [];
  for (const [here, there] of pairs) {
    for (const [name, method] of schema.managed(here.type)?.methods ?? []) {
      if (method.parameters.some(({ optional }) => !optional)) continue;
      if (
        /^(Destroy|Unregister|PowerOn|PowerDown|Suspend|Disconnect|Reconnect|Shutdown|Reboot|Enter|Exit|Reset|Export|Mark)/.test(
          name,
        )
      )
        continue;
      const direct = await outcome(() => daemon.call(there, name));
      const passed = await outcome(() => center.call(here, name));
      asked += 1;
      assert.equal(passed.fault, direct.fault, `${here.type}.${name}`);
      if (passed.fault === undefined) answered.push(`${here.type}.${name}`);
      check(passed.result, `${here.type}.${name}`);
    }
  }
  assert.ok(asked > 50 && answered.length > 5, `${asked} asked, answered: ${answered}`);
});
