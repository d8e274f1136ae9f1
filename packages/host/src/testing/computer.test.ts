import assert from 'node:assert/strict';
import { test } from 'node:test';
import { references } from '../inventory/references.ts';
import { Computer } from './host-fixture.ts';

test('hosts of one machine are told apart, and stay who they are', async () => {
  const [one, two] = await Promise.all([Computer.make({ name: 'one' }), Computer.make({ name: 'two' })]);
  try {
    const identity = async (computer: Computer) => {
      const { host } = await computer.start();
      const summary = host.registry.read(references.host, 'summary');
      const content = host.registry.read({ type: 'ServiceInstance', value: 'ServiceInstance' }, 'content');
      await host.close();
      return {
        name: host.registry.read(references.host, 'name'),
        shown: summary?.config.name,
        uuid: summary?.hardware?.uuid,
        instance: content?.about.instanceUuid,
      };
    };
    const first = await identity(one);
    assert.deepEqual([first.name, first.shown, first.instance], ['one', 'one', first.uuid]);
    assert.notEqual((await identity(two)).uuid, first.uuid);
    assert.deepEqual(await identity(one), first);
  } finally {
    await Promise.all([one.remove(), two.remove()]);
  }
});

test('machines that fill a computer are registered at its start, run, and have ids of their own', async () => {
  const computer = await Computer.make();
  try {
    await computer.fill(500);
    const daemon = await computer.start();
    assert.equal(daemon.machines().length, 500);
    const last = daemon.machine('vm-500');
    assert.ok(last);
    assert.equal(daemon.read(last, 'summary')?.config.numVirtualDisks, 1);
    await daemon.task(last, 'PowerOnVM_Task');
    assert.equal(daemon.read(last, 'runtime')?.powerState, 'poweredOn');
    assert.deepEqual(computer.defects, []);
    await daemon.host.close();
    await computer.fill(2);
    const next = await computer.start();
    assert.ok(next.machine('vm-502'));
    const uuids = new Set(next.machines().map((machine) => next.read(machine, 'config')?.instanceUuid));
    assert.equal(uuids.size, 502);
    await next.host.close();
  } finally {
    await computer.remove();
  }
});
