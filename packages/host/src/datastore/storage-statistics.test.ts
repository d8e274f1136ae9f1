import assert from 'node:assert/strict';
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ManagedObjectReference } from '@hypostyle/vim';
import { CenterCalls } from '../testing/center-calls.ts';
import { Computer, type Daemon, smallMachine, vmFolder } from '../testing/host-fixture.ts';

type Machine = ManagedObjectReference<'VirtualMachine'>;

async function scene(t: TestContext) {
  const computer = await Computer.make();
  t.after(() => computer.remove());
  const daemon = await computer.start();
  t.after(() => daemon.host.close());
  const make = async (name: string) => (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine(name))) as Machine;
  return { computer, daemon, make, at: (name: string) => join(computer.datastore, name) };
}

async function write(path: string, bytes: number): Promise<void> {
  await using file = await open(path, 'r+');
  await file.write(Buffer.alloc(bytes, 7), 0, bytes, 0);
  await file.sync();
}

const storageOf = (daemon: Daemon, machine: Machine) => {
  const { storage } = daemon.read(machine, 'summary') ?? {};
  const [usage, ...more] = daemon.read(machine, 'storage')?.perDatastoreUsage ?? [];
  assert.equal(more.length, 0);
  assert.deepEqual(
    [usage?.committed, usage?.uncommitted, usage?.unshared].map(Number),
    [storage?.committed, storage?.uncommitted, storage?.unshared].map(Number),
  );
  return {
    committed: Number(storage?.committed),
    uncommitted: Number(storage?.uncommitted),
    unshared: Number(storage?.unshared),
  };
};

const fileOf = (daemon: Daemon, machine: Machine, name: string) => {
  const found = (daemon.read(machine, 'layoutEx')?.file ?? []).find((file) => file.name.endsWith(name));
  assert.ok(found, `${name} is listed`);
  return { size: Number(found.size), unique: Number(found.uniqueSize) };
};

test('what a thin disk takes and may still take is told after a refresh, of its machine and of its datastore', async (t) => {
  const { daemon, make, at } = await scene(t);
  const web = await make('web');
  const before = storageOf(daemon, web);
  assert.equal(before.uncommitted, 1_048_576);
  await write(at('web/web-flat.vmdk'), 262_144);
  await daemon.call(web, 'RefreshStorageInfo');
  const { blocks } = await stat(at('web/web-flat.vmdk'));
  const after = storageOf(daemon, web);
  assert.equal(after.uncommitted, 1_048_576 - blocks * 512);
  assert.equal(after.committed - before.committed, blocks * 512);
  assert.equal(after.unshared, after.committed);
  assert.deepEqual(fileOf(daemon, web, 'web-flat.vmdk'), { size: blocks * 512, unique: blocks * 512 });

  const [datastore] = [...daemon.host.registry.all('Datastore')];
  assert.ok(datastore);
  await write(at('web/web-flat.vmdk'), 524_288);
  await daemon.call(datastore.ref, 'RefreshDatastoreStorageInfo');
  const now = (await stat(at('web/web-flat.vmdk'))).blocks * 512;
  assert.equal(storageOf(daemon, web).uncommitted, 1_048_576 - now);
  const { summary } = { summary: datastore.value('summary') } as { summary: Record<string, unknown> };
  assert.equal(Number(summary.uncommitted), 1_048_576 - now);
});

test('a linked clone lists what it stands on, and has it not for itself alone; nor has the machine below', async (t) => {
  const { daemon, make, at } = await scene(t);
  const web = await make('web');
  await write(at('web/web-flat.vmdk'), 262_144);
  const take = { name: 'base', memory: false, quiesce: false };
  const snapshot = await daemon.task(web, 'CreateSnapshot_Task', take);
  await daemon.call(web, 'RefreshStorageInfo');
  const own = fileOf(daemon, web, 'web/web-flat.vmdk');
  assert.ok(own.size >= 262_144 && own.unique === own.size, 'nobody else stands on it yet');
  const location = { _typeName: 'VirtualMachineRelocateSpec', diskMoveType: 'createNewChildDiskBacking' };
  const spec = { _typeName: 'VirtualMachineCloneSpec', template: false, powerOn: false, snapshot, location };
  // Hosts clone for their center only.
  const clone = await cloned(daemon, web, spec);
  assert.deepEqual(fileOf(daemon, clone, 'web/web-flat.vmdk'), { size: own.size, unique: 0 });
  const { committed, unshared } = storageOf(daemon, clone);
  assert.ok(committed - unshared >= own.size);
  const [layout] = daemon.read(clone, 'layoutEx')?.disk ?? [];
  assert.equal(layout?.chain?.length, 2);
  assert.ok(
    layout?.chain?.every(({ fileKey }) => (fileKey?.length ?? 0) > 0),
    'every link names its files',
  );
  await daemon.call(web, 'RefreshStorageInfo');
  assert.equal(fileOf(daemon, web, 'web/web-flat.vmdk').unique, 0);
  await daemon.task(clone, 'Destroy_Task');
  await daemon.call(web, 'RefreshStorageInfo');
  assert.equal(fileOf(daemon, web, 'web/web-flat.vmdk').unique, own.size);
});

async function cloned(daemon: Daemon, web: Machine, spec: object): Promise<Machine> {
  const center = await CenterCalls.of(daemon);
  return (await center.task(web, 'CloneVM_Task', { folder: vmFolder, name: 'copy', spec })) as Machine;
}
