import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { cp, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ManagedObjectReference } from '@hypostyle/vim';
import { rootPool, smallMachine, vmFolder } from '../../testing/host-fixture.ts';
import { firstDisk, grain, TrackedMachine } from '../../testing/tracked-machine.ts';

test('a snapshot and what came after it: incremental backups see what was written between them', async (t) => {
  const web = await TrackedMachine.make(t);
  assert.equal(web.daemon.read(web.machine, 'config')?.changeTrackingEnabled, true);
  assert.equal(web.daemon.read(web.machine, 'capability')?.changeTrackingSupported, true);
  assert.match(await readFile(join(web.folder, 'web.vmx'), 'utf8'), /^scsi0:0\.ctkEnabled = "TRUE"$/m);
  assert.equal(web.id(), undefined, 'it begins with the next start');
  await web.task('PowerOnVM_Task');
  assert.match(web.id() ?? '', /^[0-9a-f-]{36}\/1$/);
  web.write(3);
  const full = await web.take('full');
  const since = web.id(full);
  assert.equal(since, web.id());
  assert.deepEqual(await web.changed(since), []);
  assert.deepEqual(await web.changed(since, full), []);
  web.write(5);
  web.write(7);
  const next = await web.take('next');
  web.write(9);
  assert.deepEqual(await web.changed(since, next), [5, 7]);
  assert.deepEqual(await web.changed(since), [5, 7, 9]);
  assert.deepEqual(await web.changed(web.id(next)), [9]);
  await web.refused(web.id(next), full);
  await web.task('RemoveAllSnapshots_Task');
  assert.deepEqual(await web.changed(since), [5, 7, 9]);
  web.write(11);
  assert.deepEqual(await web.changed(since), [5, 7, 9, 11]);
  assert.ok((await web.changed('*')).length > 0);
});

test('turned on while the machine runs, it begins with a snapshot and outlives its removal', async (t) => {
  const web = await TrackedMachine.make(t, false);
  await web.task('PowerOnVM_Task');
  web.write(1);
  await web.enable();
  assert.equal(web.id(), undefined);
  await web.refused('*'.repeat(2));
  const full = await web.take('full');
  const since = web.id(full);
  assert.ok(since);
  assert.equal(web.hasImage, false);
  web.write(2);
  await web.task('RemoveAllSnapshots_Task');
  assert.equal(web.hasImage, true);
  web.write(4);
  assert.deepEqual(await web.changed(since), [2, 4]);
});

test('power cycles, suspending, machines that are off and a new daemon leave ids what they are', async (t) => {
  const web = await TrackedMachine.make(t);
  await web.task('PowerOnVM_Task');
  const since = web.id();
  web.write(1);
  await web.task('PowerOffVM_Task');
  assert.equal(web.id(), since);
  assert.deepEqual(await web.changed(since), [1]);
  await web.task('PowerOnVM_Task');
  web.write(2);
  await web.task('SuspendVM_Task');
  assert.deepEqual(await web.changed(since), [1, 2]);
  await web.task('PowerOnVM_Task');
  web.write(3);
  web.daemon.die();
  web.daemon = await web.computer.start();
  web.write(4);
  assert.deepEqual(await web.changed(since), [1, 2, 3, 4]);
  await web.task('PowerOffVM_Task');
  const off = await web.take('off');
  await web.daemon.host.close();
  web.daemon = await web.computer.start();
  assert.deepEqual(await web.changed(since, off), [1, 2, 3, 4]);
  await web.task('PowerOnVM_Task');
  web.write(5);
  assert.deepEqual(await web.changed(web.id(off)), [5]);
  await web.task('PowerOffVM_Task');
  await web.task('RemoveAllSnapshots_Task');
  assert.deepEqual(await web.changed(since), [1, 2, 3, 4, 5]);
});

