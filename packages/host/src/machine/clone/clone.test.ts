import assert from 'node:assert/strict';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ManagedObjectReference, VimFault, VirtualMachineConfigInfo } from '@hypostyle/vim';
import { withCopiedMachine } from '../../testing/copied-machine.ts';
import { readFakeDisk, visibleFiles } from '../../testing/disk-reading.ts';
import { newDisk, vmFolder } from '../../testing/host-fixture.ts';

type Machine = ManagedObjectReference<'VirtualMachine'>;
type Snapshot = ManagedObjectReference<'VirtualMachineSnapshot'>;
const named = (type: string) => (error: unknown) => (error as VimFault).type === type;
const saying = (type: string, words: RegExp) => (error: unknown) =>
  (error as VimFault).type === type && words.test((error as VimFault).message);

function cloneSpec(more: Record<string, unknown> = {}, location: Record<string, unknown> = {}) {
  return {
    _typeName: 'VirtualMachineCloneSpec',
    location: { _typeName: 'VirtualMachineRelocateSpec', ...location },
    template: false,
    powerOn: false,
    ...more,
  };
}

async function withMachine(t: TestContext) {
  const fixture = await withCopiedMachine(t);
  const { computer, daemon, center, web, lock } = fixture;
  return {
    ...fixture,
    disk: (name: string) => readFakeDisk(join(computer.datastore, name, `${name}.vmdk`), 3),
    write: (name: string, block: number, value: number) => computer.engines.write(lock(name), 'scsi0u0', block, value),
    clone: (name: string, more: Record<string, unknown> = {}, location: Record<string, unknown> = {}, of = web) =>
      center.task(of, 'CloneVM_Task', { folder: vmFolder, name, spec: cloneSpec(more, location) }) as Promise<Machine>,
    take: (of: Machine, name: string) =>
      daemon.task(of, 'CreateSnapshot_Task', { name, memory: false, quiesce: false }) as Promise<Snapshot>,
    config: (of: Machine) => daemon.read(of, 'config') as VirtualMachineConfigInfo,
  };
}

const plain = (value: unknown) => (typeof value === 'bigint' ? `${value}` : value);
const linked = { diskMoveType: 'createNewChildDiskBacking' };

test('a copy has a larger disk, edited as the client was told of that of the original', async (t) => {
  const { daemon, web, folder, write, disk, clone, config, take } = await withMachine(t);
  await daemon.task(web, 'PowerOnVM_Task');
  write('web', 1, 7);
  await daemon.task(web, 'PowerOffVM_Task');
  const snapshot = await take(web, 'made');
  const told = config(web).hardware.device?.find(({ key }) => key === 2000);
  const edit = (device: object) => ({
    config: {
      _typeName: 'VirtualMachineConfigSpec',
      deviceChange: [{ _typeName: 'VirtualDeviceConfigSpec', operation: 'edit', device: { ...told, ...device } }],
    },
  });
  const larger = { capacityInKB: 2048n, capacityInBytes: 2n << 20n };
  const before = config(snapshot as ManagedObjectReference as Machine).hardware.device;
  for (const [name, backing, of] of [
    ['now', told?.backing, {}],
    ['then', told?.backing, { snapshot }],
    ['known', before?.find(({ key }) => key === 2000)?.backing, { snapshot }],
  ] as const) {
    await clone(name, { ...edit({ ...larger, backing }), ...of });
    assert.equal((await stat(join(folder(name), `${name}-flat.vmdk`))).size, 2 << 20);
    assert.deepEqual(await disk(name), [0, 7, 0]);
  }
  const another = { ...told?.backing, fileName: '[datastore1] now/now.vmdk' };
  await assert.rejects(clone('other', edit({ ...larger, backing: another })), named('InvalidDeviceSpec'));
  await assert.rejects(
    clone('smaller', edit({ capacityInKB: 512n, capacityInBytes: 1n << 19n })),
    named('InvalidDeviceOperation'),
  );
  assert.deepEqual(await visibleFiles(folder('')), ['known', 'now', 'then', 'web']);
});

