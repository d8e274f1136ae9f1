import assert from 'node:assert/strict';
import { test } from 'node:test';
import { smallMachine } from '@hypostyle/host/testing';
import type { ManagedObjectReference, VimFault } from '@hypostyle/vim';
import { HostNetwork, TestCenter } from '../testing/center-fixture.ts';

const named = (type: string) => (error: unknown) => (error as VimFault).type === type;

test('machines are renamed and destroyed through the center, by the rules of its folders', {
  timeout: 60_000,
}, async () => {
  const network = new HostNetwork();
  const daemon = await network.add('local');
  const center = await TestCenter.open(network, undefined, 'local');
  const [datacenter] = center.all('Datacenter');
  const [pool] = center.all('ResourcePool');
  assert.ok(datacenter && pool);
  const folder = center.read(datacenter, 'vmFolder') as ManagedObjectReference<'Folder'>;
  const make = async (name: string) =>
    (await center.task(folder, 'CreateVM_Task', {
      config: { ...(smallMachine(name) as { config: object }).config },
      pool,
    })) as ManagedObjectReference<'VirtualMachine'>;
  const one = await make('one');
  const two = await make('two');
  await center.task(one, 'Rename_Task', { newName: 'uno' });
  assert.equal(center.read(one, 'name'), 'uno');
  assert.equal(center.read(one, 'config')?.name, 'uno');
  assert.deepEqual(
    daemon
      .machines()
      .map((ref) => daemon.host.registry.get(ref)?.value('name'))
      .sort(),
    ['two', 'uno'],
  );
  await assert.rejects(center.task(two, 'Rename_Task', { newName: 'uno' }), named('DuplicateName'));
  await assert.rejects(center.call(two, 'Rename_Task', { newName: '' }), named('InvalidName'));
  // Two at once for one name: one gets it.
  const both = await Promise.allSettled([
    center.task(one, 'Rename_Task', { newName: 'same' }),
    center.task(two, 'Rename_Task', { newName: 'same' }),
  ]);
  assert.deepEqual(both.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
  // A name may be reconfigured into as well, and keeps to the same rules.
  const left = both[0]?.status === 'fulfilled' ? two : one;
  await assert.rejects(
    center.task(left, 'ReconfigVM_Task', { spec: { _typeName: 'VirtualMachineConfigSpec', name: 'same' } }),
    named('DuplicateName'),
  );
  await center.task(one, 'PowerOnVM_Task');
  await assert.rejects(center.task(one, 'Destroy_Task'), named('InvalidPowerState'));
  await center.task(one, 'PowerOffVM_Task');
  await center.task(one, 'Destroy_Task');
  assert.deepEqual(center.all('VirtualMachine'), [two]);
  assert.equal(daemon.machines().length, 1);
  await assert.rejects(center.call(one, 'Destroy_Task'), named('ManagedObjectNotFound'));
  assert.deepEqual(center.read(folder, 'childEntity'), [two]);
  assert.deepEqual(center.defects, []);
  await center.close();
  await network.remove();
});
