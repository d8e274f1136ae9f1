import assert from 'node:assert/strict';
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { HypervisorError } from '@hypostyle/contracts';
import type { ManagedObjectReference, VimFault } from '@hypostyle/vim';
import { readFakeDisk, visibleFiles } from '../../testing/disk-reading.ts';
import { newDisk, vmFolder } from '../../testing/host-fixture.ts';
import { snapshotTree, withMachine } from '../../testing/snapshot-fixture.ts';

type Machine = ManagedObjectReference<'VirtualMachine'>;
type Snapshot = ManagedObjectReference<'VirtualMachineSnapshot'>;
const named = (type: string) => (error: unknown) => (error as VimFault).type === type;

test('a running machine is taken, goes on, and is brought back', async (t) => {
  const { daemon, web, folder, take, write, read, diskName } = await withMachine(t);
  await daemon.task(web, 'PowerOnVM_Task');
  write(0, 1);
  const first = await take('first', { description: 'before' });
  write(0, 2);
  write(1, 2);
  assert.deepEqual([read(0), read(1)], [2, 2]);
  assert.equal(await diskName(), 'web-000001.vmdk');
  const info = daemon.read(web, 'snapshot');
  assert.deepEqual(info?.currentSnapshot, first);
  const [root] = info?.rootSnapshotList ?? [];
  assert.deepEqual(
    [root?.name, root?.description, root?.id, root?.state, root?.quiesced, root?.vm],
    ['first', 'before', 1, 'poweredOff', false, web],
  );
  assert.deepEqual(daemon.read(web, 'rootSnapshot'), [first]);
  const spec = { _typeName: 'VirtualMachineConfigSpec', annotation: 'later', name: 'web2' };
  await daemon.task(web, 'ReconfigVM_Task', { spec });
  const config = daemon.host.registry.read(first, 'config');
  assert.equal(config?.annotation, '');
  const disk = config?.hardware.device?.find((one) => one._typeName === 'VirtualDisk');
  assert.equal((disk?.backing as { fileName?: string } | undefined)?.fileName, '[datastore1] web/web.vmdk');
  await daemon.task(first, 'RevertToSnapshot_Task');
  assert.equal(daemon.read(web, 'runtime')?.powerState, 'poweredOff');
  assert.equal(daemon.read(web, 'config')?.annotation, '');
  assert.equal(daemon.read(web, 'name'), 'web2', 'who it is stays');
  await daemon.task(web, 'PowerOnVM_Task');
  assert.deepEqual([read(0), read(1)], [1, 0]);
  assert.deepEqual(await visibleFiles(folder), [
    'web-000002-delta.qcow2',
    'web-000002.vmdk',
    'web-Snapshot1.vmsn',
    'web-flat.vmdk',
    'web.vmdk',
    'web.vmsd',
    'web.vmx',
  ]);
});

