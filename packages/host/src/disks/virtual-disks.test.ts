import assert from 'node:assert/strict';
import { mkdir, open, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ManagedObjectReference, TaskInfo, VimFault } from '@hypostyle/vim';
import { visibleFiles } from '../testing/disk-reading.ts';
import { Computer, type Daemon, smallMachine, vmFolder } from '../testing/host-fixture.ts';

const disks = { type: 'VirtualDiskManager', value: 'ha-vdiskmanager' } as const;
const browser = { type: 'HostDatastoreBrowser', value: 'ha-host-datastorebrowser' } as const;
const files = { type: 'FileManager', value: 'ha-nfc-file-manager' } as const;
type Machine = ManagedObjectReference<'VirtualMachine'>;

const named = (type: string) => (error: unknown) => {
  assert.equal((error as VimFault).type, type, String(error));
  return true;
};

async function scene(t: TestContext) {
  const computer = await Computer.make();
  t.after(() => computer.remove());
  const daemon = await computer.start();
  t.after(async () => {
    await daemon.host.close();
    assert.deepEqual(computer.defects, []);
  });
  await mkdir(join(computer.datastore, 'd'));
  return { computer, daemon, at: (name: string) => join(computer.datastore, name) };
}

const spec = (diskType: string, adapterType = 'lsiLogic', capacityKb = 4096n) => ({
  _typeName: 'FileBackedVirtualDiskSpec',
  diskType,
  adapterType,
  capacityKb,
});

const create = (daemon: Daemon, name: string, diskType = 'thin', adapterType?: string) =>
  daemon.task(disks, 'CreateVirtualDisk_Task', { name: `[datastore1] ${name}`, spec: spec(diskType, adapterType) });

const query = (daemon: Daemon, method: string, name: string, more: object = {}) =>
  daemon.call(disks, method, { name: `[datastore1] ${name}`, ...more });

const work = (daemon: Daemon, method: string, name: string, more: object = {}) =>
  daemon.task(disks, method, { name: `[datastore1] ${name}`, ...more });

const transfer = (daemon: Daemon, method: string, from: string, to: string, more: object = {}) =>
  daemon.task(disks, method, { sourceName: `[datastore1] ${from}`, destName: to, ...more });

test('a disk of every type and adapter is made, told of, and deleted with its files', async (t) => {
  const { daemon, at } = await scene(t);
  const kinds: Readonly<Record<string, readonly string[]>> = {
    thin: ['x-flat.vmdk', 'x.vmdk'],
    preallocated: ['x-flat.vmdk', 'x.vmdk'],
    thick: ['x-flat.vmdk', 'x.vmdk'],
    eagerZeroedThick: ['x-flat.vmdk', 'x.vmdk'],
    flatMonolithic: ['x-flat.vmdk', 'x.vmdk'],
    sparseMonolithic: ['x.vmdk'],
    sparse2Gb: ['x-s001.vmdk', 'x.vmdk'],
    thick2Gb: ['x-f001.vmdk', 'x.vmdk'],
  };
  for (const [kind, names] of Object.entries(kinds)) {
    assert.equal(await create(daemon, 'd/x.vmdk', kind), '[datastore1] d/x.vmdk', kind);
    assert.deepEqual(await visibleFiles(at('d')), names, kind);
    const allocated = await Promise.all(names.map(async (name) => (await stat(at(`d/${name}`))).blocks * 512));
    const bytes = allocated.reduce((sum, each) => sum + each, 0);
    assert.equal(bytes >= 4_194_304, !/thin|sparse/.test(kind), `${kind} takes ${bytes}`);
    await work(daemon, 'DeleteVirtualDisk_Task', 'd/x.vmdk');
    assert.deepEqual(await visibleFiles(at('d')), [], kind);
  }
  const geometries = { lsiLogic: [4, 64, 32], busLogic: [4, 64, 32], ide: [8, 16, 63] } as const;
  for (const [adapter, [cylinder, head, sector]] of Object.entries(geometries)) {
    await create(daemon, 'd/x.vmdk', 'thin', adapter);
    const found = await query(daemon, 'QueryVirtualDiskGeometry', 'd/x.vmdk');
    assert.deepEqual(found, { _typeName: 'HostDiskDimensionsChs', cylinder, head, sector });
    await work(daemon, 'DeleteVirtualDisk_Task', 'd/x.vmdk');
  }
  await assert.rejects(create(daemon, 'd/x.vmdk', 'rdm'), named('NotSupported'));
  await assert.rejects(create(daemon, 'd/x.vmdk', 'delta'), named('InvalidArgument'));
  await assert.rejects(create(daemon, 'd/x.vmdk', 'thin', 'floppy'), named('InvalidArgument'));
  await assert.rejects(create(daemon, 'none/x.vmdk'), named('FileNotFound'));
  await assert.rejects(create(daemon, 'd/x-flat.vmdk'), named('IncorrectFileType'));
  await assert.rejects(create(daemon, 'd/x.txt'), named('IncorrectFileType'));
  const huge = { name: '[datastore1] d/x.vmdk', spec: spec('thin', 'ide', 2n ** 50n) };
  await assert.rejects(daemon.call(disks, 'CreateVirtualDisk_Task', huge), named('InvalidArgument'));
  await create(daemon, 'd/x.vmdk');
  await assert.rejects(create(daemon, 'd/x.vmdk'), named('FileAlreadyExists'));
  await assert.rejects(query(daemon, 'QueryVirtualDiskUuid', 'd/y.vmdk'), named('FileNotFound'));
  await assert.rejects(daemon.call(disks, 'QueryVirtualDiskUuid', { name: '[x] y.vmdk' }), named('InvalidDatastore'));
});

