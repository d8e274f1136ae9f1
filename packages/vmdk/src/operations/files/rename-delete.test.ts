import assert from 'node:assert/strict';
import { cp, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkDisk } from '../../check/check-disk.ts';
import { creatableKinds, createDisk } from '../../create/create-disk.ts';
import { readDescriptor } from '../../descriptor/descriptor-file.ts';
import { openDisk } from '../../disk/open-disk.ts';
import { patterned, temporaryFolder } from '../../testing.ts';
import { gateFiles, mortal } from '../../testing-mortal.ts';
import { createChild } from '../chain/create-child.ts';
import { deleteDisk } from './delete-disk.ts';
import { renameDisk } from './rename-disk.ts';

const virtualBytes = 2100 * 2 ** 20;
const mark = patterned(100_000, 9000, [1, 2]);
/** Over the seam of a split disk. */
const seam = 2047 * 2 ** 20 - 50_000;

async function make(path: string, kind: (typeof creatableKinds)[number], bytes = virtualBytes): Promise<void> {
  await createDisk({ path, kind, virtualBytes: bytes });
  const disk = await openDisk(path, { writable: true });
  await disk.write(Math.min(seam, bytes - mark.length), mark);
  await disk.close();
}

async function holds(path: string): Promise<boolean> {
  const disk = await openDisk(path).catch(() => undefined);
  if (!disk) return false;
  try {
    return mark.equals(await disk.read(Math.min(seam, disk.virtualBytes - mark.length), mark.length));
  } finally {
    await disk.close();
  }
}

test('a disk of every kind is renamed and deleted with all its extents', async (t) => {
  const folder = await temporaryFolder(t);
  for (const kind of creatableKinds) {
    const [one, two] = [join(folder, 'one.vmdk'), join(folder, 'two.vmdk')];
    await make(one, kind);
    const count = (await readdir(folder)).length;
    await renameDisk(one, two);
    const names = await readdir(folder);
    assert.equal(names.length, count);
    assert.ok(
      names.every((name) => name.startsWith('two')),
      `${kind}: ${names}`,
    );
    assert.ok(await holds(two), kind);
    assert.deepEqual((await checkDisk(two)).findings, []);
    await deleteDisk(two);
    assert.deepEqual(await readdir(folder), []);
  }
});

test('a disk moves to another folder, its parent stays, its children follow', async (t) => {
  const folder = await temporaryFolder(t);
  const path = (name: string) => join(folder, `${name}.vmdk`);
  await make(path('base'), 'vmfs');
  await createChild({ path: path('middle'), parent: path('base') });
  await createChild({ path: path('top'), parent: path('middle') });
  await mkdir(join(folder, 'sub'));
  const allowOutside = () => true;
  const moved = join(folder, 'sub', 'moved.vmdk');
  await renameDisk(path('middle'), moved, { allowOutside });
  const disk = await openDisk(path('top'), { allowOutside });
  assert.ok(mark.equals(await disk.read(seam, mark.length)));
  await disk.close();
  await assert.rejects(deleteDisk(moved, { allowOutside, childFolders: [folder] }), { code: 'has-children' });
  await renameDisk(path('base'), path('ground'), { childFolders: [join(folder, 'sub')] });
  assert.equal((await readDescriptor(path('ground'))).extents[0]?.file, 'ground-flat.vmdk');
  assert.deepEqual((await checkDisk(path('top'), { allowOutside })).findings, []);
});

test('a missing extent is named, and another disk is not overwritten', async (t) => {
  const folder = await temporaryFolder(t);
  const [one, two] = [join(folder, 'one.vmdk'), join(folder, 'two.vmdk')];
  await make(one, 'twoGbMaxExtentFlat');
  await make(two, 'twoGbMaxExtentSparse');
  await assert.rejects(renameDisk(one, two), { code: 'exists', message: /two\.vmdk/ });
  await writeFile(join(folder, 'three-f002.vmdk'), 'mine');
  await assert.rejects(renameDisk(one, join(folder, 'three.vmdk')), { code: 'exists', message: /three-f002/ });
  assert.ok((await holds(one)) && (await holds(two)));
  await rm(join(folder, 'one-f002.vmdk'));
  const names = (await readdir(folder)).sort();
  await assert.rejects(renameDisk(one, join(folder, 'four.vmdk')), {
    code: 'extent-missing',
    message: /one-f002\.vmdk/,
  });
  await assert.rejects(deleteDisk(one), { code: 'extent-missing', message: /one-f002\.vmdk/ });
  assert.deepEqual((await readdir(folder)).sort(), names);
  await deleteDisk(one, { incomplete: true });
  assert.deepEqual((await readdir(folder)).sort(), ['three-f002.vmdk', 'two-s001.vmdk', 'two-s002.vmdk', 'two.vmdk']);
});

test('killed at any step, one name is the whole disk, and the same call finishes', async (t) => {
  const root = await temporaryFolder(t);
  const restore = await gateFiles();
  t.after(restore);
  for (const kind of ['monolithicSparse', 'twoGbMaxExtentSparse', 'vmfs'] as const) {
    const template = join(root, `${kind}-template`);
    await mkdir(template);
    await make(join(template, 'one.vmdk'), kind, kind === 'vmfs' ? 2 ** 20 : virtualBytes);
    const before = (await readdir(template)).length;
    for (let steps = 0, lived = false; !lived; steps += 1) {
      const folder = join(root, `${kind}-${steps}`);
      await cp(template, folder, { recursive: true });
      const [one, two] = [join(folder, 'one.vmdk'), join(folder, 'two.vmdk')];
      lived = await mortal(steps, () => renameDisk(one, two));
      assert.ok((await holds(one)) || (await holds(two)), `${kind} after ${steps} steps: ${await readdir(folder)}`);
      if ((await readdir(folder)).includes('one.vmdk')) await renameDisk(one, two);
      assert.ok(await holds(two), `${kind} finished after ${steps} steps`);
      const names = (await readdir(folder)).filter((name) => !name.endsWith('.tmp'));
      assert.equal(names.length, before, `${kind} after ${steps} steps: ${names}`);
      const deleted = await mortal(steps, () => deleteDisk(two));
      if (!deleted) {
        const visible = (await readdir(folder)).includes('two.vmdk');
        if (visible) assert.ok(await holds(two), 'still whole');
        await deleteDisk(two);
      }
      assert.deepEqual(
        (await readdir(folder)).filter((name) => !name.endsWith('.tmp')),
        [],
      );
      await rm(folder, { recursive: true });
    }
  }
});

test('what is kept of the changes of a disk goes with its name', async (t) => {
  const folder = await temporaryFolder(t);
  const [one, two] = [join(folder, 'one.vmdk'), join(folder, 'two.vmdk')];
  await make(one, 'vmfs', 1 << 20);
  await writeFile(join(folder, 'one-ctk.qcow2'), '');
  await renameDisk(one, two);
  assert.deepEqual((await readdir(folder)).sort(), ['two-flat.vmdk', 'two.vmdk']);
  await writeFile(join(folder, 'two-ctk.qcow2'), '');
  await deleteDisk(two);
  assert.deepEqual(await readdir(folder), []);
});