test('an engine that is killed ends every id that was given', async (t) => {
  const web = await TrackedMachine.make(t);
  await web.task('PowerOnVM_Task');
  const since = web.id();
  const taken = await web.take('before');
  const moment = web.id(taken);
  await web.crash();
  assert.deepEqual([web.id(), web.id(taken)], [undefined, undefined]);
  for (const id of [since, moment]) await web.refused(id);
  await web.task('PowerOnVM_Task');
  for (const id of [since, moment]) await web.refused(id);
  const now = web.id();
  assert.ok(now !== undefined && now.split('/')[0] !== since?.split('/')[0]);
  web.write(6);
  assert.deepEqual(await web.changed(now), [6]);
});

test('an engine that is gone when its daemon comes back ends them too', async (t) => {
  const web = await TrackedMachine.make(t);
  await web.task('PowerOnVM_Task');
  const since = web.id();
  web.daemon.die();
  web.computer.engines.end(join(web.folder, '.hypo', 'vm.lck'), 'crashed');
  web.daemon = await web.computer.start();
  assert.equal(web.id(), undefined);
  await web.refused(since);
});

test('a revert ends them', async (t) => {
  const web = await TrackedMachine.make(t);
  await web.task('PowerOnVM_Task');
  const taken = await web.take('before');
  const since = web.id(taken);
  web.write(1);
  await web.task('RevertToCurrentSnapshot_Task');
  await web.refused(since);
  await web.task('PowerOnVM_Task');
  await web.refused(since);
  web.write(2);
  assert.deepEqual(await web.changed(web.id()), [2]);
});

test('what somebody else writes into the files of a machine that is off ends them', async (t) => {
  const web = await TrackedMachine.make(t);
  await web.task('PowerOnVM_Task');
  const since = web.id();
  await web.task('PowerOffVM_Task');
  const flat = await open(join(web.folder, 'web-flat.vmdk'), 'r+');
  await flat.write(Buffer.of(1), 0, 1, 8 * grain);
  await flat.close();
  await web.refused(since);
  await web.task('PowerOnVM_Task');
  await web.refused(since);
  web.write(2);
  assert.deepEqual(await web.changed(web.id()), [2]);
});

test('a record that was lost or cannot be read ends them, and the machine runs', async (t) => {
  const web = await TrackedMachine.make(t);
  await web.task('PowerOnVM_Task');
  const since = web.id();
  await web.task('PowerOffVM_Task');
  await writeFile(join(web.folder, '.hypo', 'changes.json'), '{"version": 1, "disks": [{"base":');
  await web.task('PowerOnVM_Task');
  await web.refused(since);
  assert.notEqual(web.id(), undefined);
});

test('a disk that was made larger has a new image and a new epoch', async (t) => {
  const web = await TrackedMachine.make(t);
  await web.task('PowerOnVM_Task');
  const since = web.id();
  await web.task('PowerOffVM_Task');
  const descriptor = join(web.folder, 'web.vmdk');
  await writeFile(descriptor, (await readFile(descriptor, 'utf8')).replace('RW 2048 ', 'RW 4096 '));
  await (
    await open(join(web.folder, 'web-flat.vmdk'), 'r+').then(async (flat) => {
      await flat.truncate(2 << 20);
      return flat;
    })
  ).close();
  await web.task('PowerOnVM_Task');
  await web.refused(since);
  assert.notEqual(web.id(), undefined);
});

test('turned off, ids are over at once and the image goes with the engine', async (t) => {
  const web = await TrackedMachine.make(t);
  await web.task('PowerOnVM_Task');
  const since = web.id();
  assert.equal(web.hasImage, true);
  await web.enable(false);
  assert.equal(web.id(), undefined);
  await web.refused(since);
  await web.refused('*');
  await web.task('PowerOffVM_Task');
  assert.equal(web.hasImage, false);
  await web.enable();
  await web.task('PowerOnVM_Task');
  await web.refused(since);
  assert.notEqual(web.id(), undefined);
  await web.task('PowerOffVM_Task');
  await web.enable(false);
  assert.equal(web.hasImage, false);
});

