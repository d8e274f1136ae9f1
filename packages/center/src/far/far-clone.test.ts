import assert from 'node:assert/strict';
import { test } from 'node:test';
import { smallMachine } from '@hypostyle/host/testing';
import type { ManagedObjectReference, TaskInfo, VimFault } from '@hypostyle/vim';
import { twoHosts } from '../testing/two-hosts.ts';

type Machine = ManagedObjectReference<'VirtualMachine'>;
const named = (type: string) => (error: unknown) => (error as VimFault).type === type;

const cloneSpec = (more: object = {}, location: object = {}) => ({
  _typeName: 'VirtualMachineCloneSpec',
  location: { _typeName: 'VirtualMachineRelocateSpec', ...location },
  template: false,
  powerOn: false,
  ...more,
});

test('a machine is cloned to another host: what it is comes with it, who it is does not', {
  timeout: 120_000,
}, async (t) => {
  const { center, here, there, farPool, farDatastore, farHost, vmFolder, create, writeDisk, readDisk, daemon } =
    await twoHosts(t);
  const web = await create('web');
  await center.task(web, 'ReconfigVM_Task', {
    spec: {
      _typeName: 'VirtualMachineConfigSpec',
      annotation: 'the web',
      extraConfig: [{ _typeName: 'OptionValue', key: 'guestinfo.role', value: 'front' }],
    },
  });
  const bytes = await writeDisk(here, 'web/web.vmdk');
  const task = (await center.call(web, 'CloneVM_Task', {
    folder: vmFolder,
    name: 'copy',
    spec: cloneSpec(
      { config: { _typeName: 'VirtualMachineConfigSpec', numCPUs: 2 }, powerOn: true },
      { pool: farPool, datastore: farDatastore },
    ),
  })) as ManagedObjectReference<'Task'>;
  const copy = (await center.outcome(task)) as Machine;
  const info = center.read(task, 'info') as TaskInfo;
  assert.deepEqual([info.name, info.descriptionId, info.entity], ['CloneVM_Task', 'VirtualMachine.clone', web]);
  assert.deepEqual(center.read(copy, 'runtime')?.host, farHost);
  assert.equal(center.read(copy, 'runtime')?.powerState, 'poweredOn');
  assert.deepEqual(center.read(copy, 'parent'), vmFolder);
  assert.deepEqual(center.read(copy, 'resourcePool'), farPool);
  const [was, is] = [web, copy].map((ref) => center.read(ref, 'config'));
  assert.equal(is?.annotation, 'the web');
  assert.equal(is?.hardware.numCPU, 2);
  assert.ok(is?.extraConfig?.some(({ key, value }) => key === 'guestinfo.role' && value === 'front'));
  assert.notEqual(is?.instanceUuid, was?.instanceUuid);
  assert.notEqual(is?.uuid, was?.uuid);
  assert.ok(daemon('far').machine('copy') !== undefined && daemon('local').machine('copy') === undefined);
  assert.deepEqual(await readDisk(there, 'copy/copy.vmdk'), bytes);
  assert.deepEqual(await readDisk(here, 'web/web.vmdk'), bytes);
  const events = await center.events();
  for (const type of ['VmBeingClonedEvent', 'VmClonedEvent']) assert.ok(events.includes(type as never), type);
  assert.deepEqual(center.defects, []);
});

test('what cannot be done between hosts is refused, and nothing of it stays', { timeout: 120_000 }, async (t) => {
  const { center, there, farPool, farDatastore, farHost, vmFolder, create, filesOf, daemon } = await twoHosts(t);
  const web = await create('web');
  const clone = (more: object, location: object) =>
    center.task(web, 'CloneVM_Task', { folder: vmFolder, name: 'copy', spec: cloneSpec(more, location) });
  const place = { pool: farPool, datastore: farDatastore };
  await assert.rejects(clone({}, { ...place, diskMoveType: 'createNewChildDiskBacking' }), named('NotSupported'));
  await assert.rejects(clone({}, { pool: farPool, host: farHost }), named('InvalidDatastore'));
  const before = await filesOf(there);
  // The copy is there before its configuration is refused: it goes again.
  const bad = { _typeName: 'VirtualMachineConfigSpec', numCPUs: 4096 };
  await assert.rejects(clone({ config: bad }, place));
  assert.deepEqual(await filesOf(there), before);
  assert.equal([...center.center.core.inventory.all('VirtualMachine')].length, 1);
  assert.equal(daemon('far').machine('copy'), undefined);
  // The machine is free again.
  await center.task(web, 'PowerOnVM_Task', {});
  const { config } = smallMachine('copy', `[${center.read(farDatastore, 'name')}]`) as { config: object };
  await center.task(vmFolder, 'CreateVM_Task', { config, pool: farPool });
  assert.deepEqual(center.defects, []);
});

test('a machine that runs is cloned to another host by a snapshot that goes again; a template too', {
  timeout: 120_000,
}, async (t) => {
  const { center, farPool, farDatastore, vmFolder, create, daemon } = await twoHosts(t);
  const web = await create('web');
  await center.task(web, 'PowerOnVM_Task', {});
  const place = { pool: farPool, datastore: farDatastore };
  const copy = (await center.task(web, 'CloneVM_Task', {
    folder: vmFolder,
    name: 'golden',
    spec: cloneSpec({ template: true }, place),
  })) as Machine;
  assert.equal(center.read(web, 'snapshot'), undefined);
  assert.equal(center.read(web, 'runtime')?.powerState, 'poweredOn');
  assert.equal(center.read(copy, 'config')?.template, true);
  assert.ok(daemon('far').machine('golden'));
  assert.deepEqual(center.defects, []);
});
