import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ManagedObjectReference, VimFault } from '@hypostyle/vim';
import { references } from '../inventory/references.ts';
import { Computer, type Daemon, newDisk, rootPool, smallMachine, vmFolder } from '../testing/host-fixture.ts';

type Machine = ManagedObjectReference<'VirtualMachine'>;
type Task = ManagedObjectReference<'Task'>;
const named = (type: string) => (error: unknown) => (error as VimFault).type === type;
const datastoreOf = (daemon: Daemon) => daemon.host.registry.read(references.host, 'datastore')![0]!;

/** Everything that a machine says, as text. */
function said(daemon: Daemon, machine: Machine): string {
  const shown = (['config', 'summary', 'layoutEx', 'storage'] as const).map((name) => daemon.read(machine, name));
  return JSON.stringify(shown, (_, value: unknown) => (typeof value === 'bigint' ? Number(value) : value));
}

test('all that a machine says follows the name of its datastore at once, and stays over restarts', async () => {
  const computer = await Computer.make();
  try {
    const first = await computer.start();
    const web = (await first.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as Machine;
    await first.task(web, 'PowerOnVM_Task');
    const before = said(first, web);
    assert.ok(before.includes('[datastore1] web/web.vmdk'));
    await first.call(datastoreOf(first), 'RenameDatastore', { newName: 'fast' });
    const after = before.replaceAll('[datastore1]', '[fast]').replaceAll('"datastore1"', '"fast"');
    assert.ok(said(first, web) === after, 'something has the old name');
    assert.equal(first.host.registry.read(datastoreOf(first), 'summary')?.name, 'fast');
    const machines = { path: '[fast] web/web.vmx', asTemplate: false, pool: rootPool };
    await assert.rejects(first.task(vmFolder, 'RegisterVM_Task', machines), named('AlreadyExists'));
    const old = { ...machines, path: '[datastore1] web/web.vmx' };
    await assert.rejects(first.call(vmFolder, 'RegisterVM_Task', old), named('InvalidDatastore'));
    await first.task(web, 'PowerOffVM_Task');
    await first.task(datastoreOf(first), 'Rename_Task', { newName: 'fast2' });
    await first.host.close();

    const daemon = await computer.start();
    assert.equal(daemon.read(web, 'summary')?.config.vmPathName, '[fast2] web/web.vmx');
    await daemon.task(web, 'Destroy_Task');
    assert.deepEqual(computer.defects, []);
    await daemon.host.close();
  } finally {
    await computer.remove();
  }
});

test('what was asked for by the old name is done', async () => {
  const computer = await Computer.make();
  try {
    const daemon = await computer.start();
    const web = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as Machine;
    const change = (spec: object) => daemon.call(web, 'ReconfigVM_Task', { spec }) as Promise<Task>;
    // Tasks of one machine go one after another: the last has not begun when the name changes.
    for (const annotation of ['a', 'b', 'c']) await change({ annotation });
    const last = await change({ deviceChange: [newDisk(1000, '[datastore1] web/more.vmdk')] });
    await daemon.call(datastoreOf(daemon), 'RenameDatastore', { newName: 'fast' });
    assert.equal(daemon.host.registry.read(last, 'info')?.state, 'queued');
    await daemon.outcome(last);
    assert.ok(said(daemon, web).includes('[fast] web/more.vmdk'));
    assert.equal(daemon.read(web, 'summary')?.config.vmPathName, '[fast] web/web.vmx');
    assert.ok(!said(daemon, web).includes('[datastore1]'));
    assert.deepEqual(computer.defects, []);
    await daemon.host.close();
  } finally {
    await computer.remove();
  }
});

test('a name that another datastore has, or that is none, is refused', async () => {
  const computer = await Computer.make();
  try {
    const daemon = await computer.start();
    const path = join(computer.directory, 'other');
    await daemon.call(references.datastoreSystem, 'CreateLocalDatastore', { name: 'other', path });
    const datastore = datastoreOf(daemon);
    await assert.rejects(daemon.call(datastore, 'RenameDatastore', { newName: 'other' }), named('DuplicateName'));
    await assert.rejects(daemon.call(datastore, 'RenameDatastore', { newName: 'a/b' }), named('InvalidName'));
    await assert.rejects(daemon.task(datastore, 'Rename_Task', { newName: 'other' }), named('DuplicateName'));
    const both = [1, 2].map(() => daemon.call(datastore, 'RenameDatastore', { newName: 'fast' }));
    await Promise.all(both);
    assert.equal(daemon.host.registry.read(datastore, 'name'), 'fast');
    await daemon.host.close();
  } finally {
    await computer.remove();
  }
});
