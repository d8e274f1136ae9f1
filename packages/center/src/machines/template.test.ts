import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ManagedObjectReference, VimFault } from '@hypostyle/vim';
import { smallCenter } from '../testing/small-center.ts';

type Machine = ManagedObjectReference<'VirtualMachine'>;
const named = (type: string) => (error: unknown) => (error as VimFault).type === type;

test('templates of a center are in no pool, are copied, and become machines in the pool that is asked for', {
  timeout: 60_000,
}, async (t) => {
  const { center, vmFolder: folder, pool: root, create } = await smallCenter(t);
  const [host] = center.all('HostSystem');
  assert.ok(host);
  const golden = await create('golden');
  await center.call(golden, 'MarkAsTemplate');
  assert.equal(center.read(golden, 'resourcePool'), undefined);
  assert.equal(center.read(golden, 'config')?.template, true);
  assert.deepEqual(center.read(root, 'vm') ?? [], []);
  const clone = (name: string, template: boolean, location: object = {}) =>
    center.task(golden, 'CloneVM_Task', {
      folder,
      name,
      spec: {
        _typeName: 'VirtualMachineCloneSpec',
        location: { _typeName: 'VirtualMachineRelocateSpec', ...location },
        template,
        powerOn: false,
      },
    }) as Promise<Machine>;
  await assert.rejects(clone('web', false), named('InvalidArgument'));
  const web = await clone('web', false, { pool: root });
  assert.deepEqual(center.read(web, 'resourcePool'), root);
  assert.equal(center.read(web, 'config')?.template, false);
  const copy = await clone('copy', true);
  assert.equal(center.read(copy, 'resourcePool'), undefined);
  assert.deepEqual(center.read(copy, 'parent'), folder);
  const config2 = { _typeName: 'ResourceConfigSpec', ...allocations };
  const pool = (await center.call(root, 'CreateResourcePool', {
    name: 'web',
    spec: config2,
  })) as ManagedObjectReference<'ResourcePool'>;
  await center.call(copy, 'MarkAsVirtualMachine', { pool });
  assert.deepEqual(center.read(copy, 'resourcePool'), pool);
  assert.deepEqual(center.read(pool, 'vm'), [copy]);
  await center.task(copy, 'PowerOnVM_Task');
  await center.call(golden, 'UnregisterVM');
  const register = { path: '[datastore1] golden/golden.vmx', name: 'golden', asTemplate: true };
  await assert.rejects(center.task(folder, 'RegisterVM_Task', register), named('InvalidArgument'));
  const again = (await center.task(folder, 'RegisterVM_Task', { ...register, host })) as Machine;
  assert.equal(center.read(again, 'config')?.template, true);
  assert.equal(center.read(again, 'resourcePool'), undefined);
  assert.deepEqual(center.read(again, 'parent'), folder);
  assert.deepEqual(center.defects, []);
});

const allocation = {
  _typeName: 'ResourceAllocationInfo',
  reservation: 0n,
  limit: -1n,
  expandableReservation: true,
  shares: { _typeName: 'SharesInfo', level: 'normal', shares: 0 },
};
const allocations = { cpuAllocation: allocation, memoryAllocation: allocation };