test('a machine that is off is copied whole, under an identity of its own', async (t) => {
  const { daemon, web, folder, disk, write, clone, config } = await withMachine(t);
  await daemon.task(web, 'PowerOnVM_Task');
  write('web', 1, 7);
  await daemon.task(web, 'PowerOffVM_Task');
  await writeFile(join(folder('web'), 'web.nvram'), 'remembered');
  const copy = await clone('copy', {
    config: { _typeName: 'VirtualMachineConfigSpec', annotation: 'a copy', memoryMB: 256n },
  });
  assert.equal(daemon.read(copy, 'name'), 'copy');
  assert.deepEqual(await disk('copy'), [0, 7, 0]);
  assert.deepEqual(await visibleFiles(folder('copy')), ['copy-flat.vmdk', 'copy.nvram', 'copy.vmdk', 'copy.vmx']);
  assert.equal(await readFile(join(folder('copy'), 'copy.nvram'), 'utf8'), 'remembered');
  const [before, after] = [config(web), config(copy)];
  for (const key of ['uuid', 'instanceUuid'] as const) {
    assert.match(after[key] ?? '', /^[0-9a-f-]{36}$/);
    assert.notEqual(after[key], before[key]);
  }
  assert.equal(after.annotation, 'a copy');
  assert.equal(after.hardware.memoryMB, 256);
  assert.equal(before.annotation, '');
  // Neither has anything to do with the other from now on.
  await daemon.task(copy, 'PowerOnVM_Task');
  write('copy', 1, 9);
  await daemon.task(copy, 'PowerOffVM_Task');
  assert.deepEqual(
    [await disk('web'), await disk('copy')],
    [
      [0, 7, 0],
      [0, 9, 0],
    ],
  );
  await daemon.task(copy, 'Destroy_Task');
  assert.deepEqual(await visibleFiles(folder('')), ['web']);
});

test('a clone of a snapshot is what the machine was, and one that is linked has no byte of its own', async (t) => {
  const { daemon, web, folder, disk, write, clone, take, config } = await withMachine(t);
  await daemon.task(web, 'PowerOnVM_Task');
  write('web', 0, 1);
  const snapshot = await take(web, 'base');
  write('web', 0, 2);
  await clone('whole', { snapshot });
  assert.deepEqual(await disk('whole'), [1, 0, 0]);
  const thin = await clone('thin', { snapshot, powerOn: true }, linked);
  assert.equal(daemon.read(thin, 'runtime')?.powerState, 'poweredOn');
  write('thin', 1, 3);
  await daemon.task(thin, 'PowerOffVM_Task');
  assert.deepEqual(await disk('thin'), [1, 3, 0]);
  assert.deepEqual(await visibleFiles(folder('thin')), ['thin-delta.qcow2', 'thin.vmdk', 'thin.vmx']);
  assert.deepEqual(JSON.parse(await readFile(join(folder('web'), '.hypo', 'children.json'), 'utf8')), {
    version: 1,
    children: [{ parent: 'web.vmdk', child: 'thin/thin.vmdk' }],
  });
  const backing = config(thin).hardware.device?.find(({ _typeName }) => _typeName === 'VirtualDisk')?.backing as {
    parent?: { fileName: string };
  };
  assert.equal(backing.parent?.fileName, '[datastore1] web/web.vmdk');
});

test('what clones stand on stays: when its snapshot goes, when its machine goes, registered or not', async (t) => {
  const { daemon, web, folder, disk, write, clone, take } = await withMachine(t);
  await daemon.task(web, 'PowerOnVM_Task');
  write('web', 0, 1);
  const snapshot = await take(web, 'base');
  write('web', 0, 2);
  const one = await clone('one', { snapshot }, linked);
  const two = await clone('two', { snapshot }, linked);
  await daemon.call(two, 'UnregisterVM');
  await daemon.task(snapshot, 'RemoveSnapshot_Task', { removeChildren: false });
  assert.deepEqual(
    [await disk('one'), await disk('two')],
    [
      [1, 0, 0],
      [1, 0, 0],
    ],
  );
  await daemon.task(one, 'Destroy_Task');
  await daemon.task(web, 'ConsolidateVMDisks_Task');
  assert.deepEqual(await disk('two'), [1, 0, 0], 'nobody here knows of it but the folder that it stands on');
  await daemon.task(web, 'PowerOffVM_Task');
  await daemon.task(web, 'Destroy_Task');
  assert.deepEqual(await disk('two'), [1, 0, 0]);
  assert.deepEqual(await visibleFiles(folder('web')), ['web-flat.vmdk', 'web.vmdk']);
  const again = (await daemon.task(vmFolder, 'RegisterVM_Task', {
    path: '[datastore1] two/two.vmx',
    asTemplate: false,
    pool: { type: 'ResourcePool', value: 'ha-root-pool' },
  })) as Machine;
  await daemon.task(again, 'PowerOnVM_Task');
  await daemon.task(again, 'PowerOffVM_Task');
  await daemon.task(again, 'Destroy_Task');
  assert.deepEqual(await visibleFiles(folder('')), [], 'the last one takes with it what nobody stands on any more');
});

