import assert from 'node:assert/strict';
import { test } from 'node:test';
import { smallCenter } from '../codec/testing/small-center.ts';
import { ChangeFeed } from '../collector/change-feed.ts';
import { createPropertyCollector } from '../collector/property-collector.ts';
import { Dispatcher } from '../runtime/dispatcher.ts';
import { Registry } from '../runtime/registry.ts';
import { loadSchema } from '../schema/schema.ts';
import { addServiceInstance } from '../services/settings/service-instance.ts';
import { allowEverything, sessionOf } from '../services/testing/calls.ts';
import { follow } from './follow.ts';
import { createLocalCaller } from './local-caller.ts';
import { retrieve } from './retrieve.ts';
import { waitForTask } from './wait-for-task.ts';

const schema = loadSchema();

/** A service of machines with a real property collector. */
function build(machines: number) {
  const registry = new Registry(schema);
  const dispatcher = new Dispatcher({ registry, authorizer: allowEverything });
  const propertyCollector = createPropertyCollector({
    registry,
    authorizer: allowEverything,
    feed: new ChangeFeed(registry),
  });
  const rootFolder = { type: 'Folder', value: 'root' } as const;
  addServiceInstance({
    registry,
    content: { propertyCollector, rootFolder } as never,
    capability: { provisioningSupported: true, multiHostSupported: true, userShellAccessSupported: false },
  });
  const config = Object.freeze({ name: 'web' });
  const vms = registry.commit((draft) =>
    Array.from({ length: machines }, (_, i) =>
      draft.add<'VirtualMachine'>(
        {
          type: 'VirtualMachine',
          methods: {
            // Answers what it was given.
            ReconfigVM_Task: (_call, { spec }) => spec as never,
          },
        },
        `vm-${i}`,
        { name: `machine-${i}`, config: config as never },
      ),
    ),
  );
  const caller = createLocalCaller({ dispatcher, registry, session: sessionOf('root') });
  return { registry, caller, vms, config, propertyCollector };
}

test('values pass as they are, both ways', async () => {
  const { caller, vms, config } = build(1);
  const spec = Object.freeze({ name: 'web' });
  assert.equal(await caller.call(vms[0]!, 'ReconfigVM_Task', { spec }), spec);
  const [found] = await retrieve(caller, vms, ['name', 'config']);
  assert.equal(found?.values.name, 'machine-0');
  assert.deepEqual({ ...found?.values.config, _typeName: undefined }, { ...config, _typeName: undefined });
  assert.equal((await caller.content()).rootFolder.value, 'root');
});

test('a large answer is an array, though it is read only while somebody reads', async () => {
  const { caller, vms, propertyCollector } = build(1_000);
  assert.equal((await retrieve(caller, vms, ['name'])).length, 1_000);
  const specSet = [
    { objectSet: vms.map((obj) => ({ obj })), propSet: [{ type: 'VirtualMachine', pathSet: ['name'] }] },
  ];
  const contents = await caller.call(propertyCollector, 'RetrieveProperties', { specSet });
  assert.ok(Array.isArray(contents));
  assert.equal(contents.length, 1_000);
});

test('faults are those of any caller: methods that are not there, objects that are gone, a session that ended', async () => {
  const { registry, caller, vms } = build(1);
  await assert.rejects(caller.call(vms[0]!, 'PowerOnVM_Task', {}), { name: 'VimFault', type: 'NotSupported' });
  await assert.rejects(caller.call(vms[0]!, 'Nonsense' as 'PowerOnVM_Task', {}), TypeError);
  registry.commit((draft) => draft.remove(vms[0]!));
  await assert.rejects(retrieve(caller, vms, ['name']), { type: 'ManagedObjectNotFound' });
  const session = { ...sessionOf('root'), ended: true };
  const dispatcher = new Dispatcher({ registry, authorizer: allowEverything });
  const late = createLocalCaller({ dispatcher, registry, session });
  const instance = { type: 'ServiceInstance', value: 'ServiceInstance' } as const;
  await assert.rejects(late.call(instance, 'CurrentTime', {}), { type: 'NotAuthenticated' });
});

test('follows changes until the signal fires, which ends a call that waits', async () => {
  const { registry, caller, vms } = build(2);
  const controller = new AbortController();
  const filter = { objectSet: vms.map((obj) => ({ obj })), propSet: [{ type: 'VirtualMachine', pathSet: ['name'] }] };
  const names: unknown[] = [];
  const reading = (async () => {
    for await (const { filterSet = [] } of follow(caller, filter, { signal: controller.signal })) {
      for (const { objectSet = [] } of filterSet) {
        for (const { changeSet = [] } of objectSet) names.push(...changeSet.map(({ val }) => val));
      }
      if (names.length === 2) registry.commit((draft) => draft.set(vms[1]!, { name: 'new' }));
      else setImmediate(() => controller.abort(new Error('enough')));
    }
  })();
  await assert.rejects(reading, { message: 'enough' });
  assert.deepEqual(names, ['machine-0', 'machine-1', 'new']);
  assert.equal([...registry.all('PropertyCollector')].length, 1, 'its collector goes with it');
  const late = caller.call(vms[0]!, 'ReconfigVM_Task', { spec: {} }, { signal: controller.signal });
  await assert.rejects(late, { message: 'enough' });
});

test('waits for tasks as a client does', async () => {
  const { registry, dispatcher } = smallCenter(0);
  const caller = createLocalCaller({ dispatcher, registry, session: sessionOf('root') });
  const progress: number[] = [];
  const result = await waitForTask(caller, { type: 'Task', value: 'task-1' }, { onProgress: (p) => progress.push(p) });
  assert.deepEqual(progress, [20, 60]);
  assert.deepEqual(result, { _typeName: 'ManagedObjectReference', type: 'VirtualMachine', value: 'vm-9' });
  await assert.rejects(waitForTask(caller, { type: 'Task', value: 'task-2' }), { type: 'InvalidPowerState' });
});
