import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ManagedObjectReference } from '@hypostyle/vim';
import { readFakeDisk, visibleFiles } from '../../testing/disk-reading.ts';
import { Computer, type Daemon, smallMachine, vmFolder } from '../../testing/host-fixture.ts';
import { deaths, killedAt, killLimit } from '../../testing/killed.ts';
import { gateFiles } from '../../testing/mortal-files.ts';

type Machine = ManagedObjectReference<'VirtualMachine'>;
type Lease = ManagedObjectReference<'HttpNfcLease'>;

/** The whole of a client's work: every byte of every disk, and the end of the lease. */
async function exported(daemon: Daemon, subject: ManagedObjectReference, method: string): Promise<void> {
  const lease = (await daemon.call(subject, method)) as Lease;
  while (!daemon.store.dead && daemon.host.registry.read(lease, 'state') === 'initializing')
    await new Promise(setImmediate);
  // A client of a process that died hears nothing more.
  if (daemon.store.dead) return;
  for (const { url } of daemon.host.registry.read(lease, 'info')?.deviceUrl ?? []) {
    const [, id = '', file = ''] = /nfc\/([0-9a-f]+)\/(.+)$/.exec(url) ?? [];
    const given = daemon.host.leases.target(id, file);
    assert.ok(given);
    let bytes = 0;
    await daemon.within(async () => {
      for await (const part of given.provide(file, new AbortController().signal)) bytes += part.length;
    });
    assert.ok(bytes > 0);
    await daemon.call(lease, 'HttpNfcLeaseProgress', { percent: 50 });
  }
  await daemon.call(lease, 'HttpNfcLeaseComplete');
  await daemon.idle();
}

for (const method of ['ExportVm', 'ExportSnapshot']) {
  test(
    `killed at any step of ${method}: the machine is free, its disks are the same, and the task says so`,
    killLimit,
    async (t) => {
      t.after(gateFiles());
      const computer = await Computer.make();
      t.after(() => computer.remove());
      let daemon = await computer.start();
      const web = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as Machine;
      const folder = join(computer.datastore, 'web');
      await daemon.task(web, 'PowerOnVM_Task');
      computer.engines.write(join(folder, '.hypo', 'vm.lck'), 'scsi0u0', 0, 1);
      const ofSnapshot = method === 'ExportSnapshot';
      const taken = { name: 'base', memory: false, quiesce: false };
      const subject = ofSnapshot ? ((await daemon.task(web, 'CreateSnapshot_Task', taken)) as Machine) : web;
      if (!ofSnapshot) await daemon.task(web, 'PowerOffVM_Task');
      const files = await visibleFiles(folder);
      for (const dies of deaths(3)) {
        const known = new Set(daemon.tasks().map(({ key }) => key));
        const end = await killedAt({ computer, daemon, dies }, (alive) => exported(alive, subject, method));
        daemon = end.daemon;
        const where = `killed at ${dies}`;
        const tasks = daemon.tasks().filter(({ key }) => !known.has(key));
        assert.ok(tasks.length <= 1, where);
        for (const { state, error } of tasks)
          if (state === 'error') assert.match(error?.localizedMessage ?? '', /restarted/, where);
        assert.deepEqual(await visibleFiles(folder), files, where);
        assert.deepEqual(await readFakeDisk(join(folder, 'web.vmdk'), 2), [1, 0], where);
        const sockets = await readdir(join(computer.directory, 'run')).catch(() => []);
        assert.deepEqual(
          sockets.filter((name) => name.endsWith('.sock')),
          [],
          where,
        );
        assert.deepEqual(computer.defects, [], where);
        // It is free for whatever comes next.
        await daemon.task(web, ofSnapshot ? 'SuspendVM_Task' : 'PowerOnVM_Task');
        await daemon.task(web, ofSnapshot ? 'PowerOnVM_Task' : 'PowerOffVM_Task');
        if (end.whole) break;
      }
      if (ofSnapshot) await daemon.task(web, 'RemoveAllSnapshots_Task');
      await daemon.task(web, 'PowerOffVM_Task').catch(() => {});
      await daemon.task(web, 'Destroy_Task');
      assert.deepEqual(await visibleFiles(computer.datastore), []);
    },
  );
}