test('a machine that runs is copied as it was at one moment, and runs on', async (t) => {
  const { daemon, web, folder, disk, write, clone } = await withMachine(t);
  await daemon.task(web, 'PowerOnVM_Task');
  write('web', 1, 5);
  const copy = await clone('copy');
  assert.deepEqual(await disk('copy'), [0, 5, 0]);
  assert.equal(daemon.read(copy, 'runtime')?.powerState, 'poweredOff');
  assert.equal(daemon.read(copy, 'snapshot'), undefined);
  assert.equal(daemon.read(web, 'snapshot'), undefined, 'what it was copied from is gone');
  write('web', 1, 6);
  await daemon.task(web, 'PowerOffVM_Task');
  assert.deepEqual(
    [await disk('web'), await disk('copy')],
    [
      [0, 6, 0],
      [0, 5, 0],
    ],
  );
  assert.deepEqual(
    (await visibleFiles(folder('web'))).filter((name) => /\.(vmdk|qcow2)$/.test(name)),
    ['web-flat.vmdk', 'web.vmdk'],
  );
});

test('a linked clone gets bytes of its own, and stands on nothing any more', async (t) => {
  const { daemon, web, folder, write, clone, take } = await withMachine(t);
  await daemon.task(web, 'PowerOnVM_Task');
  write('web', 0, 1);
  const snapshot = await take(web, 'base');
  await daemon.task(web, 'PowerOffVM_Task');
  const thin = await clone('thin', { snapshot }, linked);
  await daemon.task(thin, 'PowerOnVM_Task');
  write('thin', 1, 2);
  await assert.rejects(daemon.task(thin, 'PromoteDisks_Task', { unlink: true }), named('InvalidPowerState'));
  await daemon.task(thin, 'PowerOffVM_Task');
  await daemon.task(thin, 'PromoteDisks_Task', { unlink: true });
  assert.deepEqual(await readFakeDisk(join(folder('thin'), 'thin-whole.vmdk'), 3), [1, 2, 0]);
  assert.deepEqual(
    (await visibleFiles(folder('thin'))).filter((name) => /\.(vmdk|qcow2)$/.test(name)),
    ['thin-whole-flat.vmdk', 'thin-whole.vmdk'],
  );
  await daemon.task(thin, 'PromoteDisks_Task', { unlink: true });
  await daemon.task(web, 'Destroy_Task');
  assert.deepEqual(await visibleFiles(folder('')), ['thin']);
  await daemon.task(thin, 'PowerOnVM_Task');
});

test('whole copies of a machine that is off are made at the same time', async (t) => {
  const { daemon, web, center, disk } = await withMachine(t);
  const names = ['one', 'two', 'three'];
  const tasks = await Promise.all(
    names.map((name) => center.begin(web, 'CloneVM_Task', { folder: vmFolder, name, spec: cloneSpec() })),
  );
  // It is not started meanwhile: that waits behind them, or is refused.
  await daemon.task(web, 'PowerOnVM_Task').catch((error: unknown) => assert.ok(named('TaskInProgress')(error)));
  await Promise.all(tasks.map((task) => daemon.outcome(task)));
  for (const name of names) assert.deepEqual(await disk(name), [0, 0, 0]);
});

test('many linked clones at a time, each its own', async (t) => {
  const { computer, daemon, web, center, take, disk, config } = await withMachine(t);
  const snapshot = await take(web, 'base');
  const names = Array.from({ length: 25 }, (_, number) => `c${number}`);
  const tasks = await Promise.all(
    names.map((name) =>
      center.begin(web, 'CloneVM_Task', { folder: vmFolder, name, spec: cloneSpec({ snapshot }, linked) }),
    ),
  );
  const made = (await Promise.all(tasks.map((task) => daemon.outcome(task)))) as Machine[];
  assert.equal(new Set(made.map(({ value }) => value)).size, 25);
  assert.equal(new Set(made.map((ref) => config(ref).uuid)).size, 25);
  for (const name of names) assert.deepEqual(await disk(name), [0, 0, 0]);
  const { children } = JSON.parse(
    await readFile(join(computer.datastore, 'web', '.hypo', 'children.json'), 'utf8'),
  ) as { children: unknown[] };
  assert.equal(children.length, 25);
});

