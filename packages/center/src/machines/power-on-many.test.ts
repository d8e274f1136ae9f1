import assert from 'node:assert/strict';
import { test } from 'node:test';
import { smallMachine } from '@hypostyle/host/testing';
import { type ClusterPowerOnVmResult, type ManagedObjectReference, VimFault } from '@hypostyle/vim';
import { smallCenter } from '../testing/small-center.ts';

test('machines of several hosts are powered on by one call, which tells of each what became of it', {
  timeout: 60_000,
}, async (t) => {
  const { center, network, datacenter, vmFolder: folder } = await smallCenter(t);
  await network.add('esx2');
  await center.addHost('esx2');
  const machines: ManagedObjectReference<'VirtualMachine'>[] = [];
  for (const [index, host] of center.all('HostSystem').entries()) {
    const compute = center.read(host, 'parent') as ManagedObjectReference<'ComputeResource'>;
    const pool = center.read(compute, 'resourcePool');
    const [datastore] = center.read(host, 'datastore') ?? [];
    assert.ok(datastore);
    const { config } = smallMachine(`m${index}`) as { config: Record<string, unknown> };
    const files = { _typeName: 'VirtualMachineFileInfo', vmPathName: `[${center.read(datastore, 'name')}]` };
    const made = await center.task(folder, 'CreateVM_Task', { config: { ...config, files }, pool });
    machines.push(made as ManagedObjectReference<'VirtualMachine'>);
  }
  const [first, second] = machines;
  assert.ok(first && second);
  const gone = { ...first, value: 'vm-9999' };
  const power = async (vm: readonly ManagedObjectReference[]) =>
    (await center.task(datacenter, 'PowerOnMultiVM_Task', {
      vm,
      option: [{ _typeName: 'OptionValue', key: 'OverrideAutomationLevel', value: 'fullyAutomated' }],
    })) as ClusterPowerOnVmResult;

  const { attempted = [], notAttempted = [] } = await power([first, second, first, gone]);
  assert.deepEqual(
    attempted.map(({ vm }) => vm.value),
    [first.value, second.value],
  );
  assert.deepEqual(
    notAttempted.map(({ vm, fault }) => [vm.value, fault.fault._typeName]),
    [['vm-9999', 'ManagedObjectNotFound']],
  );
  for (const { task } of attempted) {
    assert.ok(task);
    assert.equal((await center.finished(task)).state, 'success');
  }
  for (const machine of machines) assert.equal(center.read(machine, 'runtime')?.powerState, 'poweredOn');

  const again = await power([first]);
  const [task] = again.attempted?.map((one) => one.task) ?? [];
  const refused =
    task === undefined ? again.notAttempted?.[0]?.fault.fault : (await center.finished(task)).error?.fault;
  assert.equal(refused?._typeName, 'InvalidPowerState');

  const other = (await center.call(
    { type: 'Folder', value: 'group-d1' } as ManagedObjectReference,
    'CreateDatacenter',
    {
      name: 'other',
    },
  )) as ManagedObjectReference;
  const elsewhere = (await center.task(other, 'PowerOnMultiVM_Task', { vm: [second] })) as ClusterPowerOnVmResult;
  assert.deepEqual(
    [elsewhere.attempted ?? [], elsewhere.notAttempted?.map(({ fault }) => fault.fault._typeName)],
    [[], ['InvalidArgument']],
  );
});

test('who may only look powers nothing on', { timeout: 60_000 }, async (t) => {
  const { center, datacenter, create } = await smallCenter(t);
  const machine = await create('one');
  const content = center.read({ type: 'ServiceInstance', value: 'ServiceInstance' }, 'content');
  assert.ok(content?.accountManager && content.authorizationManager);
  await center.call(content.accountManager, 'CreateUser', {
    user: { _typeName: 'HostAccountSpec', id: 'ann', password: 'Very-secret-1' },
  });
  await center.call(content.authorizationManager, 'SetEntityPermissions', {
    entity: content.rootFolder,
    permission: [
      { _typeName: 'Permission', principal: 'VSPHERE.LOCAL\\ann', group: false, roleId: -2, propagate: true },
    ],
  });
  const { session, end } = center.center.sessions.openInternal({ userName: 'VSPHERE.LOCAL\\ann' });
  t.after(end);
  await assert.rejects(
    center.callAs(session, datacenter, 'PowerOnMultiVM_Task', { vm: [machine] }),
    (error) => error instanceof VimFault && error.type === 'NoPermission',
  );
  assert.equal(center.read(machine, 'runtime')?.powerState, 'poweredOff');
});
