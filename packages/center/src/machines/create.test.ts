import assert from 'node:assert/strict';
import { test } from 'node:test';
import { smallMachine } from '@hypostyle/host/testing';
import type { ManagedObjectReference, VimFault } from '@hypostyle/vim';
import { HostNetwork, TestCenter } from '../testing/center-fixture.ts';

const named = (type: string) => (error: unknown) => (error as VimFault).type === type;

/** Root pool, folder of machines and the host of a center that has one. */
function places(center: TestCenter) {
  const [host] = center.all('HostSystem');
  const [datacenter] = center.all('Datacenter');
  const [pool] = center.all('ResourcePool');
  assert.ok(host && datacenter && pool);
  const folder = center.read(datacenter, 'vmFolder') as ManagedObjectReference<'Folder'>;
  return { host, datacenter, pool, folder };
}

test('a machine is made where the client says, and nothing stays of one that fails', { timeout: 60_000 }, async () => {
  const network = new HostNetwork();
  const daemon = await network.add('local');
  const center = await TestCenter.open(network, undefined, 'local');
  const { host, pool, folder } = places(center);
  const { config } = smallMachine('one') as { config: Record<string, unknown> };
  const seen: string[] = [];
  const stop = center.center.registry.onCommit(() => {
    for (const ref of center.all('VirtualMachine')) seen.push(center.read(ref, 'parent')?.value ?? 'none');
    // Somebody who follows the lists reads them at each step.
    center.read(folder, 'childEntity');
    center.read(host, 'vm');
    center.read(pool, 'vm');
  });
  const one = (await center.task(folder, 'CreateVM_Task', {
    config,
    pool,
  })) as ManagedObjectReference<'VirtualMachine'>;
  stop();
  assert.equal(one.type, 'VirtualMachine');
  assert.match(one.value, /^vm-\d+$/);
  assert.equal(center.read(one, 'name'), 'one');
  assert.deepEqual(center.read(one, 'runtime')?.host, host);
  assert.deepEqual(center.read(one, 'resourcePool'), pool);
  assert.deepEqual(center.read(folder, 'childEntity'), [one]);
  assert.deepEqual(center.read(host, 'vm'), [one]);
  assert.deepEqual(center.read(pool, 'vm'), [one]);
  assert.deepEqual([...new Set(seen)], [folder.value]);
  const { eventManager } = center.read({ type: 'ServiceInstance', value: 'ServiceInstance' }, 'content') as {
    eventManager: ManagedObjectReference<'EventManager'>;
  };
  const events = (await center.call(eventManager, 'QueryEvents', { filter: {} })) as readonly {
    readonly _typeName: string;
    readonly fullFormattedMessage: string;
  }[];
  const told = events.filter(({ fullFormattedMessage: message }) => /Folder.createVm|Created virtual/.test(message));
  assert.deepEqual(
    told.map(({ _typeName }) => _typeName),
    ['TaskEvent', 'VmCreatedEvent'],
    'a task of the center and its host is announced once',
  );
  assert.match(told[1]?.fullFormattedMessage ?? '', /^Created virtual machine one on \S+ in Datacenter$/);
  await assert.rejects(center.task(folder, 'CreateVM_Task', { config, pool }), named('DuplicateName'));
  const at = (path: string, name: string) => ({
    config: { ...config, name, files: { _typeName: 'VirtualMachineFileInfo', vmPathName: path } },
    pool,
  });
  await assert.rejects(center.task(folder, 'CreateVM_Task', at('[nowhere]', 'two')), named('InvalidDatastore'));
  await assert.rejects(
    center.task(folder, 'CreateVM_Task', at('[datastore1] one/one.vmx', 'two')),
    named('FileAlreadyExists'),
  );
  await assert.rejects(
    center.task(folder, 'CreateVM_Task', { ...at('[datastore1]', 'x'.repeat(81)) }),
    named('InvalidName'),
  );
  assert.equal([...center.center.core.inventory.all('VirtualMachine')].length, 1);
  await center.call(one, 'UnregisterVM');
  assert.deepEqual(center.all('VirtualMachine'), []);
  const register = { path: '[datastore1] one/one.vmx', name: 'again', asTemplate: false, pool };
  const again = (await center.task(folder, 'RegisterVM_Task', register)) as ManagedObjectReference<'VirtualMachine'>;
  assert.equal(center.read(again, 'name'), 'again');
  assert.equal(daemon.machines().length, 1);
  await assert.rejects(center.task(folder, 'RegisterVM_Task', { ...register, name: 'third' }), named('AlreadyExists'));
  assert.equal([...center.center.core.inventory.all('VirtualMachine')].length, 1);
  assert.deepEqual(center.defects, []);
  await center.close();
  await network.remove();
});
