import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VimFault } from '../runtime/fault.ts';
import type { ManagedObjectReference } from '../schema/values.ts';
import { smallDatacenter, TestSession } from './testing/small-datacenter.ts';

type Ref = ManagedObjectReference;

function inventory(world = smallDatacenter()) {
  const { add, set, root } = world;
  const folder = add('Folder', 'group-v1', { name: 'vm', childEntity: [] });
  const store = add('Datastore', 'datastore-1', { name: 'disk1' });
  const center = add('Datacenter', 'datacenter-1', { name: 'DC', vmFolder: folder, parent: root, datastore: [store] });
  const vm = add('VirtualMachine', 'vm-1', {
    name: 'one',
    parent: folder,
    config: { uuid: '4201-AB', instanceUuid: '5201', files: { vmPathName: '[disk1] one/one.vmx' } },
    guest: { ipAddress: '10.0.0.1', hostName: 'one.example', net: [{ ipAddress: ['10.0.0.1', 'fe80::1'] }] },
  });
  set(root, { childEntity: [center] });
  set(folder, { parent: center, childEntity: [vm] });
  const call = world.caller(new TestSession('root'));
  const find = async (method: string, args: object) =>
    ((await call(world.searchIndex, method, args as Record<string, unknown>)) as Ref | undefined)?.value;
  return { ...world, call, find, vm, folder, center };
}

test('machines are found by what names them, as it is now', async () => {
  const { find, set, vm, center, folder, registry } = inventory();
  const vmSearch = true;
  assert.equal(await find('FindByUuid', { uuid: '4201-ab', vmSearch }), 'vm-1');
  assert.equal(await find('FindByUuid', { uuid: '5201', vmSearch, instanceUuid: true }), 'vm-1');
  assert.equal(await find('FindByUuid', { uuid: '4201-ab', vmSearch: false }), undefined);
  assert.equal(await find('FindByUuid', { uuid: '4201-ab', vmSearch, datacenter: center }), 'vm-1');
  assert.equal(await find('FindByIp', { ip: 'fe80::1', vmSearch }), 'vm-1');
  assert.equal(await find('FindByDnsName', { dnsName: 'ONE.example', vmSearch }), 'vm-1');
  assert.equal(await find('FindByDatastorePath', { datacenter: center, path: '[disk1] one/one.vmx' }), 'vm-1');
  assert.equal(await find('FindByInventoryPath', { inventoryPath: '/DC/vm/one' }), 'vm-1');
  assert.equal(await find('FindByInventoryPath', { inventoryPath: 'DC/vm/' }), 'group-v1');
  assert.equal(await find('FindByInventoryPath', { inventoryPath: 'DC/nowhere' }), undefined);
  assert.equal(await find('FindChild', { entity: folder, name: 'one' }), 'vm-1');
  set(vm, { guest: { ipAddress: '10.0.0.2' } });
  assert.equal(await find('FindByIp', { ip: '10.0.0.1', vmSearch }), undefined);
  assert.equal(await find('FindByIp', { ip: '10.0.0.2', vmSearch }), 'vm-1');
  registry.commit((draft) => draft.remove(vm));
  assert.equal(await find('FindByIp', { ip: '10.0.0.2', vmSearch }), undefined);
});

test('all of one id are found, and none that may not be seen', async () => {
  const { call, searchIndex, add } = inventory(smallDatacenter({ holds: (_session, { value }) => value !== 'vm-1' }));
  add('VirtualMachine', 'vm-2', { name: 'copy', config: { uuid: '4201-ab' } });
  const found = (await call(searchIndex, 'FindAllByUuid', { uuid: '4201-ab', vmSearch: true })) as Ref[];
  assert.deepEqual(
    found.map(({ value }) => value),
    ['vm-2'],
  );
});

test('a datastore that the datacenter has not is InvalidDatastore', async () => {
  const { find, center } = inventory();
  await assert.rejects(
    find('FindByDatastorePath', { datacenter: center, path: '[other] a/a.vmx' }),
    (error) => error instanceof VimFault && error.type === 'InvalidDatastore',
  );
});
