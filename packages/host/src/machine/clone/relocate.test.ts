import assert from 'node:assert/strict';
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ManagedObjectReference } from '@hypostyle/vim';
import { references } from '../../inventory/references.ts';
import { CenterCalls } from '../../testing/center-calls.ts';
import { readFakeDisk, visibleFiles } from '../../testing/disk-reading.ts';
import { Computer, type Daemon, smallMachine, vmFolder } from '../../testing/host-fixture.ts';
import { deaths, killedAt, killLimit } from '../../testing/killed.ts';
import { gateFiles } from '../../testing/mortal-files.ts';

type Machine = ManagedObjectReference<'VirtualMachine'>;
type Snapshot = ManagedObjectReference<'VirtualMachineSnapshot'>;
const spec = (more: object) => ({ spec: { _typeName: 'VirtualMachineRelocateSpec', ...more } });

async function withTwoDatastores(t: TestContext) {
  const computer = await Computer.make();
  const daemon = await computer.start();
  t.after(() => computer.remove());
  const web = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as Machine;
  const fast = (await daemon.call(references.datastoreSystem, 'CreateLocalDatastore', {
    name: 'fast',
    path: join(computer.directory, 'fast'),
  })) as ManagedObjectReference<'Datastore'>;
  const folder = (datastore: 'datastore' | 'fast', name = '') => join(computer.directory, datastore, name);
  return { computer, daemon, web, fast, folder };
}

function writeBlock(computer: Computer, datastore: 'datastore' | 'fast', block: number, value: number): void {
  computer.engines.write(join(computer.directory, datastore, 'web', '.hypo', 'vm.lck'), 'scsi0u0', block, value);
}

async function writeThree(computer: Computer, daemon: Daemon, web: Machine): Promise<Snapshot> {
  await daemon.task(web, 'PowerOnVM_Task');
  writeBlock(computer, 'datastore', 0, 1);
  const taken = await daemon.task(web, 'CreateSnapshot_Task', { name: 'base', memory: false, quiesce: false });
  writeBlock(computer, 'datastore', 1, 2);
  await daemon.task(web, 'PowerOffVM_Task');
  return taken as Snapshot;
}

test('a machine that is off moves to another datastore with its snapshots, and leaves nothing', async (t) => {
  const { computer, daemon, web, fast, folder } = await withTwoDatastores(t);
  const snapshot = await writeThree(computer, daemon, web);
  await writeFile(join(folder('datastore', 'web'), 'web.nvram'), 'remembered');
  await writeFile(join(folder('datastore', 'web'), 'web.tpm'), 'kept secret');
  await daemon.task(web, 'RelocateVM_Task', spec({ datastore: fast }));
  assert.deepEqual(await visibleFiles(folder('datastore')), []);
  assert.deepEqual(daemon.read(web, 'datastore'), [fast]);
  assert.equal(daemon.read(web, 'config')?.files.vmPathName, '[fast] web/web.vmx');
  const moved = await visibleFiles(folder('fast', 'web'));
  assert.ok(moved.includes('web.nvram') && moved.includes('web.tpm'), moved.join());
  assert.deepEqual(await readFakeDisk(join(folder('fast', 'web'), 'web-000001.vmdk'), 3), [1, 2, 0]);
  await daemon.task(web, 'PowerOnVM_Task');
  writeBlock(computer, 'fast', 2, 3);
  await daemon.task(snapshot, 'RevertToSnapshot_Task');
  assert.deepEqual(await readFakeDisk(join(folder('fast', 'web'), 'web.vmdk'), 3), [1, 0, 0]);
  // Where it is after a restart.
  await daemon.host.close();
  const next = await computer.start();
  assert.equal(next.read(web, 'config')?.files.vmPathName, '[fast] web/web.vmx');
  await next.task(web, 'Destroy_Task');
  assert.deepEqual(await visibleFiles(folder('fast')), []);
  await next.host.close();
  assert.deepEqual(computer.defects, []);
});