test('a disk is inflated, shrunk, zeroed, extended, and given another UUID', async (t) => {
  const { daemon, at } = await scene(t);
  await create(daemon, 'd/x.vmdk');
  const stored = async () => (await stat(at('d/x-flat.vmdk'))).blocks * 512;
  const flat = await open(at('d/x-flat.vmdk'), 'r+');
  await flat.write(Buffer.alloc(65_536, 7), 0, 65_536, 1_048_576);
  await flat.close();
  await work(daemon, 'InflateVirtualDisk_Task', 'd/x.vmdk');
  assert.ok((await stored()) >= 4_194_304);
  await assert.rejects(work(daemon, 'ShrinkVirtualDisk_Task', 'd/x.vmdk'), named('IncorrectFileType'));
  await work(daemon, 'EagerZeroVirtualDisk_Task', 'd/x.vmdk');
  await transfer(daemon, 'CopyVirtualDisk_Task', 'd/x.vmdk', '[datastore1] d/thin.vmdk', {
    destSpec: { _typeName: 'VirtualDiskSpec', diskType: 'thin', adapterType: 'ide' },
  });
  await work(daemon, 'ShrinkVirtualDisk_Task', 'd/thin.vmdk', { copy: true });
  assert.ok((await stat(at('d/thin-flat.vmdk'))).blocks * 512 <= 262_144);
  await work(daemon, 'ExtendVirtualDisk_Task', 'd/x.vmdk', { newCapacityKb: 8192n, eagerZero: true });
  assert.ok((await stored()) >= 8_388_608);
  await work(daemon, 'ExtendVirtualDisk_Task', 'd/thin.vmdk', { newCapacityKb: 8192n });
  assert.equal((await stat(at('d/thin-flat.vmdk'))).size, 8_388_608);
  await assert.rejects(
    work(daemon, 'ExtendVirtualDisk_Task', 'd/x.vmdk', { newCapacityKb: 4096n }),
    named('InvalidArgument'),
  );
  await work(daemon, 'ZeroFillVirtualDisk_Task', 'd/x.vmdk');
  const zeroed = await open(at('d/x-flat.vmdk'));
  assert.ok((await zeroed.readFile()).every((byte) => byte === 0));
  await zeroed.close();
  await work(daemon, 'DefragmentVirtualDisk_Task', 'd/x.vmdk');
  assert.equal(await query(daemon, 'QueryVirtualDiskFragmentation', 'd/x.vmdk'), 0);
  const uuid = '60 00 c2 9a 1b 2c 3d 4e-5f 60 71 82 93 a4 b5 c6';
  await query(daemon, 'SetVirtualDiskUuid', 'd/x.vmdk', { uuid });
  assert.equal(await query(daemon, 'QueryVirtualDiskUuid', 'd/x.vmdk'), uuid);
  await assert.rejects(query(daemon, 'SetVirtualDiskUuid', 'd/x.vmdk', { uuid: 'x' }), named('InvalidArgument'));
  const vdisk = '[datastore1] d/x.vmdk';
  await assert.rejects(daemon.call(disks, 'ReleaseManagedSnapshot', { vdisk }), named('NotSupported'));
  await assert.rejects(daemon.call(disks, 'ImportUnmanagedSnapshot', { vdisk, vvolId: 'x' }), named('NotFound'));
});

