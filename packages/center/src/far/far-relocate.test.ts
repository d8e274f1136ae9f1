import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { VimFault } from '@hypostyle/vim';
import { twoHosts } from '../testing/two-hosts.ts';

const named = (type: string) => (error: unknown) => (error as VimFault).type === type;
const spec = (more: object) => ({ spec: { _typeName: 'VirtualMachineRelocateSpec', ...more } });

test('a machine that is off moves to another host with its snapshots, and is the same machine', {
  timeout: 120_000,
}, async (t) => {
  const world = await twoHosts(t);
  const { center, here, there, farPool, farDatastore, farHost, create, writeDisk, readDisk, filesOf, daemon } = world;
  const web = await create('web');
  await center.task(web, 'ReconfigVM_Task', {
    spec: {
      _typeName: 'VirtualMachineConfigSpec',
      annotation: 'before',
      extraConfig: [{ _typeName: 'OptionValue', key: 'guestinfo.role', value: 'front' }],
    },
  });
  const bytes = await writeDisk(here, 'web/web.vmdk');
  for (const name of ['one', 'two'])
    await center.task(web, 'CreateSnapshot_Task', { name, description: 'x', memory: false, quiesce: false });
  const before = center.read(web, 'config');
  const tree = center.read(web, 'snapshot')?.rootSnapshotList;
  const seen = new Set<number>();
  const stop = center.center.registry.onCommit(() => seen.add(center.all('VirtualMachine').length));
  await center.task(web, 'RelocateVM_Task', spec({ host: farHost, datastore: farDatastore, pool: farPool }));
  stop();
  assert.deepEqual([...seen], [1], 'it is one machine from beginning to end');
  const after = center.read(web, 'config');
  assert.deepEqual(center.read(web, 'runtime')?.host, farHost);
  assert.deepEqual(center.read(web, 'resourcePool'), farPool);
  assert.deepEqual([after?.uuid, after?.instanceUuid], [before?.uuid, before?.instanceUuid]);
  assert.equal(after?.annotation, 'before');
  assert.ok(after?.extraConfig?.some(({ key, value }) => key === 'guestinfo.role' && value === 'front'));
  const shape = (list: typeof tree): unknown =>
    (list ?? []).map(({ name, description, childSnapshotList }) => [name, description, shape(childSnapshotList)]);
  assert.deepEqual(shape(center.read(web, 'snapshot')?.rootSnapshotList), shape(tree));
  assert.deepEqual(await readDisk(there, 'web/web.vmdk'), bytes);
  assert.ok(daemon('far').machine('web') !== undefined && daemon('local').machine('web') === undefined);
  assert.deepEqual(
    await filesOf(here),
    (await filesOf(here)).filter((name) => !name.startsWith('web')),
  );
  const events = await center.events();
  for (const type of ['VmBeingRelocatedEvent', 'VmRelocatedEvent']) assert.ok(events.includes(type), type);
  assert.ok(!events.includes('VmInstanceUuidConflictEvent'));
  // It works there, and comes back.
  await center.task(web, 'PowerOnVM_Task', {});
  await assert.rejects(
    center.task(web, 'RelocateVM_Task', spec({ datastore: world.datastore, pool: world.pool })),
    named('InvalidPowerState'),
  );
  await center.task(web, 'PowerOffVM_Task', {});
  await center.task(web, 'RelocateVM_Task', spec({ datastore: world.datastore, pool: world.pool }));
  assert.ok(daemon('local').machine('web') !== undefined && daemon('far').machine('web') === undefined);
  await center.task(web, 'Destroy_Task', {});
  assert.equal(center.all('VirtualMachine').length, 0);
  assert.deepEqual(center.defects, []);
});

test('a move that fails leaves the machine where it was, and nothing elsewhere', { timeout: 120_000 }, async (t) => {
  const { center, there, farPool, farDatastore, farHost, network, create, filesOf, daemon, vmFolder } =
    await twoHosts(t);
  const web = await create('web');
  const empty = await filesOf(there);
  const move = (more: object = {}) =>
    center.task(web, 'RelocateVM_Task', spec({ datastore: farDatastore, pool: farPool, ...more }));
  await assert.rejects(center.task(web, 'RelocateVM_Task', spec({ host: farHost })), named('InvalidDatastore'));
  await assert.rejects(center.task(web, 'MigrateVM_Task', { host: farHost, priority: 'defaultPriority' }), (error) =>
    ['InvalidDatastore', 'CannotAccessVmConfig'].includes((error as VimFault).type),
  );
  // Devices that cannot be: known when all has come.
  const deviceChange = [
    {
      _typeName: 'VirtualDeviceConfigSpec',
      operation: 'remove',
      device: { _typeName: 'VirtualE1000', key: 4099 },
    },
  ];
  await assert.rejects(move({ deviceChange }));
  assert.deepEqual(await filesOf(there), empty);
  assert.equal(center.center.core.inventory.find(web.value)?.type, 'VirtualMachine');
  assert.deepEqual(Object.hasOwn(center.center.core.inventory.find(web.value) ?? {}, 'alsoOn'), false);
  // The other host is lost in the middle of it, and comes back.
  let once = true;
  network.onExchange = (host, { method }) => {
    if (!once || host !== 'far' || method !== 'PUT') return;
    once = false;
    setImmediate(() => {
      network.cut('far');
      setImmediate(() => network.heal('far'));
    });
  };
  await move();
  assert.ok(daemon('far').machine('web') !== undefined && daemon('local').machine('web') === undefined);
  assert.deepEqual(center.read(web, 'parent'), vmFolder);
  assert.deepEqual(center.defects, []);
});