test('disks become thick and thin, where they are and on the way', async (t) => {
  const { daemon, web, fast, folder } = await withTwoDatastores(t);
  const room = async (datastore: 'datastore' | 'fast') =>
    (await stat(join(folder(datastore, 'web'), 'web-flat.vmdk'))).blocks * 512;
  const thin = () => {
    const disk = daemon.read(web, 'config')?.hardware.device?.find(({ _typeName }) => _typeName === 'VirtualDisk');
    return (disk?.backing as { thinProvisioned?: boolean } | undefined)?.thinProvisioned ?? false;
  };
  assert.deepEqual([await room('datastore'), thin()], [0, true]);
  await daemon.task(web, 'RelocateVM_Task', spec({ transform: 'flat' }));
  assert.deepEqual([await room('datastore'), thin()], [2 ** 20, false]);
  await daemon.task(web, 'RelocateVM_Task', spec({ transform: 'sparse', datastore: fast }));
  assert.ok((await room('fast')) > 0);
  assert.equal(thin(), true);
  await daemon.task(web, 'RelocateVM_Task', spec({}));
  await daemon.host.close();
});

test('a linked clone takes all that it stands on with it', async (t) => {
  const { computer, daemon, web, fast, folder } = await withTwoDatastores(t);
  const snapshot = await writeThree(computer, daemon, web);
  const center = await CenterCalls.of(daemon);
  const location = { _typeName: 'VirtualMachineRelocateSpec', diskMoveType: 'createNewChildDiskBacking' };
  const clone = (await center.task(web, 'CloneVM_Task', {
    folder: vmFolder,
    name: 'linked',
    spec: { _typeName: 'VirtualMachineCloneSpec', location, template: false, powerOn: false, snapshot },
  })) as Machine;
  await daemon.task(clone, 'RelocateVM_Task', spec({ datastore: fast }));
  assert.deepEqual(await visibleFiles(folder('fast', 'linked')), ['linked-flat.vmdk', 'linked.vmdk', 'linked.vmx']);
  assert.deepEqual(await readFakeDisk(join(folder('fast', 'linked'), 'linked.vmdk'), 3), [1, 0, 0]);
  await daemon.task(web, 'Destroy_Task');
  assert.deepEqual(await visibleFiles(folder('datastore')), [], 'nobody stands on it any more');
  await daemon.task(clone, 'PowerOnVM_Task');
  await daemon.host.close();
});

test('killed at any step of a move: it is here or there, whole, and no file for nothing', {
  ...killLimit,
}, async (t) => {
  t.after(gateFiles());
  const computer = await Computer.make();
  t.after(() => computer.remove());
  let daemon = await computer.start();
  const web = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as Machine;
  const fast = (await daemon.call(references.datastoreSystem, 'CreateLocalDatastore', {
    name: 'fast',
    path: join(computer.directory, 'fast'),
  })) as ManagedObjectReference<'Datastore'>;
  await writeThree(computer, daemon, web);
  const [first] = (daemon.host.registry.read(references.host, 'datastore') ?? []).filter(
    ({ value }) => value !== fast.value,
  );
  assert.ok(first);
  const files = await visibleFiles(join(computer.datastore, 'web'));
  let steps = 0;
  for (const dies of deaths(9)) {
    const there = daemon.read(web, 'datastore')?.[0]?.value === fast.value;
    const target = there ? first : fast;
    const end = await killedAt({ computer, daemon, dies }, (alive) =>
      alive.task(web, 'RelocateVM_Task', spec({ datastore: target })),
    );
    daemon = end.daemon;
    const where = `killed at step ${dies}`;
    const now = daemon.read(web, 'datastore')?.[0]?.value === fast.value ? 'fast' : 'datastore';
    const other = now === 'fast' ? 'datastore' : 'fast';
    assert.deepEqual(await visibleFiles(join(computer.directory, other)), [], where);
    assert.deepEqual(await visibleFiles(join(computer.directory, now)), ['web'], where);
    assert.deepEqual(await visibleFiles(join(computer.directory, now, 'web')), files, where);
    assert.deepEqual(await readFakeDisk(join(computer.directory, now, 'web', 'web-000001.vmdk'), 3), [1, 2, 0], where);
    assert.deepEqual(computer.defects, [], where);
    steps += 1;
    if (end.whole) break;
  }
  assert.ok(steps > 2, 'it was killed at some steps');
  await daemon.host.close();
});