test('what is asked wrongly is refused by name', async (t) => {
  const web = await TrackedMachine.make(t);
  await web.daemon.task(vmFolder, 'CreateVM_Task', smallMachine('other'));
  const other = web.daemon.machine('other');
  assert.ok(other);
  const foreign = await web.daemon.task(other, 'CreateSnapshot_Task', { name: 'a', memory: false, quiesce: false });
  await web.task('PowerOnVM_Task');
  const ask = (args: object) =>
    web.daemon.call(web.machine, 'QueryChangedDiskAreas', {
      deviceKey: firstDisk,
      startOffset: 0,
      changeId: '*',
      ...args,
    });
  await assert.rejects(ask({ snapshot: foreign }), { type: 'NotFound' });
  await assert.rejects(ask({ deviceKey: 1000 }), { type: 'InvalidArgument' });
  await assert.rejects(ask({ startOffset: 1 << 20 }), { type: 'InvalidArgument' });
  await assert.rejects(ask({ startOffset: -1 }), { type: 'InvalidArgument' });
  await assert.rejects(ask({ changeId: '' }), { type: 'FileFault' });
  await assert.rejects(ask({ changeId: '52de1b3c-0000-0000-0000-000000000000/1' }), { type: 'FileFault' });
  const unable = await web.daemon
    .call(other, 'QueryChangedDiskAreas', { deviceKey: firstDisk, startOffset: 0, changeId: '*' })
    .catch((error: unknown) => error);
  assert.equal((unable as { type?: string }).type, 'FileFault');
});

test('more generations than are kept: the oldest ids expire, the others go on', async (t) => {
  const web = await TrackedMachine.make(t);
  await web.task('PowerOnVM_Task');
  const ids: (string | undefined)[] = [];
  for (let round = 0; round < 70; round += 1) {
    ids.push(web.id(await web.take(`s${round}`)));
    await web.task('RemoveAllSnapshots_Task');
  }
  web.write(3);
  await web.refused(ids[0]);
  assert.deepEqual(await web.changed(ids[60]), [3]);
});

test('a machine that is gone takes along what was kept; one that is unregistered keeps it', async (t) => {
  const web = await TrackedMachine.make(t);
  await web.task('PowerOnVM_Task');
  const since = web.id();
  web.write(4);
  await web.task('PowerOffVM_Task');
  const files = web.daemon.read(web.machine, 'layoutEx')?.file?.map(({ name, type }) => [name.split('/').at(-1), type]);
  assert.ok(files?.some(([name, type]) => name === 'web-ctk.qcow2' && type === 'diskExtent'));
  await web.daemon.call(web.machine, 'UnregisterVM');
  const args = { path: '[datastore1] web/web.vmx', asTemplate: false, pool: rootPool };
  await web.daemon.task(vmFolder, 'RegisterVM_Task', args);
  assert.deepEqual(await web.changed(since), [4]);
  const task = (await web.daemon.call(web.machine, 'Destroy_Task')) as ManagedObjectReference<'Task'>;
  await web.daemon.outcome(task);
  assert.equal(existsSync(web.folder), false);
});

test('a folder that was copied is another disk: its ids are over', async (t) => {
  const web = await TrackedMachine.make(t);
  await web.task('PowerOnVM_Task');
  const since = web.id();
  await web.task('PowerOffVM_Task');
  await web.daemon.call(web.machine, 'UnregisterVM');
  await cp(web.folder, `${web.folder}-copy`, { recursive: true, preserveTimestamps: true });
  await rm(web.folder, { recursive: true });
  await rename(`${web.folder}-copy`, web.folder);
  const args = { path: '[datastore1] web/web.vmx', asTemplate: false, pool: rootPool };
  await web.daemon.task(vmFolder, 'RegisterVM_Task', args);
  await web.refused(since);
});
