import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ManagedObjectReference, VimFault } from '@hypostyle/vim';
import { references } from '../inventory/references.ts';
import { Computer, type Daemon, rootPool, smallMachine, vmFolder } from '../testing/host-fixture.ts';

type Datastore = ManagedObjectReference<'Datastore'>;
type Machine = ManagedObjectReference<'VirtualMachine'>;
const named =
  (...types: readonly string[]) =>
  (error: unknown) =>
    types.includes((error as VimFault).type);

async function withDatastore(work: (daemon: Daemon, other: Datastore) => Promise<void>): Promise<void> {
  const computer = await Computer.make();
  try {
    const daemon = await computer.start();
    const path = join(computer.directory, 'other');
    const args = { name: 'other', path };
    await work(daemon, (await daemon.call(references.datastoreSystem, 'CreateLocalDatastore', args)) as Datastore);
    assert.deepEqual(computer.defects, []);
    await daemon.host.close();
  } finally {
    await computer.remove();
  }
}

/** Every machine is on a datastore that is there. */
function check(daemon: Daemon): void {
  for (const machine of daemon.machines()) {
    const used = daemon.read(machine, 'storage')?.perDatastoreUsage ?? [];
    assert.equal(used.length, 1, 'a machine is on a datastore');
    for (const { datastore } of used) assert.ok(daemon.host.registry.get(datastore), `${datastore.value} is there`);
  }
}

test('a datastore on which a machine is just being made is not removed, and nothing is made on one that goes', async () => {
  await withDatastore(async (daemon, other) => {
    await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('first', '[other]'));
    const first = daemon.machine('first') as Machine;
    await assert.rejects(daemon.call(other, 'DestroyDatastore'), named('ResourceInUse'));
    await daemon.call(first, 'UnregisterVM');
    // At any moment of a making, the latest first.
    for (let commits = 6; commits >= 0; commits -= 1) {
      if (daemon.host.registry.get(other) === undefined) break;
      const spec = smallMachine(`machine ${commits}`, '[other]');
      const made = daemon.task(vmFolder, 'CreateVM_Task', spec).catch((error: unknown) => error);
      for (let seen = 0; seen < commits; seen += 1) await Promise.race([nextCommit(daemon), made]);
      const removed = await daemon.call(other, 'DestroyDatastore').catch((error: unknown) => error);
      const created = await made;
      if (removed === undefined) assert.ok(named('InvalidDatastore', 'InvalidDatastorePath')(created), String(created));
      else assert.ok(named('ResourceInUse')(removed), String(removed));
      check(daemon);
      const machine = daemon.machine(`machine ${commits}`);
      if (machine !== undefined) await daemon.task(machine, 'Destroy_Task');
    }
  });
});

test('a machine is registered or its datastore removed, never both', async () => {
  await withDatastore(async (daemon, other) => {
    await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('first', '[other]'));
    await daemon.call(daemon.machine('first') as Machine, 'UnregisterVM');
    const args = { path: '[other] first/first.vmx', asTemplate: false, pool: rootPool };
    const registering = (await daemon.call(vmFolder, 'RegisterVM_Task', args)) as ManagedObjectReference<'Task'>;
    const removing = daemon.call(other, 'DestroyDatastore');
    const [removed, registered] = await Promise.allSettled([removing, daemon.outcome(registering)]);
    assert.equal([removed, registered].filter(({ status }) => status === 'fulfilled').length, 1);
    check(daemon);
  });
});

test('of two removals and a rename at once, one removal is done', async () => {
  await withDatastore(async (daemon, other) => {
    const [first, second, rename] = await Promise.allSettled([
      daemon.call(other, 'DestroyDatastore'),
      daemon.call(other, 'DestroyDatastore'),
      daemon.call(other, 'RenameDatastore', { newName: 'another' }),
    ]);
    assert.equal(first.status, 'fulfilled');
    for (const refused of [second, rename])
      assert.ok(refused.status === 'rejected' && named('ManagedObjectNotFound')(refused.reason));
    assert.equal(daemon.host.registry.get(other), undefined);
    assert.equal((await daemon.store.disk.list('datastore')).length, 1, 'it does not come back with the next start');
  });
});

function nextCommit(daemon: Daemon): Promise<void> {
  return new Promise((resolve) => {
    const stop = daemon.host.registry.onCommit(() => {
      stop();
      resolve();
    });
  });
}