test('a copy is of the type that is asked for, a move keeps the disk what it is', async (t) => {
  const { computer, daemon, at } = await scene(t);
  await create(daemon, 'd/x.vmdk');
  const flat = await open(at('d/x-flat.vmdk'), 'r+');
  await flat.write(Buffer.alloc(512, 9), 0, 512, 0);
  await flat.close();
  const uuid = await query(daemon, 'QueryVirtualDiskUuid', 'd/x.vmdk');
  const copyTo = (name: string, diskType: string) =>
    transfer(daemon, 'CopyVirtualDisk_Task', 'd/x.vmdk', `[datastore1] d/${name}`, {
      destSpec: { _typeName: 'VirtualDiskSpec', diskType, adapterType: 'busLogic' },
    });
  await copyTo('sparse.vmdk', 'sparseMonolithic');
  await transfer(daemon, 'CopyVirtualDisk_Task', 'd/sparse.vmdk', '[datastore1] d/back.vmdk', {
    destSpec: { _typeName: 'VirtualDiskSpec', diskType: 'eagerZeroedThick', adapterType: 'lsiLogic' },
  });
  const back = await open(at('d/back-flat.vmdk'));
  const { buffer } = await back.read(Buffer.alloc(1024), 0, 1024, 0);
  await back.close();
  assert.ok(buffer.subarray(0, 512).every((byte) => byte === 9) && buffer.subarray(512).every((byte) => byte === 0));
  assert.notEqual(await query(daemon, 'QueryVirtualDiskUuid', 'd/back.vmdk'), uuid);
  // Without a word about it the specification has all room taken at once.
  await transfer(daemon, 'CopyVirtualDisk_Task', 'd/x.vmdk', '[datastore1] d/plain.vmdk');
  assert.ok((await stat(at('d/plain-flat.vmdk'))).blocks * 512 >= 4_194_304);
  await assert.rejects(copyTo('plain.vmdk', 'thin'), named('FileAlreadyExists'));
  await transfer(daemon, 'CopyVirtualDisk_Task', 'd/x.vmdk', '[datastore1] d/plain.vmdk', {
    destSpec: { _typeName: 'VirtualDiskSpec', diskType: 'sparse2Gb', adapterType: 'ide' },
    force: true,
  });
  assert.deepEqual(
    (await visibleFiles(at('d'))).filter((name) => name.startsWith('plain')),
    ['plain-s001.vmdk', 'plain.vmdk'],
  );
  await assert.rejects(copyTo('x.vmdk', 'thin'), named('InvalidDatastorePath'));

  await mkdir(at('e'));
  assert.equal(
    await transfer(daemon, 'MoveVirtualDisk_Task', 'd/x.vmdk', '[datastore1] e/y.vmdk'),
    '[datastore1] e/y.vmdk',
  );
  assert.deepEqual(await visibleFiles(at('e')), ['y-flat.vmdk', 'y.vmdk']);
  assert.equal(await query(daemon, 'QueryVirtualDiskUuid', 'e/y.vmdk'), uuid);
  await assert.rejects(
    transfer(daemon, 'MoveVirtualDisk_Task', 'e/y.vmdk', '[datastore1] d/sparse.vmdk'),
    named('FileAlreadyExists'),
  );
  await transfer(daemon, 'MoveVirtualDisk_Task', 'e/y.vmdk', '[datastore1] d/sparse.vmdk', { force: true });
  assert.equal(await query(daemon, 'QueryVirtualDiskUuid', 'd/sparse.vmdk'), uuid);
  assert.deepEqual(await visibleFiles(at('e')), []);
  assert.deepEqual(
    (await readdir(at('d'))).filter((name) => name.startsWith('.hypo')),
    [],
    'nothing is left of the making',
  );
  assert.deepEqual(computer.defects, []);
});

