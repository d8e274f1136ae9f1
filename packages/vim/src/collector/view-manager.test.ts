import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ObjectContent } from '../generated/types.ts';
import { VimFault } from '../runtime/fault.ts';
import type { BoxedValue, ManagedObjectReference } from '../schema/values.ts';
import { smallDatacenter, TestSession } from './testing/small-datacenter.ts';

type Ref = ManagedObjectReference;

/** A datacenter with two machines in a folder, one of them in a pool too. */
function inventory(world = smallDatacenter()) {
  const { add, set, root } = world;
  const vms = add('Folder', 'group-v1', { name: 'vm', childEntity: [] });
  const hosts = add('Folder', 'group-h1', { name: 'host', childEntity: [] });
  const center = add('Datacenter', 'datacenter-1', { name: 'DC', vmFolder: vms, hostFolder: hosts, parent: root });
  const one = add('VirtualMachine', 'vm-1', { name: 'one', parent: vms });
  const two = add('VirtualMachine', 'vm-2', { name: 'two', parent: vms });
  const pool = add('ResourcePool', 'resgroup-1', { name: 'Resources', vm: [one, two] });
  const host = add('HostSystem', 'host-1', { name: 'esx', vm: [one] });
  const cluster = add('ClusterComputeResource', 'domain-c1', { name: 'cl', host: [host], resourcePool: pool });
  set(root, { childEntity: [center] });
  set(vms, { childEntity: [one, two], parent: center });
  set(hosts, { childEntity: [cluster], parent: center });
  const call = world.caller(new TestSession('root'));
  const show = async (view: Ref): Promise<string[]> => {
    const specSet = [{ objectSet: [{ obj: view }], propSet: [{ type: view.type, pathSet: ['view'] }] }];
    const [content] = [
      ...((await call(world.collector, 'RetrieveProperties', { specSet })) as Iterable<ObjectContent>),
    ];
    const value = content?.propSet?.[0]?.val as BoxedValue | undefined;
    return ((value?._value ?? []) as Ref[]).map(({ value: id }) => id).sort();
  };
  const container = (ref: Ref, recursive: boolean, ...type: string[]) =>
    call(world.viewManager, 'CreateContainerView', { container: ref, recursive, type }) as Promise<Ref>;
  return { ...world, call, show, container, vms, hosts, center, one, two, pool, host, cluster };
}

test('container views follow the documented links, each object once', async () => {
  const { show, container, root, center, cluster, pool, host, vms } = inventory();
  assert.deepEqual(await show(await container(root, false)), ['datacenter-1']);
  assert.deepEqual(await show(await container(root, true, 'VirtualMachine')), ['vm-1', 'vm-2']);
  assert.deepEqual(await show(await container(root, true, 'ComputeResource', 'HostSystem')), ['domain-c1', 'host-1']);
  assert.deepEqual(await show(await container(center, false)), ['group-h1', 'group-v1']);
  assert.deepEqual(await show(await container(cluster, false)), ['host-1', 'resgroup-1', 'vm-1', 'vm-2']);
  assert.deepEqual(await show(await container(pool, false)), ['vm-1', 'vm-2']);
  assert.deepEqual(await show(await container(host, true)), ['vm-1']);
  assert.deepEqual(await show(await container(vms, true, 'ManagedEntity')), ['vm-1', 'vm-2']);
});

test('a view shows what came and not what went', async () => {
  const { show, container, root, add, set, registry, vms, one, two, pool } = inventory();
  const view = await container(root, true, 'VirtualMachine');
  assert.deepEqual(await show(view), ['vm-1', 'vm-2']);
  const three = add('VirtualMachine', 'vm-3', { name: 'three' });
  set(vms, { childEntity: [one, two, three] });
  assert.deepEqual(await show(view), ['vm-1', 'vm-2', 'vm-3']);
  registry.commit((draft) => {
    draft.remove(one);
    draft.set(vms, { childEntity: [two, three] as never });
    draft.set(pool, { vm: [two] });
  });
  assert.deepEqual(await show(view), ['vm-2', 'vm-3']);
});

test('a machine is no container', async () => {
  const { container, one } = inventory();
  await assert.rejects(container(one, true), (error) => error instanceof VimFault && error.type === 'InvalidArgument');
});

test('list views show what they are told, and say what they could not find', async () => {
  const { call, show, viewManager, one, two, root, container, registry } = inventory();
  const gone = { type: 'VirtualMachine', value: 'vm-99' };
  const view = (await call(viewManager, 'CreateListView', { obj: [one, gone] })) as Ref;
  assert.deepEqual(await show(view), ['vm-1']);
  assert.deepEqual(await call(view, 'ModifyListView', { add: [two, gone], remove: [one] }), [gone]);
  assert.deepEqual(await show(view), ['vm-2']);
  await call(view, 'ResetListView', { obj: [root] });
  assert.deepEqual(await show(view), ['group-d1']);
  await call(view, 'ResetListViewFromView', { view: await container(root, true, 'VirtualMachine') });
  assert.deepEqual(await show(view), ['vm-1', 'vm-2']);
  registry.commit((draft) => draft.remove(one));
  assert.deepEqual(await show(view), ['vm-2']);
  await call(view, 'DestroyView');
  assert.equal(registry.get(view), undefined);
});

test('an inventory view opens and closes folders', async () => {
  const { call, show, viewManager, root, center, vms } = inventory();
  const view = (await call(viewManager, 'CreateInventoryView')) as Ref;
  assert.deepEqual(await show(view), ['group-d1']);
  await call(view, 'OpenInventoryViewFolder', { entity: [root, center] });
  assert.deepEqual(await show(view), ['datacenter-1', 'group-d1', 'group-h1', 'group-v1']);
  await call(view, 'OpenInventoryViewFolder', { entity: [vms] });
  assert.deepEqual((await show(view)).length, 6);
  await call(view, 'CloseInventoryViewFolder', { entity: [center] });
  assert.deepEqual(await show(view), ['datacenter-1', 'group-d1']);
});

test('members that the reader may not see are not shown', async () => {
  const world = smallDatacenter({ holds: (_session, { value }) => value !== 'vm-2' });
  const { show, container, root } = inventory(world);
  assert.deepEqual(await show(await container(root, true, 'VirtualMachine')), ['vm-1']);
});
