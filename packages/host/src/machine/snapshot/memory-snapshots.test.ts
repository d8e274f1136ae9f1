import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { HypervisorError } from '@hypostyle/contracts';
import type { VimFault } from '@hypostyle/vim';
import { visibleFiles } from '../../testing/disk-reading.ts';
import { newDisk } from '../../testing/host-fixture.ts';
import { snapshotTree, withMachine } from '../../testing/snapshot-fixture.ts';

const named = (type: string) => (error: unknown) => (error as VimFault).type === type;
const offFiles = ['web-flat.vmdk', 'web.vmdk', 'web.vmsd', 'web.vmx'];

test('a machine that runs is taken with its memory, and runs on from there', async (t) => {
  const { computer, daemon, web, folder, lock, take, write, read } = await withMachine(t);
  const memory = () => computer.engines.engines.get(lock)?.memory;
  await daemon.task(web, 'PowerOnVM_Task');
  write(0, 1);
  computer.engines.remember(lock, 'one');
  const first = await take('first', { memory: true });
  const [info] = daemon.read(web, 'snapshot')?.rootSnapshotList ?? [];
  assert.deepEqual([info?.state, info?.quiesced], ['poweredOn', false]);
  const layout = daemon.read(web, 'layoutEx');
  const file = layout?.file?.find(({ key }) => key === layout.snapshot?.[0]?.memoryKey);
  assert.deepEqual([file?.name, file?.type], ['[datastore1] web/web-Snapshot1.vmem', 'snapshotMemory']);
  assert.ok((file?.size ?? 0) > 0);
  assert.match(await readFile(join(folder, 'web.vmsd'), 'utf8'), /snapshot0\.type = "1"/);
  computer.engines.remember(lock, 'two');
  write(0, 2);
  // What came since goes: a revert is of the configuration as well.
  await daemon.task(web, 'ReconfigVM_Task', {
    spec: { _typeName: 'VirtualMachineConfigSpec', annotation: 'later', deviceChange: [newDisk(1000)] },
  });
  await daemon.task(first, 'RevertToSnapshot_Task');
  assert.equal(daemon.read(web, 'runtime')?.powerState, 'poweredOn');
  assert.deepEqual([memory(), read(0)], ['one', 1]);
  assert.equal(daemon.read(web, 'config')?.annotation, '');
  assert.equal(computer.engines.engines.get(lock)?.disks.size, 1);
  // Once more, of a machine that is off by now; it is not to be started.
  write(0, 3);
  await daemon.task(web, 'PowerOffVM_Task');
  await daemon.task(web, 'RevertToCurrentSnapshot_Task', { suppressPowerOn: true });
  assert.equal(daemon.read(web, 'runtime')?.powerState, 'suspended');
  await daemon.task(web, 'PowerOnVM_Task');
  assert.deepEqual([memory(), read(0)], ['one', 1]);
  await daemon.task(web, 'RemoveAllSnapshots_Task');
  await daemon.task(web, 'PowerOffVM_Task');
  const left = (await visibleFiles(folder)).filter((name) => !name.startsWith('web_1'));
  assert.deepEqual(left, offFiles);
});

test('memory that cannot be kept leaves the machine as it is, on the disks that it had', async (t) => {
  const { computer, daemon, web, folder, lock, take, write, read, diskName } = await withMachine(t);
  await daemon.task(web, 'PowerOnVM_Task');
  write(0, 1);
  daemon.hypervisor.failures.set('saveMemory', new HypervisorError('memory-failed', 'no room for it'));
  await assert.rejects(take('one', { memory: true }), (error: VimFault) => {
    assert.equal(error.type, 'SnapshotFault');
    assert.match(error.message, /no room for it/);
    return true;
  });
  assert.equal(await diskName(), 'web.vmdk');
  assert.equal(read(0), 1);
  assert.equal(daemon.read(web, 'snapshot'), undefined);
  assert.equal(daemon.read(web, 'runtime')?.consolidationNeeded, false);
  assert.deepEqual(await visibleFiles(folder), ['web-flat.vmdk', 'web.vmdk', 'web.vmx']);
  // The disks could not be taken either.
  daemon.hypervisor.failures.set('snapshotDisks', new HypervisorError('block-failed', 'no'));
  await assert.rejects(take('one', { memory: true }), named('SnapshotFault'));
  assert.deepEqual(await visibleFiles(folder), ['web-flat.vmdk', 'web.vmdk', 'web.vmx']);
  // An engine that ends meanwhile takes its memory with it, and none of the disks.
  daemon.hypervisor.failures.set('saveMemory', new Error('died'));
  await assert.rejects(take('one', { memory: true }), named('SnapshotFault'));
  assert.equal(daemon.read(web, 'runtime')?.powerState, 'poweredOff');
  assert.deepEqual(await visibleFiles(folder), ['web-flat.vmdk', 'web.vmdk', 'web.vmx']);
  assert.equal(computer.engines.engines.get(lock), undefined);
  await daemon.task(web, 'PowerOnVM_Task');
  assert.equal(read(0), 1);
  assert.deepEqual(computer.defects, []);
});