test('what machines and their snapshots stand on is left alone; copies of what lies still are made', async (t) => {
  const { daemon } = await scene(t);
  const web = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as Machine;
  const take = (name: string) => daemon.task(web, 'CreateSnapshot_Task', { name, memory: false, quiesce: false });
  const locked = async (name: string, methods: readonly string[]) => {
    for (const method of methods) {
      const more = { newCapacityKb: 8192n, destName: '[datastore1] d/z.vmdk', sourceName: `[datastore1] ${name}` };
      await assert.rejects(
        daemon.task(disks, method, { name: `[datastore1] ${name}`, ...more }),
        named('FileLocked'),
        method,
      );
    }
  };
  const changing = [
    'DeleteVirtualDisk_Task',
    'ExtendVirtualDisk_Task',
    'ZeroFillVirtualDisk_Task',
    'MoveVirtualDisk_Task',
  ] as const;
  // While it is off its disk may be made larger, and the machine tells of it.
  await work(daemon, 'ExtendVirtualDisk_Task', 'web/web.vmdk', { newCapacityKb: 2048n });
  const [disk] = [...(daemon.read(web, 'layoutEx')?.disk ?? [])];
  assert.ok(disk);
  const device = daemon.read(web, 'config')?.hardware?.device?.find(({ _typeName }) => _typeName === 'VirtualDisk');
  assert.equal(Number((device as { capacityInKB?: unknown }).capacityInKB), 2048);

  await daemon.task(web, 'PowerOnVM_Task');
  await locked('web/web.vmdk', [...changing, 'InflateVirtualDisk_Task', 'CopyVirtualDisk_Task']);
  await assert.rejects(
    daemon.task(files, 'CopyDatastoreFile_Task', {
      sourceName: '[datastore1] web/web-flat.vmdk',
      destinationName: '[datastore1] d/z.img',
    }),
    named('FileLocked'),
  );
  await assert.rejects(
    daemon.call(browser, 'DeleteFile', { datastorePath: '[datastore1] web/web.vmdk' }),
    named('FileLocked'),
  );
  await take('one');
  await transfer(daemon, 'CopyVirtualDisk_Task', 'web/web.vmdk', '[datastore1] d/base.vmdk');
  await locked('web/web.vmdk', changing);
  await daemon.task(web, 'PowerOffVM_Task');
  await locked('web/web.vmdk', changing);
  await transfer(daemon, 'CopyVirtualDisk_Task', 'web/web-000001.vmdk', '[datastore1] d/top.vmdk');
  await assert.rejects(
    transfer(daemon, 'MoveVirtualDisk_Task', 'web/web-000001.vmdk', '[datastore1] d/moved.vmdk'),
    named('NotSupported'),
  );
  await daemon.task(web, 'RemoveAllSnapshots_Task');
  await daemon.task(web, 'PowerOnVM_Task');
  await daemon.task(web, 'PowerOffVM_Task');
});

test('DeleteFile of a browser takes a disk with its bytes, and any other file by itself', async (t) => {
  const { daemon, at } = await scene(t);
  await create(daemon, 'd/x.vmdk');
  await writeFile(at('d/a.iso'), 'x');
  await writeFile(at('d/no.vmdk'), 'no disk');
  for (const name of ['x.vmdk', 'a.iso', 'no.vmdk'])
    await daemon.call(browser, 'DeleteFile', { datastorePath: `[datastore1] d/${name}` });
  assert.deepEqual(await visibleFiles(at('d')), []);
  await assert.rejects(
    daemon.call(browser, 'DeleteFile', { datastorePath: '[datastore1] d/x.vmdk' }),
    named('FileNotFound'),
  );
});

test('tasks tell their method and what they are about; files have no other owner, and tell their locks', async (t) => {
  const { daemon, at } = await scene(t);
  const name = '[datastore1] d/x.vmdk';
  const ref = (await daemon.call(disks, 'CreateVirtualDisk_Task', { name, spec: spec('thin') })) as never;
  const info = (await daemon.finished(ref)) as TaskInfo;
  assert.deepEqual(
    [info.name, info.descriptionId, info.entityName, info.cancelable],
    ['CreateVirtualDisk_Task', 'VirtualDiskManager.createVirtualDisk', 'datastore1', true],
  );
  await assert.rejects(daemon.call(files, 'ChangeOwner', { name, owner: 'ann' }), named('UserNotFound'));
  await assert.rejects(
    daemon.call(files, 'ChangeOwner', { name: '[datastore1] d/y', owner: 'ann' }),
    named('FileNotFound'),
  );
  const locks = (path: string) =>
    daemon.call(files, 'QueryFileLockInfo', { path }) as Promise<{ lockInfo: { lockMode: string }[] }>;
  assert.deepEqual((await locks(name)).lockInfo, []);
  const web = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as Machine;
  await daemon.task(web, 'PowerOnVM_Task');
  assert.equal((await locks('[datastore1] web/web-flat.vmdk')).lockInfo[0]?.lockMode, 'exclusive');
  assert.ok((await stat(at('web/web-flat.vmdk'))).isFile());
});