test('snapshots are removed while the machine runs, and it keeps every byte', async (t) => {
  const { daemon, web, folder, take, write, read, diskName } = await withMachine(t);
  await daemon.task(web, 'PowerOnVM_Task');
  const snapshots: Snapshot[] = [];
  for (let number = 1; number <= 4; number += 1) {
    write(number, number);
    snapshots.push(await take(`s${number}`));
  }
  write(5, 5);
  assert.deepEqual(snapshotTree(daemon, web), [['s1', ['s2', ['s3', 's4']]]]);
  const bytes = () => [1, 2, 3, 4, 5].map((block) => read(block));
  await daemon.task(snapshots[1] as Snapshot, 'RemoveSnapshot_Task', { removeChildren: false });
  assert.deepEqual(snapshotTree(daemon, web), [['s1', ['s3', 's4']]]);
  assert.deepEqual(bytes(), [1, 2, 3, 4, 5]);
  assert.deepEqual(daemon.host.registry.read(snapshots[0] as Snapshot, 'childSnapshot'), [snapshots[2]]);
  await assert.rejects(
    daemon.call(snapshots[1] as Snapshot, 'RenameSnapshot', { name: 'x' }),
    named('ManagedObjectNotFound'),
  );
  // What a snapshot keeps is the disk that the next one was merged into.
  assert.deepEqual(await readFakeDisk(join(folder, 'web-000001.vmdk'), 6), [0, 1, 2, 3, 0, 0]);
  await daemon.task(snapshots[3] as Snapshot, 'RemoveSnapshot_Task', { removeChildren: false });
  assert.deepEqual(bytes(), [1, 2, 3, 4, 5]);
  assert.equal(daemon.read(web, 'runtime')?.consolidationNeeded, false);
  await daemon.task(web, 'RemoveAllSnapshots_Task');
  assert.equal(await diskName(), 'web.vmdk');
  assert.deepEqual(bytes(), [1, 2, 3, 4, 5]);
  assert.equal(daemon.read(web, 'snapshot'), undefined);
  await daemon.task(web, 'PowerOffVM_Task');
  assert.deepEqual(await readFakeDisk(join(folder, 'web.vmdk'), 6), [0, 1, 2, 3, 4, 5]);
  assert.deepEqual(await visibleFiles(folder), ['web-flat.vmdk', 'web.vmdk', 'web.vmsd', 'web.vmx']);
});

test('branches are kept apart, and merged when only one is left', async (t) => {
  const { daemon, web, folder, take, write, read } = await withMachine(t);
  await daemon.task(web, 'PowerOnVM_Task');
  write(0, 1);
  const root = await take('root');
  write(0, 2);
  const left = await take('left');
  await daemon.task(root, 'RevertToSnapshot_Task');
  await daemon.task(web, 'PowerOnVM_Task');
  write(1, 3);
  const right = await take('right');
  write(2, 4);
  assert.deepEqual(snapshotTree(daemon, web), [['root', 'left', 'right']]);
  await daemon.task(root, 'RemoveSnapshot_Task', { removeChildren: false });
  assert.deepEqual(snapshotTree(daemon, web), ['left', 'right']);
  assert.deepEqual(daemon.read(web, 'rootSnapshot'), [left, right]);
  assert.deepEqual([read(0), read(1), read(2)], [1, 3, 4]);
  await daemon.task(left, 'RemoveSnapshot_Task', { removeChildren: true });
  await daemon.task(right, 'RemoveSnapshot_Task', { removeChildren: false, consolidate: false });
  assert.equal(daemon.read(web, 'runtime')?.consolidationNeeded, true);
  await daemon.task(web, 'ConsolidateVMDisks_Task');
  assert.equal(daemon.read(web, 'runtime')?.consolidationNeeded, false);
  assert.deepEqual([read(0), read(1), read(2)], [1, 3, 4]);
  await daemon.task(web, 'PowerOffVM_Task');
  assert.deepEqual(await visibleFiles(folder), ['web-flat.vmdk', 'web.vmdk', 'web.vmsd', 'web.vmx']);
});

