import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ManagedObjectReference } from '@hypostyle/vim';
import { references } from '../../inventory/references.ts';
import { newDisk, smallMachine, vmFolder } from '../../testing/host-fixture.ts';
import { TrackedMachine } from '../../testing/tracked-machine.ts';

/** Whatever becomes of a disk, an id tells at least what was written since, or is a fault. */

type Snapshot = ManagedObjectReference<'VirtualMachineSnapshot'>;

const second = 2001;
const secondId = 'scsi0u1';

const relocate = (web: TrackedMachine, more: object) =>
  web.task('RelocateVM_Task', { spec: { _typeName: 'VirtualMachineRelocateSpec', ...more } });

const reconfigure = (web: TrackedMachine, ...deviceChange: object[]) =>
  web.task('ReconfigVM_Task', { spec: { _typeName: 'VirtualMachineConfigSpec', deviceChange } });

const removal = (key: number) => ({
  _typeName: 'VirtualDeviceConfigSpec',
  operation: 'remove',
  device: { _typeName: 'VirtualDisk', key, capacityInKB: 0n },
});

/** Attaches a disk that is there. */
function attached(fileName: string) {
  const { fileOperation: _, ...change } = newDisk(1000, fileName);
  return { ...change, device: { ...(change.device as object), capacityInKB: 0n } };
}

/** A delta that came along may tell of what it had before. */
async function expectAtLeast(web: TrackedMachine, id: string, blocks: readonly number[], snapshot?: Snapshot) {
  const told = new Set(await web.changed(id, snapshot));
  assert.ok(new Set(blocks).isSubsetOf(told), `${[...told]} instead of ${blocks}`);
}

async function fastDatastore(web: TrackedMachine) {
  const path = join(web.computer.directory, 'fast');
  const args = { name: 'fast', path };
  const datastore = await web.daemon.call(references.datastoreSystem, 'CreateLocalDatastore', args);
  return { datastore: datastore as ManagedObjectReference<'Datastore'>, path };
}

for (const snapshots of [false, true]) {
  test(`ids of a machine that moved while it was off are faults, ${snapshots ? 'with' : 'without'} snapshots, and new ones tell again`, async (t) => {
    const web = await TrackedMachine.make(t);
    const { datastore, path } = await fastDatastore(web);
    await web.task('PowerOnVM_Task');
    const since = web.id();
    const full = snapshots ? await web.take('full') : undefined;
    const ofSnapshot = full && web.id(full);
    web.write(1);
    await web.task('PowerOffVM_Task');
    await relocate(web, { datastore });
    web.movedTo(path);
    const expectOver = async () => {
      await web.refused(since);
      if (full !== undefined) {
        await web.refused(ofSnapshot);
        await web.refused(since, full);
      }
    };
    await expectOver();
    await web.task('PowerOnVM_Task');
    await expectOver();
    const now = web.id();
    assert.ok(now !== undefined && now !== since);
    web.write(3);
    const next = await web.take('next');
    web.write(4);
    await expectAtLeast(web, now, [3, 4]);
    await expectAtLeast(web, now, [3], next);
    await expectOver();
    await web.daemon.host.close();
    web.daemon = await web.computer.start();
    await expectAtLeast(web, now, [3, 4]);
    // Back again: neither the ids of here nor those of there.
    await web.task('PowerOffVM_Task');
    const all = web.daemon.host.registry.read(references.host, 'datastore') ?? [];
    await relocate(web, { datastore: all.find(({ value }) => value !== datastore.value) });
    web.movedTo(web.computer.datastore);
    for (const id of [since, ofSnapshot, now]) if (id !== undefined) await web.refused(id);
    await web.task('PowerOnVM_Task');
    for (const id of [since, ofSnapshot, now]) if (id !== undefined) await web.refused(id);
    await web.task('PowerOffVM_Task');
  });
}

