import assert from 'node:assert/strict';
import { cp, mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { createDisk } from '../../create/create-disk.ts';
import { readDescriptor } from '../../descriptor/descriptor-file.ts';
import { openDisk } from '../../disk/open-disk.ts';
import { memoryFolder, patterned } from '../../testing.ts';
import { gateFiles, mortal } from '../../testing-mortal.ts';
import { createChild } from '../chain/create-child.ts';
import { resizeDisk } from '../size/resize-disk.ts';
import { thickenDisk, thinDisk } from './change-allocation.ts';

const grainBytes = 65536;

async function used(path: string): Promise<number> {
  return (await stat(path)).blocks * 512;
}

async function contentOf(path: string): Promise<Buffer> {
  const disk = await openDisk(path);
  try {
    return await disk.read(0, disk.virtualBytes);
  } finally {
    await disk.close();
  }
}

test('a flat disk goes from thick to thin, reserved and filled, its bytes and CID the same', async (t) => {
  const folder = await memoryFolder(t);
  const [path, flat] = [join(folder, 'disk.vmdk'), join(folder, 'disk-flat.vmdk')];
  const content = patterned(4 * 2 ** 20 + 512, grainBytes, [2, 0, 0, 0]);
  await createDisk({ path, kind: 'vmfs', virtualBytes: content.length, allocation: 'eager' });
  const disk = await openDisk(path, { writable: true });
  await disk.write(0, content);
  await disk.close();
  const { contentId } = await readDescriptor(path);
  const progress: number[] = [];
  await thinDisk({ path, onProgress: ({ doneBytes }) => progress.push(doneBytes) });
  assert.deepEqual(progress, [content.length]);
  assert.ok((await used(flat)) < content.length / 2, 'thin');
  assert.equal((await readDescriptor(path)).ddb.get('thinProvisioned'), '1');
  for (const allocation of ['thick', 'eager'] as const) {
    await thinDisk({ path });
    await thickenDisk({ path, allocation });
    assert.ok((await used(flat)) >= content.length, allocation);
    assert.equal((await readDescriptor(path)).ddb.has('thinProvisioned'), false);
    assert.ok(content.equals(await contentOf(path)));
  }
  assert.equal((await readDescriptor(path)).contentId, contentId);
  await assert.rejects(thinDisk({ path, signal: AbortSignal.abort(new Error('enough')) }), /enough/);
});

test('a sparse disk loses its grains of zeros, a child those that hide nothing', async (t) => {
  const folder = await memoryFolder(t);
  const [base, child] = [join(folder, 'base.vmdk'), join(folder, 'child.vmdk')];
  await createDisk({ path: base, kind: 'monolithicSparse', virtualBytes: 32 * grainBytes });
  const disk = await openDisk(base, { writable: true });
  await disk.write(0, Buffer.alloc(32 * grainBytes, 1));
  await disk.write(8 * grainBytes, Buffer.alloc(16 * grainBytes));
  await disk.close();
  const before = await used(base);
  await thinDisk({ path: base });
  assert.ok((await used(base)) <= before - 15 * grainBytes, `${await used(base)} of ${before}`);
  await createChild({ path: child, parent: base });
  const top = await openDisk(child, { writable: true });
  await top.write(0, Buffer.alloc(20 * grainBytes, 3));
  await top.write(0, Buffer.alloc(20 * grainBytes));
  await top.close();
  const full = await used(child);
  await thinDisk({ path: child });
  const saved = full - (await used(child));
  assert.ok(saved >= 11 * grainBytes && saved <= 13 * grainBytes, `${saved} saved: the first 8 grains hide ones`);
  const expected = Buffer.alloc(32 * grainBytes);
  expected.fill(1, 24 * grainBytes);
  assert.ok(expected.equals(await contentOf(child)));
  await assert.rejects(thickenDisk({ path: child }), { code: 'unsupported-extent' });
});

test('killed at any step, thin or thick, every byte is there', async (t) => {
  const root = await memoryFolder(t);
  const source = join(root, 'before');
  await mkdir(source);
  const content = patterned(6 * grainBytes, grainBytes / 2, [2, 0, 0, 0, 1]);
  for (const kind of ['vmfs', 'monolithicSparse'] as const) {
    const path = join(source, `${kind}.vmdk`);
    await createDisk({ path, kind, virtualBytes: content.length });
    const disk = await openDisk(path, { writable: true });
    await disk.write(0, Buffer.alloc(content.length, 9));
    await disk.write(0, content);
    await disk.close();
  }
  t.after(await gateFiles());
  for (const [kind, work] of [
    ['vmfs', thinDisk],
    ['vmfs', (options: { path: string }) => thickenDisk({ ...options, allocation: 'eager' })],
    ['monolithicSparse', thinDisk],
  ] as const) {
    for (let [steps, alive] = [0, false]; !alive; steps += 1) {
      const folder = join(root, `${kind}-${steps}`);
      const path = join(folder, `${kind}.vmdk`);
      await cp(source, folder, { recursive: true });
      alive = await mortal(steps, () => work({ path }));
      assert.ok(content.equals(await contentOf(path)), `${kind} at step ${steps}`);
      await rm(folder, { recursive: true });
    }
  }
});

test('a split disk grows over 2047 MiB by an extent and gives it up again', async (t) => {
  const seam = 4192256 * 512;
  const [before, after] = [seam - 65536, seam + 65536];
  for (const kind of ['twoGbMaxExtentSparse', 'twoGbMaxExtentFlat'] as const) {
    const folder = await memoryFolder(t);
    const path = join(folder, 'disk.vmdk');
    await createDisk({ path, kind, virtualBytes: before });
    const names = (await readdir(folder)).length;
    await resizeDisk({ path, virtualBytes: after });
    assert.equal((await readdir(folder)).length, names + 1);
    const disk = await openDisk(path, { writable: true });
    assert.equal(disk.virtualBytes, after);
    await disk.write(seam - 5, Buffer.from('over seam'));
    await disk.write(after - 3, Buffer.from('end'));
    if (kind === 'twoGbMaxExtentSparse') {
      await assert.rejects(resizeDisk({ path, virtualBytes: before }), { code: 'unclean' });
    }
    await disk.close();
    await assert.rejects(resizeDisk({ path, virtualBytes: before }), {
      code: 'not-empty',
      message: new RegExp(`byte ${seam - 5}\\)`),
    });
    const again = await openDisk(path, { writable: true });
    assert.equal((await again.read(seam - 5, 9)).toString(), 'over seam');
    await again.trim?.(seam - 5, 9);
    await again.write(after - 3, Buffer.alloc(3));
    await again.close();
    await resizeDisk({ path, virtualBytes: before });
    assert.equal((await readdir(folder)).length, names);
  }
});
