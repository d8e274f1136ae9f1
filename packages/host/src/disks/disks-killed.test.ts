import assert from 'node:assert/strict';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ManagedObjectReference, TaskInfo } from '@hypostyle/vim';
import { CenterCalls } from '../testing/center-calls.ts';
import { visibleFiles } from '../testing/disk-reading.ts';
import { filesAtRest } from '../testing/files-at-rest.ts';
import { Computer, type Daemon } from '../testing/host-fixture.ts';
import { gateFiles } from '../testing/mortal-files.ts';

const disks: ManagedObjectReference<'VirtualDiskManager'> = { type: 'VirtualDiskManager', value: 'ha-vdiskmanager' };
/** Of so many steps one is the last of the process; every one where a long run is asked for. */
const stride = process.env.HYPOSTYLE_RUNS === undefined ? 11 : 1;

const spec = { _typeName: 'FileBackedVirtualDiskSpec', diskType: 'thin', adapterType: 'lsiLogic', capacityKb: 1024n };
const destSpec = { _typeName: 'VirtualDiskSpec', diskType: 'thin', adapterType: 'lsiLogic' };
const name = '[datastore1] d/a.vmdk';
const names = { sourceName: name, destName: '[datastore1] d/b.vmdk' };
const both = ['a-flat.vmdk', 'a.vmdk', 'b-flat.vmdk', 'b.vmdk'];
const one = both.slice(0, 2);
const other = both.slice(2);

interface Work {
  readonly method: string;
  readonly args: object;
  /** A disk is there before. */
  readonly before: boolean;
  /** Files once it is done. */
  readonly after: readonly string[];
  /** Capacity in KiB of what is there in the end. */
  readonly capacityKb?: number;
}

const works: Readonly<Record<string, Work>> = {
  'a disk that is made': { method: 'CreateVirtualDisk_Task', args: { name, spec }, before: false, after: one },
  'a disk that is copied': {
    method: 'CopyVirtualDisk_Task',
    args: { ...names, destSpec, force: false },
    before: true,
    after: both,
  },
  'a disk that is moved': {
    method: 'MoveVirtualDisk_Task',
    args: { ...names, force: false },
    before: true,
    after: other,
  },
  'a disk that is deleted': { method: 'DeleteVirtualDisk_Task', args: { name }, before: true, after: [] },
  'a disk that grows': {
    method: 'ExtendVirtualDisk_Task',
    args: { name, newCapacityKb: 2048n, eagerZero: false },
    before: true,
    after: one,
    capacityKb: 2048,
  },
};

const tasksOf = (daemon: Daemon, method: string) =>
  (daemon.host.registry.read({ type: 'TaskManager', value: 'ha-taskmgr' }, 'recentTask') ?? [])
    .map((ref) => daemon.host.registry.read(ref, 'info') as TaskInfo)
    .filter((task) => task.name === method);

for (const [what, { method, args, before, after, capacityKb = 1024 }] of Object.entries(works)) {
  test(`killed at any step of ${what}: it is whole or as it was, and no file for nothing`, {
    timeout: 120_000,
  }, async (t) => {
    t.after(gateFiles());
    const computer = await Computer.make();
    t.after(() => computer.remove());
    let daemon = await computer.start();
    const folder = join(computer.datastore, 'd');
    const known = new Set<string>();
    let steps = 0;
    for (let dies = Math.floor(Math.random() * stride); ; dies += stride) {
      await rm(folder, { recursive: true, force: true });
      await mkdir(folder);
      if (before) await daemon.task(disks, 'CreateVirtualDisk_Task', { name, spec });
      for (const { key } of tasksOf(daemon, method)) known.add(key);
      const center = await CenterCalls.of(daemon);
      daemon.store.stepsLeft = dies;
      const done = center.begin(disks, method, args as Record<string, unknown>).then((task) => center.finished(task));
      const info = (await daemon.store.outlives(done)) ? await done : undefined;
      if (info === undefined) {
        // What it was doing to files comes to an end; nobody hears of it.
        await filesAtRest();
        daemon.bury();
        daemon = await computer.start();
        await daemon.idle();
      }
      const where = `killed at step ${dies}`;
      const last = tasksOf(daemon, method)
        .filter(({ key }) => !known.has(key))
        .at(-1);
      // Only where nobody ever heard of the task nothing was done.
      if (last === undefined) assert.deepEqual(await visibleFiles(folder), before ? one : [], where);
      else {
        assert.equal(last.state, 'success', `${where}: ${last.error?.localizedMessage}`);
        assert.deepEqual(await visibleFiles(folder), after, where);
        for (const descriptor of after.filter((file) => /^[ab]\.vmdk$/.test(file)))
          assert.match(
            await readFile(join(folder, descriptor), 'utf8'),
            new RegExp(`RW ${capacityKb * 2} VMFS`),
            where,
          );
      }
      assert.deepEqual(computer.defects, [], where);
      steps += 1;
      if (info !== undefined) break;
    }
    assert.ok(steps > 1, 'it was killed at some step');
    await daemon.host.close();
  });
}