test('what cannot be done is said in the documented faults, and changes nothing', async (t) => {
  const { computer, daemon, web, folder, take } = await withMachine(t);
  await assert.rejects(take(''), named('InvalidName'));
  await assert.rejects(daemon.task(web, 'RevertToCurrentSnapshot_Task'), named('NotFound'));
  await daemon.task(web, 'PowerOnVM_Task');
  daemon.hypervisor.agents = 'refuse';
  await assert.rejects(take('quiet', { quiesce: true }), named('FilesystemQuiesceFault'));
  daemon.hypervisor.failures.set('snapshotDisks', new Error('the engine says no'));
  await assert.rejects(take('one'), named('SystemError'));
  assert.deepEqual(await visibleFiles(folder), ['web-flat.vmdk', 'web.vmdk', 'web.vmx']);
  daemon.hypervisor.agents = 'absent';
  const ignored = await take('ignored', { quiesce: true });
  daemon.hypervisor.agents = 'hold';
  await take('quiet', { quiesce: true });
  const [root] = daemon.read(web, 'snapshot')?.rootSnapshotList ?? [];
  assert.deepEqual([root?.quiesced, root?.childSnapshotList?.[0]?.quiesced], [false, true]);
  await daemon.call(ignored, 'RenameSnapshot', { name: 'Grüße "|"', description: 'two\nlines' });
  assert.deepEqual(snapshotTree(daemon, web), [['Grüße "|"', 'quiet']]);
  assert.match(await readFile(join(folder, 'web.vmsd'), 'utf8'), /snapshot0\.displayName = "Grüße \|22\|7C\|22"/);
  await assert.rejects(daemon.call(ignored, 'RenameSnapshot', { name: '' }), named('InvalidName'));
  await daemon.task(web, 'PowerOffVM_Task');
  // A file that is missing is found before anything is thrown away.
  await rm(join(folder, 'web-Snapshot1.vmsn'));
  await assert.rejects(daemon.task(ignored, 'RevertToSnapshot_Task'), named('InvalidSnapshotFormat'));
  await writeFile(join(folder, 'web.vmsd'), 'snapshot.numSnapshots = "7"');
  await daemon.host.close();
  const next = await computer.start();
  await assert.rejects(next.task(web, 'RemoveAllSnapshots_Task'), named('InvalidSnapshotFormat'));
  await next.task(web, 'PowerOnVM_Task');
  await next.host.close();
});

test('a merge without room says which disk and datastore, keeps every byte, and is done when there is room', async (t) => {
  const { daemon, web, folder, take, write, read, diskName } = await withMachine(t);
  await daemon.task(web, 'PowerOnVM_Task');
  write(0, 1);
  await take('one');
  write(1, 2);
  const fails = (words: string) =>
    daemon.hypervisor.failures.set(
      'commitLayer',
      new HypervisorError('block-failed', `${folder}/web-000001-delta.qcow2 was not merged: ${words}`),
    );
  fails('No space left on device');
  await assert.rejects(daemon.task(web, 'RemoveAllSnapshots_Task'), (error: VimFault) => {
    assert.deepEqual([error.type, error.message.includes(folder)], ['NoDiskSpace', false]);
    assert.match(error.message, /on datastore 'datastore1' for \[datastore1\] web\/web\.vmdk/);
    return true;
  });
  assert.deepEqual([read(0), read(1), await diskName()], [1, 2, 'web-000001.vmdk']);
  assert.equal(daemon.read(web, 'runtime')?.consolidationNeeded, true);
  fails('Input/output error');
  await assert.rejects(daemon.task(web, 'ConsolidateVMDisks_Task'), (error: VimFault) => {
    assert.equal(error.type, 'SnapshotFault');
    assert.match(error.message, /^\[datastore1\] web\/web-000001-delta\.qcow2 was not merged: Input\/output error/);
    return true;
  });
  await daemon.task(web, 'ConsolidateVMDisks_Task');
  assert.deepEqual([read(0), read(1), await diskName()], [1, 2, 'web.vmdk']);
  assert.equal(daemon.read(web, 'runtime')?.consolidationNeeded, false);
});

test('disks that cannot be read are not said to be merged, and are once they can be', async (t) => {
  const { daemon, web, folder, take, write } = await withMachine(t);
  await daemon.task(web, 'PowerOnVM_Task');
  const one = await take('one');
  write(1, 2);
  await daemon.task(web, 'PowerOffVM_Task');
  await daemon.task(one, 'RemoveSnapshot_Task', { removeChildren: false, consolidate: false });
  const delta = join(folder, 'web-000001-delta.qcow2');
  await rename(delta, `${delta}.away`);
  for (let round = 0; round < 2; round += 1) {
    await assert.rejects(daemon.task(web, 'ConsolidateVMDisks_Task'), (error: VimFault) => {
      assert.deepEqual([error.type, error.message.includes(folder)], ['FileFault', false]);
      assert.match(error.message, /\[datastore1\] web\/web-000001-delta\.qcow2 is missing/);
      return true;
    });
  }
  await rename(`${delta}.away`, delta);
  await daemon.task(web, 'ConsolidateVMDisks_Task');
  assert.equal(daemon.read(web, 'runtime')?.consolidationNeeded, false);
  assert.deepEqual(await readFakeDisk(join(folder, 'web.vmdk'), 2), [0, 2]);
  assert.deepEqual(await visibleFiles(folder), ['web-flat.vmdk', 'web.vmdk', 'web.vmsd', 'web.vmx']);
});

