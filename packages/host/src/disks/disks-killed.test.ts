import assert from 'node:assert/strict';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ManagedObjectReference } from '@hypostyle/vim';
import { CenterCalls } from '../testing/center-calls.ts';
import { visibleFiles } from '../testing/disk-reading.ts';
import { Computer } from '../testing/host-fixture.ts';
import { deaths, killedAt, killLimit } from '../testing/killed.ts';
import { gateFiles } from '../testing/mortal-files.ts';

const disks: ManagedObjectReference<'VirtualDiskManager'> = { type: 'VirtualDiskManager', value: 'ha-vdiskmanager' };

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

for (const [what, { method, args, before, after, capacityKb = 1024 }] of Object.entries(works)) {
  test(`killed at any step of ${what}: it is whole or as it was, and no file for nothing`, killLimit, async (t) => {
    t.after(gateFiles());
    const computer = await Computer.make();
    t.after(() => computer.remove());
    let daemon = await computer.start();
    const folder = join(computer.datastore, 'd');
    const known = new Set<string>();
    let steps = 0;
    for (const dies of deaths(11)) {
      await rm(folder, { recursive: true, force: true });
      await mkdir(folder);
      if (before) await daemon.task(disks, 'CreateVirtualDisk_Task', { name, spec });
      for (const { key } of daemon.tasks(method)) known.add(key);
      const center = await CenterCalls.of(daemon);
      const end = await killedAt({ computer, daemon, dies }, () => center.task(disks, method, args));
      daemon = end.daemon;
      const where = `killed at step ${dies}`;
      const last = daemon
        .tasks(method)
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
      if (end.whole) break;
    }
    assert.ok(steps > 1, 'it was killed at some step');
    await daemon.host.close();
  });
}
