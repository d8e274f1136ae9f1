import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { repairDisk } from '../../check/repair-disk.ts';
import { createDisk } from '../../create/create-disk.ts';
import { openDisk } from '../../disk/open-disk.ts';
import { memoryFolder, patterned } from '../../testing.ts';
import { type Medium, PowerRecording } from '../../testing-power.ts';
import { thinDisk } from '../allocation/change-allocation.ts';
import { commitDisk } from '../chain/commit-disk.ts';
import { createChild } from '../chain/create-child.ts';
import { resizeDisk } from '../size/resize-disk.ts';
import { finishOperation } from './finish-operation.ts';

const grain = 65536;
const virtualBytes = 6 * grain;

/** base ← child, and what each reads. */
async function prepare(folder: string) {
  await mkdir(folder);
  const base = join(folder, 'base.vmdk');
  const child = join(folder, 'child.vmdk');
  await createDisk({ path: base, kind: 'monolithicSparse', virtualBytes });
  const content = patterned(virtualBytes, 30_000, [1, 2, 0]);
  content.fill(0, 4 * grain);
  await write(base, content);
  await createChild({ path: child, parent: base });
  const top = Buffer.from(content);
  top.fill(9, grain, 2 * grain + 512);
  const disk = await openDisk(child, { writable: true });
  await disk.write(grain, top.subarray(grain, 2 * grain + 512));
  await disk.close();
  return { content, top };
}

async function write(path: string, content: Buffer): Promise<void> {
  const disk = await openDisk(path, { writable: true });
  await disk.write(0, content);
  await disk.close();
}

async function read(path: string): Promise<Buffer> {
  const disk = await openDisk(path);
  try {
    return await disk.read(0, disk.virtualBytes);
  } finally {
    await disk.close();
  }
}

async function mediumOf(folder: string): Promise<Medium> {
  const medium = new Map<string, Buffer>();
  for (const name of await readdir(folder)) medium.set(name, await readFile(join(folder, name)));
  return medium;
}

const operations = {
  grow: { path: 'base.vmdk', work: (path: string) => resizeDisk({ path, virtualBytes: virtualBytes + 3 * grain }) },
  shrink: { path: 'base.vmdk', work: (path: string) => resizeDisk({ path, virtualBytes: 4 * grain }) },
  thin: { path: 'base.vmdk', work: (path: string) => thinDisk({ path }) },
  commit: { path: 'child.vmdk', work: (path: string) => commitDisk({ path }) },
} as const;

for (const [name, { path, work }] of Object.entries(operations)) {
  test(`after a loss of power in the middle of a ${name} the disk is old or new, and the same call finishes it`, async (t) => {
    const folder = await memoryFolder(t);
    const home = join(folder, 'home');
    const { content, top } = await prepare(home);
    const expected = name === 'commit' ? top : content;
    // A disk that has children keeps its size.
    if (path === 'base.vmdk') await rm(join(home, 'child.vmdk'));
    const before = await mediumOf(home);
    const recording = await PowerRecording.begin(home);
    try {
      await work(join(home, path));
    } finally {
      recording.end();
    }
    // All of it was recorded; but that room was given back is not a write.
    if (name !== 'thin')
      assert.deepEqual(
        recording.mediumAfter(before, recording.changes.length, () => true),
        await mediumOf(home),
      );
    let round = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.nat(recording.changes.length),
        fc.array(fc.boolean(), { minLength: 30, maxLength: 90 }),
        async (end, coins) => {
          round += 1;
          const place = join(folder, `${round}`);
          await mkdir(place);
          let turn = 0;
          const medium = recording.mediumAfter(before, end, () => coins[turn++ % coins.length] ?? false);
          for (const [file, bytes] of medium) await writeFile(join(place, file), bytes);
          const disks = [...medium.keys()].filter((file) => /^(base|child)\.vmdk$/.test(file));
          for (const file of disks) await repairDisk(join(place, file)).catch(() => {});
          await finishOperation(join(place, path)).catch(() => {});
          for (const file of disks) await repairDisk(join(place, file)).catch(() => {});
          const last = (await readdir(place)).includes('child.vmdk') ? 'child.vmdk' : 'base.vmdk';
          const found = await read(join(place, last));
          const common = Math.min(found.length, expected.length);
          assert.ok(
            found.subarray(0, common).equals(expected.subarray(0, common)),
            `cut at ${end} of ${recording.changes.length}: ${last} reads something else`,
          );
          assert.ok(found.subarray(common).every((byte) => byte === 0));
          assert.ok(expected.subarray(common).every((byte) => byte === 0));
        },
      ),
      { numRuns: Number(process.env.HYPOSTYLE_RUNS ?? 25) },
    );
  });
}