for (const [what, error] of [
  ['fails', new HypervisorError('block-failed', 'the guest was not let go')],
  ['dies', new HypervisorError('not-running', 'died')],
] as const) {
  test(`an engine that ${what} when a merge is written down already leaves nothing in the way of the next one`, async (t) => {
    const { daemon, web, folder, take, write } = await withMachine(t);
    await daemon.task(web, 'PowerOnVM_Task');
    for (const level of [1, 2, 3]) {
      write(level, level);
      await take(`s${level}`);
    }
    write(4, 4);
    // Each merge in turn, of those in the middle and of the top.
    for (let round = 0; round < 3; round += 1) {
      daemon.hypervisor.failures.set('merged', error);
      const removal = daemon.task(web, 'RemoveAllSnapshots_Task');
      await (what === 'fails' ? assert.rejects(removal, named('SnapshotFault')) : removal);
      if (what === 'dies') break;
    }
    await daemon.task(web, 'RemoveAllSnapshots_Task');
    assert.equal(daemon.read(web, 'runtime')?.consolidationNeeded, false);
    if (what === 'fails') await daemon.task(web, 'PowerOffVM_Task');
    assert.deepEqual(await readFakeDisk(join(folder, 'web.vmdk'), 5), [0, 1, 2, 3, 4]);
    assert.deepEqual(await visibleFiles(folder), ['web-flat.vmdk', 'web.vmdk', 'web.vmsd', 'web.vmx']);
  });
}

test('thirty-two levels are taken and run, and no more', async (t) => {
  const { daemon, web, take, write, read } = await withMachine(t);
  await daemon.task(web, 'PowerOnVM_Task');
  for (let level = 1; level <= 32; level += 1) {
    write(level, level);
    await take(`level ${level}`);
  }
  await assert.rejects(take('one more'), named('TooManySnapshotLevels'));
  await daemon.task(web, 'PowerOffVM_Task');
  await daemon.task(web, 'PowerOnVM_Task');
  for (let level = 1; level <= 32; level += 1) assert.equal(read(level), level);
});

test('hardware that came or went since is as it was, and no disk that a snapshot has is deleted', async (t) => {
  const { daemon, web, folder, take, write, read } = await withMachine(t);
  await daemon.task(web, 'PowerOnVM_Task');
  write(0, 9);
  await daemon.task(web, 'PowerOffVM_Task');
  const before = await take('before');
  const disks = () =>
    daemon.read(web, 'config')?.hardware.device?.filter((one) => one._typeName === 'VirtualDisk') ?? [];
  const change = (deviceChange: unknown[]) =>
    daemon.task(web, 'ReconfigVM_Task', { spec: { _typeName: 'VirtualMachineConfigSpec', deviceChange } });
  await change([
    newDisk(1000),
    { _typeName: 'VirtualDeviceConfigSpec', operation: 'remove', fileOperation: 'destroy', device: disks()[0] },
  ]);
  assert.equal(disks().length, 1);
  assert.ok((await readdir(folder)).includes('web-flat.vmdk'));
  await daemon.task(before, 'RevertToSnapshot_Task');
  assert.equal(disks().length, 1);
  await daemon.task(web, 'PowerOnVM_Task');
  assert.equal(read(0), 9);
  assert.ok((await readdir(folder)).includes('web_1-flat.vmdk'), 'a disk that no snapshot has is let go of, and stays');
  const layout = daemon.read(web, 'layoutEx');
  const [data] = layout?.snapshot ?? [];
  assert.equal(layout?.file?.find(({ key }) => key === data?.dataKey)?.name, '[datastore1] web/web-Snapshot1.vmsn');
  assert.equal(data?.disk?.[0]?.chain?.length, 1);
});