test('a disk that became thick or thin where it is tells what was written, or that it does not know', async (t) => {
  const web = await TrackedMachine.make(t);
  await web.task('PowerOnVM_Task');
  const since = web.id();
  web.write(2);
  await web.task('PowerOffVM_Task');
  for (const transform of ['flat', 'sparse']) {
    await relocate(web, { transform });
    await web.task('PowerOnVM_Task');
    web.write(5);
    const told = await web.changed(since).catch((error: { readonly type?: string }) => {
      assert.equal(error.type, 'FileFault');
      return [2, 5];
    });
    assert.ok(told.includes(2) && told.includes(5), `${transform}: ${told}`);
    await web.task('PowerOffVM_Task');
  }
});

test('disks that come to a machine that runs have ids of their own, and take none from the others', async (t) => {
  const web = await TrackedMachine.make(t);
  await web.task('PowerOnVM_Task');
  const first = web.id();
  web.write(1);
  await reconfigure(web, newDisk(1000));
  web.write(2, 1, secondId);
  // What was written to it before its changes were kept is in no id.
  assert.equal(web.id(undefined, second), undefined);
  assert.deepEqual(await web.changed(first), [1]);
  const full = await web.take('full');
  const begun = web.id(full, second);
  assert.ok(begun);
  web.write(3, 1, secondId);
  web.write(4);
  assert.deepEqual(await web.changed(begun, undefined, second), [3]);
  assert.deepEqual(await web.changed(first), [1, 4]);
  await web.refused(first, undefined, second);
  await web.refused(begun);
  await web.task('PowerOffVM_Task');
  await web.task('PowerOnVM_Task');
  web.write(5, 1, secondId);
  assert.deepEqual(await web.changed(begun, undefined, second), [3, 5]);
  assert.deepEqual(await web.changed(first), [1, 4]);
  await web.task('PowerOffVM_Task');
});

for (const running of [true, false]) {
  const state = running ? 'running' : 'stopped';
  test(`a disk that was taken from a ${state} machine, written by another and put back has no id of before`, async (t) => {
    const web = await TrackedMachine.make(t);
    await reconfigure(web, newDisk(1000));
    await web.task('PowerOnVM_Task');
    const [first, since] = [web.id(), web.id(undefined, second)];
    assert.ok(since);
    web.write(1, 1, secondId);
    web.write(2);
    if (!running) await web.task('PowerOffVM_Task');
    await reconfigure(web, removal(second));
    assert.deepEqual(await web.changed(first), [2]);
    // Another machine writes it meanwhile, and keeps no changes of it.
    await web.daemon.task(vmFolder, 'CreateVM_Task', smallMachine('other'));
    const other = web.daemon.machine('other');
    assert.ok(other);
    const file = '[datastore1] web/web_1.vmdk';
    const spec = { _typeName: 'VirtualMachineConfigSpec', deviceChange: [attached(file)] };
    await web.daemon.task(other, 'ReconfigVM_Task', { spec });
    await web.daemon.task(other, 'PowerOnVM_Task');
    web.computer.engines.write(join(web.computer.datastore, 'other', '.hypo', 'vm.lck'), secondId, 6, 7);
    await web.daemon.task(other, 'PowerOffVM_Task');
    await web.daemon.task(other, 'ReconfigVM_Task', {
      spec: { _typeName: 'VirtualMachineConfigSpec', deviceChange: [removal(second)] },
    });
    await reconfigure(web, attached(file));
    await web.refused(since, undefined, second);
    if (!running) await web.task('PowerOnVM_Task');
    web.write(3, 1, secondId);
    await web.refused(since, undefined, second);
    assert.deepEqual(await web.changed(first), [2]);
    await web.task('PowerOffVM_Task');
    await web.task('PowerOnVM_Task');
    await web.refused(since, undefined, second);
    assert.deepEqual(await web.changed(first), [2]);
    await web.task('PowerOffVM_Task');
  });
}