test('a machine whose start fails after a revert is suspended, and can be started again', async (t) => {
  const { computer, daemon, web, lock, take } = await withMachine(t);
  await daemon.task(web, 'PowerOnVM_Task');
  computer.engines.remember(lock, 'one');
  const first = await take('first', { memory: true });
  daemon.hypervisor.failures.set('start', new HypervisorError('start-failed', 'another accelerator'));
  await assert.rejects(daemon.task(first, 'RevertToSnapshot_Task'), /another accelerator/);
  assert.equal(daemon.read(web, 'runtime')?.powerState, 'suspended');
  await daemon.task(web, 'PowerOnVM_Task');
  assert.equal(computer.engines.engines.get(lock)?.memory, 'one');
});

test('a guest holds its file systems for the moment alone, and what is asked of it is checked', async (t) => {
  const { computer, daemon, web, lock, take } = await withMachine(t);
  const frozen = () => computer.engines.engines.get(lock)?.frozen;
  const takeEx = (name: string, quiesceSpec?: object) =>
    daemon.task(web, 'CreateSnapshotEx_Task', { name, memory: false, ...(quiesceSpec ? { quiesceSpec } : {}) });
  const spec = (members: object) => ({ _typeName: 'VirtualMachineGuestQuiesceSpec', ...members });
  await daemon.task(web, 'PowerOnVM_Task');
  daemon.hypervisor.agents = 'hold';
  await takeEx('plain');
  await takeEx('held', spec({ timeout: 5 }));
  assert.equal(frozen(), false);
  daemon.hypervisor.failures.set('snapshotDisks', new HypervisorError('block-failed', 'no'));
  await assert.rejects(take('not', { quiesce: true }), named('SnapshotFault'));
  assert.equal(frozen(), false);
  await assert.rejects(takeEx('not', spec({ timeout: 4 })), named('InvalidArgument'));
  await assert.rejects(takeEx('not', spec({ timeout: 241 })), named('InvalidArgument'));
  const windows = (members: object) => ({ _typeName: 'VirtualMachineWindowsQuiesceSpec', ...members });
  await assert.rejects(takeEx('not', windows({ vssBackupType: 1 })), named('NotSupported'));
  await takeEx('windows', windows({ vssBackupContext: 'ctx_auto' }));
  // Memory has what the file systems have not written: nothing is held for it.
  await take('memory', { memory: true, quiesce: true });
  assert.deepEqual(snapshotTree(daemon, web), [['plain', ['held', ['windows', 'memory']]]]);
  const flat: boolean[] = [];
  for (let [at] = daemon.read(web, 'snapshot')?.rootSnapshotList ?? []; at; at = at.childSnapshotList?.[0])
    flat.push(at.quiesced);
  assert.deepEqual(flat, [false, true, true, false]);
});

test('a host that is to be empty starts no machine by a revert', async (t) => {
  const { daemon, web, take } = await withMachine(t);
  await daemon.task(web, 'PowerOnVM_Task');
  const first = await take('first', { memory: true });
  await daemon.task(web, 'PowerOffVM_Task');
  const host = { type: 'HostSystem', value: 'ha-host' } as const;
  await daemon.task(host, 'EnterMaintenanceMode_Task', { timeout: 0 });
  await assert.rejects(daemon.task(first, 'RevertToSnapshot_Task'), named('InvalidState'));
  await daemon.task(first, 'RevertToSnapshot_Task', { suppressPowerOn: true });
  assert.equal(daemon.read(web, 'runtime')?.powerState, 'suspended');
  await daemon.task(web, 'PowerOffVM_Task');
  await daemon.task(host, 'ExitMaintenanceMode_Task', { timeout: 0 });
});
