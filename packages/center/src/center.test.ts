import assert from 'node:assert/strict';
import { test } from 'node:test';
import { smallMachine, vmFolder } from '@hypostyle/host/testing';
import { MemoryPersistence } from '@hypostyle/vim';
import { HostNetwork, TestCenter } from './testing/center-fixture.ts';

test('a center shows its local host, and what happens on it', { timeout: 60_000 }, async () => {
  const network = new HostNetwork();
  const daemon = await network.add('local');
  await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('one'));
  const disk = new MemoryPersistence();
  const center = await TestCenter.open(network, disk, 'local');
  const one = center.named('VirtualMachine', 'one');
  assert.match(one.value, /^vm-\d+$/);
  assert.equal(center.read(one, 'runtime')?.powerState, 'poweredOff');
  assert.equal(center.read(one, 'runtime')?.host?.type, 'HostSystem');
  const host = center.named('HostSystem', 'local');
  assert.deepEqual(center.read(host, 'vm'), [one]);
  const datastore = center.named('Datastore', 'datastore1');
  assert.deepEqual(center.read(datastore, 'vm'), [one]);
  assert.deepEqual(center.read(one, 'datastore'), [datastore]);

  await center.task(one, 'PowerOnVM_Task');
  assert.equal(center.read(one, 'runtime')?.powerState, 'poweredOn');
  await center.task(one, 'PowerOffVM_Task');
  assert.equal(center.read(one, 'runtime')?.powerState, 'poweredOff');

  await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('two'));
  await center.until(() => center.all('VirtualMachine').length === 2);
  const two = center.named('VirtualMachine', 'two');
  assert.deepEqual(center.defects, []);
  await center.close();

  const again = await TestCenter.open(network, disk, 'local');
  assert.deepEqual(again.named('VirtualMachine', 'one'), one);
  assert.deepEqual(again.named('VirtualMachine', 'two'), two);
  assert.deepEqual(again.named('HostSystem', 'local'), host);
  await again.call(two, 'UnregisterVM');
  assert.equal(again.all('VirtualMachine').length, 1);
  assert.deepEqual(again.defects, []);
  await again.close();
  await network.remove();
});