test('a suspended machine is taken with its memory, and goes on from there', async (t) => {
  const { computer, daemon, web, folder, take, write, read } = await withMachine(t);
  await daemon.task(web, 'PowerOnVM_Task');
  write(0, 1);
  const memory = computer.engines.engines.get(join(folder, '.hypo', 'vm.lck'))?.memory;
  await daemon.task(web, 'SuspendVM_Task');
  const taken = await take('asleep');
  await daemon.task(web, 'PowerOnVM_Task');
  write(0, 2);
  await daemon.task(taken, 'RevertToSnapshot_Task');
  assert.equal(daemon.read(web, 'runtime')?.powerState, 'suspended');
  await daemon.task(web, 'PowerOnVM_Task');
  assert.equal(read(0), 1);
  assert.equal(computer.engines.engines.get(join(folder, '.hypo', 'vm.lck'))?.memory, memory);
  await daemon.task(web, 'SuspendVM_Task');
  await daemon.task(web, 'RevertToCurrentSnapshot_Task');
  assert.equal((await readdir(folder)).filter((name) => name.endsWith('.vmss')).length, 1);
  await daemon.task(web, 'PowerOffVM_Task');
  await daemon.task(web, 'Destroy_Task');
  assert.deepEqual(await readdir(computer.datastore).then((names) => names.filter((name) => name === 'web')), []);
});

test('a folder is registered with its snapshots, and those of another maker are shown and never written', async (t) => {
  const { daemon, web, folder, take } = await withMachine(t);
  await take('first');
  await take('second');
  const config = daemon.read(web, 'config');
  await daemon.call(web, 'UnregisterVM');
  const register = async () =>
    (await daemon.task(vmFolder, 'RegisterVM_Task', {
      path: '[datastore1] web/web.vmx',
      asTemplate: false,
      pool: { type: 'ResourcePool', value: 'ha-root-pool' },
    })) as Machine;
  const again = await register();
  assert.deepEqual(snapshotTree(daemon, again), [['first', 'second']]);
  assert.equal(daemon.read(again, 'config')?.uuid, config?.uuid);
  await daemon.task(again, 'RemoveAllSnapshots_Task');
  await daemon.call(again, 'UnregisterVM');
  // As VMware leaves it: its file of the snapshot is none that we read.
  await writeFile(
    join(folder, 'web.vmsd'),
    'snapshot.lastUID = "1"\nsnapshot.current = "1"\nsnapshot0.uid = "1"\nsnapshot0.filename = "web-Snapshot1.vmsn"\nsnapshot0.displayName = "old"\nsnapshot0.numDisks = "1"\nsnapshot0.disk0.fileName = "web.vmdk"\nsnapshot0.disk0.node = "scsi0:0"\nsnapshot.numSnapshots = "1"\n',
  );
  await writeFile(join(folder, 'web-Snapshot1.vmsn'), 'unknown');
  const foreign = await register();
  assert.deepEqual(snapshotTree(daemon, foreign), ['old']);
  const descriptor = await readFile(join(folder, 'web.vmdk'), 'utf8');
  await daemon.task(foreign, 'PowerOnVM_Task');
  assert.equal(await readFile(join(folder, 'web.vmdk'), 'utf8'), descriptor, 'what a snapshot has is not written');
  await assert.rejects(daemon.task(foreign, 'RevertToCurrentSnapshot_Task'), named('InvalidSnapshotFormat'));
  assert.equal(daemon.read(foreign, 'runtime')?.powerState, 'poweredOn');
});
