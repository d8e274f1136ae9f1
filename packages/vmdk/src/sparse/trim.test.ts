import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createDisk } from '../create/create-disk.ts';
import type { Disk } from '../disk/disk.ts';
import { openDisk } from '../disk/open-disk.ts';
import { punchHoles } from '../flat/punch-holes.ts';
import { createChild } from '../operations/chain/create-child.ts';
import { collect, patterned, temporaryFolder } from '../testing.ts';

const grainBytes = 65536;
const virtualBytes = 64 * grainBytes;

async function usedBytes(path: string): Promise<number> {
  return (await stat(path)).blocks * 512;
}

async function filled(t: TestContext, zeroedGrains = false): Promise<{ folder: string; path: string; disk: Disk }> {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'disk.vmdk');
  await createDisk({ path, kind: 'monolithicSparse', virtualBytes, zeroedGrains });
  const disk = await openDisk(path, { writable: true });
  await disk.write(0, patterned(32 * grainBytes, grainBytes, [2]));
  return { folder, path, disk };
}

test('trimmed grains give their room back when they are flushed, and read as zeros', async (t) => {
  const { path, disk } = await filled(t);
  await disk.flush();
  const before = await usedBytes(path);
  await disk.trim?.(grainBytes - 512, 20 * grainBytes + 1024);
  await disk.flush();
  assert.ok((await usedBytes(path)) <= before - 19 * grainBytes, `${await usedBytes(path)} of ${before} bytes`);
  assert.ok((await disk.read(grainBytes - 512, 20 * grainBytes + 1024)).every((byte) => byte === 0));
  assert.deepEqual(
    (await collect(disk.map())).map(({ length, state }) => [length / grainBytes, state]),
    [
      [1, 'data'],
      [20, 'unallocated'],
      [11, 'data'],
      [32, 'unallocated'],
    ],
  );
  await assert.rejects(disk.trim?.(virtualBytes, 1) as Promise<void>, { code: 'out-of-range' });
  await disk.close();
});

for (const zeroedGrains of [false, true]) {
  test(`zeros over a parent take no room of their own${zeroedGrains ? ': they are marked' : ' where it is zero'}`, async (t) => {
    const { folder, path: parent, disk: base } = await filled(t);
    await base.close();
    const path = join(folder, 'child.vmdk');
    await createChild({ path, parent, zeroedGrains });
    const disk = await openDisk(path, { writable: true });
    await disk.flush();
    /** Tables may take a little room, grains none. */
    const limit = (await usedBytes(path)) + grainBytes / 2;
    await disk.write(40 * grainBytes + 100, Buffer.alloc(5 * grainBytes));
    await disk.trim?.(50 * grainBytes, 5 * grainBytes);
    await disk.flush();
    assert.ok((await usedBytes(path)) < limit, 'zero below');
    await disk.write(0, Buffer.alloc(4 * grainBytes));
    await disk.trim?.(4 * grainBytes, 4 * grainBytes);
    await disk.flush();
    if (zeroedGrains) assert.ok((await usedBytes(path)) < limit, 'marked');
    assert.ok((await disk.read(0, 8 * grainBytes)).every((byte) => byte === 0));
    const [first] = await collect(disk.map());
    assert.deepEqual(first, {
      offset: 0,
      length: zeroedGrains ? 8 * grainBytes : 32 * grainBytes,
      state: zeroedGrains ? 'zero' : 'data',
    });
    // Written and trimmed again, a child shows no byte of its parent.
    await disk.write(0, Buffer.alloc(2 * grainBytes, 7));
    await disk.trim?.(0, 2 * grainBytes);
    await disk.close();
    const reopened = await openDisk(path);
    assert.ok((await reopened.read(0, 8 * grainBytes)).every((byte) => byte === 0));
    await reopened.close();
  });
}

test('a flat disk gets holes, and zeros where the stretch is small', async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'disk.vmdk');
  await createDisk({ path, kind: 'vmfs', virtualBytes, allocation: 'eager' });
  const disk = await openDisk(path, { writable: true });
  const content = patterned(virtualBytes, grainBytes, [2]);
  await disk.write(0, content);
  await disk.flush();
  const flat = join(folder, 'disk-flat.vmdk');
  const before = await usedBytes(flat);
  for (const [offset, length] of [
    [10_000, 20 * grainBytes],
    [50 * grainBytes, 700],
  ] as const) {
    await disk.trim?.(offset, length);
    content.fill(0, offset, offset + length);
  }
  assert.ok(content.equals(await disk.read(0, virtualBytes)));
  if (await punchHoles(flat, [{ offset: 0, length: 0 + 512 }])) {
    assert.ok((await usedBytes(flat)) <= before - 19 * grainBytes);
  }
  await disk.close();
});
