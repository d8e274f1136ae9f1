import assert from 'node:assert/strict';
import { test } from 'node:test';
import { vmFolder as hostFolder, smallMachine } from '@hypostyle/host/testing';
import type { DiskChangeInfo, ManagedObjectReference, TaskInfo, VimFault } from '@hypostyle/vim';
import { smallCenter } from '../testing/small-center.ts';

type Machine = ManagedObjectReference<'VirtualMachine'>;
type Snapshot = ManagedObjectReference<'VirtualMachineSnapshot'>;
const named = (type: string) => (error: unknown) => (error as VimFault).type === type;

test('snapshots are taken, shown, reverted and removed through the center, under references of its own', {
  timeout: 60_000,
}, async (t) => {
  const { center, daemon, create } = await smallCenter(t);
  const machine = await create('web');
  const take = (name: string) =>
    center.task(machine, 'CreateSnapshot_Task', { name, memory: false, quiesce: false }) as Promise<Snapshot>;
  const first = await take('first');
  const second = await take('second');
  const known = center.all('VirtualMachineSnapshot').map(({ value }) => value);
  assert.deepEqual([first.value, second.value].sort(), known.sort());
  const [hosts] = daemon.machines();
  assert.ok(hosts && hosts.value !== machine.value && !first.value.startsWith(`${hosts.value}-snapshot`));
  const info = center.read(machine, 'snapshot');
  const [root] = info?.rootSnapshotList ?? [];
  assert.deepEqual([root?.snapshot, root?.vm, root?.name], [first, machine, 'first']);
  assert.deepEqual(root?.childSnapshotList?.[0]?.snapshot, second);
  assert.deepEqual(info?.currentSnapshot, second);
  assert.deepEqual(center.read(machine, 'rootSnapshot'), [first]);
  assert.deepEqual(center.read(first, 'childSnapshot'), [second]);
  assert.deepEqual(center.read(first, 'vm'), machine);
  assert.deepEqual(
    center.read(machine, 'layoutEx')?.snapshot?.map(({ key }) => key),
    [first, second],
  );
  await center.call(second, 'RenameSnapshot', { name: 'later' });
  assert.equal(center.read(machine, 'snapshot')?.rootSnapshotList[0]?.childSnapshotList?.[0]?.name, 'later');
  const task = (await center.call(first, 'RevertToSnapshot_Task', {})) as ManagedObjectReference<'Task'>;
  await center.outcome(task);
  const reverted = center.read(task, 'info') as TaskInfo;
  assert.deepEqual([reverted.entity, reverted.descriptionId], [machine, 'VirtualMachineSnapshot.revert']);
  assert.deepEqual(center.read(machine, 'snapshot')?.currentSnapshot, first);
  await assert.rejects(take(''), named('InvalidName'));
  await center.task(first, 'RemoveSnapshot_Task', { removeChildren: true });
  assert.equal(center.read(machine, 'snapshot'), undefined);
  assert.deepEqual(center.all('VirtualMachineSnapshot'), []);
  await assert.rejects(center.call(first, 'RevertToSnapshot_Task', {}), named('ManagedObjectNotFound'));
  await take('third');
  await center.task(machine, 'Destroy_Task');
  assert.deepEqual(center.all('VirtualMachineSnapshot'), []);
  assert.deepEqual(center.defects, []);
});

test('changed blocks are asked for through the center', { timeout: 60_000 }, async (t) => {
  const { center, network, create } = await smallCenter(t);
  const [machine, other] = [await create('web'), await create('other')];
  const spec = { _typeName: 'VirtualMachineConfigSpec', changeTrackingEnabled: true };
  await center.task(machine, 'ReconfigVM_Task', { spec });
  assert.equal(center.read(machine, 'config')?.changeTrackingEnabled, true);
  await center.task(machine, 'PowerOnVM_Task');
  const take = (of: Machine) =>
    center.task(of, 'CreateSnapshot_Task', { name: 'full', memory: false, quiesce: false }) as Promise<Snapshot>;
  const full = await take(machine);
  const disk = center.read(full, 'config')?.hardware.device?.find(({ key }) => key === 2000);
  const changeId = (disk?.backing as { readonly changeId?: string } | undefined)?.changeId;
  const ask = (args: object) =>
    center.call(machine, 'QueryChangedDiskAreas', { deviceKey: 2000, startOffset: 0, changeId, ...args });
  const info = (await ask({ snapshot: full })) as DiskChangeInfo;
  assert.deepEqual([Number(info.startOffset), Number(info.length), info.changedArea], [0, 1 << 20, undefined]);
  const all = (await ask({ snapshot: full, changeId: '*' })) as DiskChangeInfo;
  assert.equal(all.changedArea?.length, 1);
  await assert.rejects(ask({ snapshot: await take(other) }), named('NotFound'));
  const esx2 = await network.add('esx2');
  const far = await esx2.task(hostFolder, 'CreateVM_Task', smallMachine('far'));
  await esx2.task(far as Machine, 'CreateSnapshot_Task', { name: 'far', memory: false, quiesce: false });
  const known = new Set(center.all('VirtualMachineSnapshot').map(({ value }) => value));
  await center.addHost('esx2');
  const snapshot = center.all('VirtualMachineSnapshot').find(({ value }) => !known.has(value));
  assert.ok(snapshot);
  await assert.rejects(ask({ snapshot }), named('NotFound'));
  await assert.rejects(ask({ changeId: `${changeId}9` }), named('FileFault'));
  assert.deepEqual(center.defects, []);
});
