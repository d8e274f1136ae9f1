import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ManagedObjectReference } from '@hypostyle/vim';
import { references } from '../../inventory/references.ts';
import { newDisk, smallMachine, vmFolder } from '../../testing/host-fixture.ts';
import { TrackedMachine } from '../../testing/tracked-machine.ts';

/** Changed blocks of a disk that lies on another datastore than its machine. */

const second = 2001;
const secondId = 'scsi0u1';

async function withDiskApart(t: TestContext) {
  const web = await TrackedMachine.make(t);
  const path = join(web.computer.directory, 'other');
  const other = (await web.daemon.call(references.datastoreSystem, 'CreateLocalDatastore', {
    name: 'other',
    path,
  })) as ManagedObjectReference<'Datastore'>;
  const deviceChange = [newDisk(1000, '[other]')];
  await web.task('ReconfigVM_Task', { spec: { _typeName: 'VirtualMachineConfigSpec', deviceChange } });
  const [home] = web.daemon.host.registry.read(references.host, 'datastore') ?? [];
  assert.ok(home);
  return { web, path, other, home };
}

test('what changes on a disk of another datastore is told, through power cycles, snapshots and restarts', async (t) => {
  const { web, path } = await withDiskApart(t);
  await web.task('PowerOnVM_Task');
  const [begun, ofFirst] = [web.id(undefined, second), web.id()];
  assert.ok(begun && ofFirst && begun !== ofFirst);
  assert.ok(existsSync(join(path, 'web', 'web_1-ctk.qcow2')));
  web.write(1, 1, secondId);
  const full = await web.take('full');
  const since = web.id(full, second);
  assert.ok(since);
  web.write(3, 1, secondId);
  web.write(6);
  assert.deepEqual(await web.changed(begun, full, second), [1]);
  assert.deepEqual(await web.changed(since, undefined, second), [3]);
  await web.task('PowerOffVM_Task');
  assert.deepEqual(await web.changed(begun, undefined, second), [1, 3]);
  await web.daemon.host.close();
  web.daemon = await web.computer.start();
  await web.task('PowerOnVM_Task');
  web.write(4, 1, secondId);
  await web.task('RemoveAllSnapshots_Task');
  web.write(5, 1, secondId);
  assert.deepEqual(await web.changed(since, undefined, second), [3, 4, 5]);
  assert.deepEqual(await web.changed(ofFirst), [6]);
  await web.task('PowerOffVM_Task');
  const next = await web.take('next');
  assert.deepEqual(await web.changed(since, next, second), [3, 4, 5]);
  await web.task('PowerOnVM_Task');
  web.write(7, 1, secondId);
  assert.deepEqual(await web.changed(since, undefined, second), [3, 4, 5, 7]);
  // A revert is the end of every id, and an engine that was killed too.
  await web.task('RevertToCurrentSnapshot_Task');
  await web.refused(since, undefined, second);
  await web.task('PowerOnVM_Task');
  const again = web.id(undefined, second);
  assert.ok(again);
  web.write(2, 1, secondId);
  assert.deepEqual(await web.changed(again, undefined, second), [2]);
  await web.crash();
  await web.refused(again, undefined, second);
  await web.task('Destroy_Task');
  assert.ok(!existsSync(join(path, 'web')), 'nothing is left of it');
});

test('a disk of another datastore that was lent to another machine has no id of before', async (t) => {
  const { web } = await withDiskApart(t);
  await web.task('PowerOnVM_Task');
  const since = web.id(undefined, second);
  await web.task('PowerOffVM_Task');
  await web.daemon.task(vmFolder, 'CreateVM_Task', smallMachine('borrower'));
  const borrower = web.daemon.machine('borrower');
  assert.ok(borrower);
  const { fileOperation: _, ...attach } = newDisk(1000, '[other] web/web_1.vmdk');
  const change = { changeTrackingEnabled: true, deviceChange: [attach] };
  await web.daemon.task(borrower, 'ReconfigVM_Task', { spec: { _typeName: 'VirtualMachineConfigSpec', ...change } });
  await web.daemon.task(borrower, 'PowerOnVM_Task');
  web.computer.engines.write(join(web.computer.datastore, 'borrower', '.hypo', 'vm.lck'), secondId, 128, 7);
  await web.daemon.task(borrower, 'PowerOffVM_Task');
  await web.refused(since, undefined, second);
  await web.task('PowerOnVM_Task');
  await web.refused(since, undefined, second);
  const now = web.id(undefined, second);
  assert.ok(now);
  web.write(4, 1, secondId);
  assert.deepEqual(await web.changed(now, undefined, second), [4]);
  await web.task('PowerOffVM_Task');
});

for (const running of [false, true]) {
  test(`a disk that moves by itself ${running ? 'under a guest ' : ''}has no id of before, and the others have theirs`, async (t) => {
    const { web, other, home } = await withDiskApart(t);
    const move = (datastore: ManagedObjectReference) =>
      web.task('RelocateVM_Task', {
        spec: {
          _typeName: 'VirtualMachineRelocateSpec',
          disk: [{ _typeName: 'VirtualMachineRelocateSpecDiskLocator', diskId: second, datastore }],
        },
      });
    await web.task('PowerOnVM_Task');
    const [ofFirst, since] = [web.id(), web.id(undefined, second)];
    web.write(1);
    web.write(1, 1, secondId);
    if (!running) await web.task('PowerOffVM_Task');
    for (const place of [home, other]) {
      await move(place);
      await web.refused(since, undefined, second);
      assert.deepEqual(await web.changed(ofFirst), [1]);
    }
    if (!running) await web.task('PowerOnVM_Task');
    await web.refused(since, undefined, second);
    const full = await web.take('full');
    const begun = web.id(full, second);
    assert.ok(begun);
    web.write(5, 1, secondId);
    assert.deepEqual(await web.changed(begun, undefined, second), [5]);
    await web.refused(since, undefined, second);
    await web.refused(since, full, second);
    await web.task('PowerOffVM_Task');
    assert.deepEqual(await web.changed(begun, undefined, second), [5]);
    assert.deepEqual(await web.changed(ofFirst), [1]);
  });
}
