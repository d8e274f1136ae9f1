import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ManagedObjectReference, TaskInfo, VimFault } from '@hypostyle/vim';
import { smallCenter } from '../testing/small-center.ts';

type Machine = ManagedObjectReference<'VirtualMachine'>;
type Snapshot = ManagedObjectReference<'VirtualMachineSnapshot'>;
const named = (type: string) => (error: unknown) => (error as VimFault).type === type;

const cloneSpec = (more: object = {}, location: object = {}) => ({
  _typeName: 'VirtualMachineCloneSpec',
  location: { _typeName: 'VirtualMachineRelocateSpec', ...location },
  template: false,
  powerOn: false,
  ...more,
});

test('a center clones machines into its folders and pools, whole and linked', { timeout: 60_000 }, async (t) => {
  const { center, daemon, vmFolder, pool: root, create } = await smallCenter(t);
  const folder = (await center.call(vmFolder, 'CreateFolder', { name: 'copies' })) as ManagedObjectReference<'Folder'>;
  const web = await create('web');
  const seen = new Set<string>();
  const stop = center.center.registry.onCommit(() => {
    for (const ref of center.all('VirtualMachine'))
      if (ref.value !== web.value) seen.add(center.read(ref, 'parent')?.value ?? 'none');
  });
  const task = (await center.call(web, 'CloneVM_Task', {
    folder,
    name: 'copy',
    spec: cloneSpec({ powerOn: true }),
  })) as ManagedObjectReference<'Task'>;
  const copy = (await center.outcome(task)) as Machine;
  stop();
  assert.deepEqual([...seen], [folder.value], 'it is in its folder from the first moment');
  const info = center.read(task, 'info') as TaskInfo;
  assert.deepEqual([info.name, info.descriptionId, info.entity], ['CloneVM_Task', 'VirtualMachine.clone', web]);
  assert.equal(center.read(copy, 'name'), 'copy');
  assert.equal(center.read(copy, 'runtime')?.powerState, 'poweredOn');
  assert.deepEqual(center.read(copy, 'resourcePool'), root);
  const snapshot = (await center.task(web, 'CreateSnapshot_Task', {
    name: 'base',
    memory: false,
    quiesce: false,
  })) as Snapshot;
  const spec = cloneSpec({ snapshot }, { diskMoveType: 'createNewChildDiskBacking', pool: root });
  const begun = (await Promise.all(
    Array.from({ length: 5 }, (_, number) =>
      center.call(web, 'CloneVM_Task', { folder, name: `linked${number}`, spec }),
    ),
  )) as ManagedObjectReference<'Task'>[];
  await Promise.all(begun.map((each) => center.outcome(each)));
  assert.deepEqual(
    (center.read(folder, 'childEntity') ?? []).map((ref) => center.read(ref as Machine, 'name')).sort(),
    ['copy', 'linked0', 'linked1', 'linked2', 'linked3', 'linked4'],
  );
  await assert.rejects(
    center.task(web, 'CloneVM_Task', { folder, name: 'copy', spec: cloneSpec() }),
    named('DuplicateName'),
  );
  await assert.rejects(
    center.task(web, 'CloneVM_Task', {
      folder,
      name: 'x',
      spec: cloneSpec({}, { diskMoveType: 'createNewChildDiskBacking' }),
    }),
    named('InvalidArgument'),
  );
  assert.equal([...center.center.core.inventory.all('VirtualMachine')].length, 7, 'nothing stays of what failed');
  const { eventManager } = center.read({ type: 'ServiceInstance', value: 'ServiceInstance' }, 'content') as {
    eventManager: ManagedObjectReference<'EventManager'>;
  };
  const events = (await center.call(eventManager, 'QueryEvents', { filter: {} })) as readonly {
    readonly _typeName: string;
    readonly sourceVm?: { readonly vm: Machine };
  }[];
  const cloned = events.filter(({ _typeName }) => _typeName === 'VmClonedEvent');
  assert.equal(cloned.length, 6);
  assert.ok(cloned.every(({ sourceVm }) => sourceVm?.vm.value === web.value));
  assert.ok(events.some(({ _typeName }) => _typeName === 'VmBeingClonedEvent'));
  assert.ok(daemon.machine('copy'));
  assert.deepEqual(center.defects, []);
});

test('an instant clone is in its folder and runs on with the memory of its original', {
  timeout: 60_000,
}, async (t) => {
  const { center, daemon, vmFolder, create } = await smallCenter(t);
  const folder = (await center.call(vmFolder, 'CreateFolder', { name: 'twins' })) as ManagedObjectReference<'Folder'>;
  const web = await create('web');
  const spec = (name: string, location: object = {}) => ({
    spec: {
      _typeName: 'VirtualMachineInstantCloneSpec',
      name,
      location: { _typeName: 'VirtualMachineRelocateSpec', ...location },
    },
  });
  await assert.rejects(center.task(web, 'InstantClone_Task', spec('twin')), named('InvalidPowerState'));
  await center.task(web, 'PowerOnVM_Task', {});
  const task = (await center.call(
    web,
    'InstantClone_Task',
    spec('twin', { folder }),
  )) as ManagedObjectReference<'Task'>;
  const twin = (await center.outcome(task)) as Machine;
  const info = center.read(task, 'info') as TaskInfo;
  assert.deepEqual(
    [info.name, info.descriptionId, info.entity],
    ['InstantClone_Task', 'VirtualMachine.instantClone', web],
  );
  assert.deepEqual([center.read(twin, 'name'), center.read(twin, 'parent')], ['twin', folder]);
  assert.equal(center.read(twin, 'runtime')?.powerState, 'poweredOn');
  const identities = [web, twin].map((ref) => center.read(ref, 'config'));
  assert.notEqual(identities[0]?.instanceUuid, identities[1]?.instanceUuid);
  assert.notEqual(identities[0]?.uuid, identities[1]?.uuid);
  await assert.rejects(center.task(web, 'InstantClone_Task', spec('web')), named('DuplicateName'));
  assert.equal([...center.center.core.inventory.all('VirtualMachine')].length, 2);
  assert.ok(daemon.machine('twin'));
  assert.deepEqual(center.defects, []);
});