test('what is said of a linked clone that was just made is what its folder says', async (t) => {
  const { computer, daemon, web, clone, take } = await withMachine(t);
  const snapshot = await take(web, 'base');
  const made = await clone('thin', { snapshot }, linked);
  // But when it was read.
  const said = (of: typeof daemon) => {
    const all = ['config', 'layoutEx', 'storage', 'summary'].map((name) => of.read(made, name as 'config'));
    return JSON.parse(JSON.stringify(all, (key, value) => (key === 'timestamp' ? '' : plain(value))));
  };
  const before = said(daemon);
  await daemon.host.close();
  const next = await computer.start();
  assert.deepEqual(said(next), before);
  await next.host.close();
});

test('a list of who stands on a disk does not keep all that ever did', async (t) => {
  const { computer, daemon, web, center, take } = await withMachine(t);
  const snapshot = await take(web, 'base');
  for (let round = 0; round < 4; round += 1) {
    const names = Array.from({ length: 20 }, (_, number) => `c${round}-${number}`);
    const spec = cloneSpec({ snapshot }, linked);
    const tasks = await Promise.all(
      names.map((name) => center.begin(web, 'CloneVM_Task', { folder: vmFolder, name, spec })),
    );
    const made = (await Promise.all(tasks.map((task) => daemon.outcome(task)))) as Machine[];
    const list = join(computer.datastore, 'web', '.hypo', 'children.json');
    const { children } = JSON.parse(await readFile(list, 'utf8')) as {
      readonly children: readonly { child: string }[];
    };
    const named = new Set(children.map(({ child }) => child));
    for (const name of names) assert.ok(named.has(`${name}/${name}.vmdk`), name);
    assert.ok(children.length < 60, `${children.length} in round ${round}`);
    for (const machine of made) await daemon.task(machine, 'Destroy_Task');
  }
});

test('what cannot be cloned is said, and nothing is left of it', async (t) => {
  const { computer, daemon, web, folder, clone, take } = await withMachine(t);
  await assert.rejects(
    daemon.task(web, 'CloneVM_Task', { folder: vmFolder, name: 'x', spec: cloneSpec() }),
    named('NotSupported'),
  );
  await assert.rejects(clone('x', {}, linked), saying('InvalidArgument', /spec\.snapshot/));
  await assert.rejects(
    clone('x', { snapshot: { type: 'VirtualMachineSnapshot', value: '1-snapshot-9' } }),
    named('InvalidArgument'),
  );
  await assert.rejects(clone('x', { memory: true }), named('NotSupported'));
  await assert.rejects(clone('x', {}, { diskMoveType: 'sideways' }), named('InvalidArgument'));
  await assert.rejects(
    clone('x', {}, { datastore: { type: 'Datastore', value: 'nowhere' } }),
    named('InvalidDatastore'),
  );
  await assert.rejects(clone('\n'), named('InvalidArgument'));
  const locator = (diskId: number) => ({
    _typeName: 'VirtualMachineRelocateSpecDiskLocator',
    diskId,
    datastore: daemon.read(web, 'datastore')?.[0],
  });
  await assert.rejects(clone('x', {}, { disk: [locator(4)] }), named('InvalidArgument'));
  const config = {
    _typeName: 'VirtualMachineConfigSpec',
    deviceChange: [newDisk(1000, '[datastore1] elsewhere/x.vmdk')],
  };
  await assert.rejects(clone('x', { config }), named('InvalidDatastorePath'));
  assert.deepEqual(await visibleFiles(computer.datastore), ['web']);
  const snapshot = await take(web, 'base');
  await assert.rejects(
    clone('x', { snapshot }, { diskMoveType: 'moveChildMostDiskBacking', datastore: undefined, disk: [locator(4)] }),
  );
  // A disk that is taken away is not copied, and that of the machine stays.
  const without = await clone('without', {
    config: {
      _typeName: 'VirtualMachineConfigSpec',
      deviceChange: [
        {
          _typeName: 'VirtualDeviceConfigSpec',
          operation: 'remove',
          fileOperation: 'destroy',
          device: { _typeName: 'VirtualDisk', key: 2000 },
        },
      ],
    },
  });
  assert.deepEqual(await visibleFiles(folder('without')), ['without.vmx']);
  assert.equal(daemon.read(without, 'layoutEx')?.disk?.length ?? 0, 0);
  await stat(join(folder('web'), 'web-flat.vmdk'));
});
