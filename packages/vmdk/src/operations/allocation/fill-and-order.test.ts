import assert from 'node:assert/strict';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkDisk } from '../../check/check-disk.ts';
import { creatableKinds, createDisk } from '../../create/create-disk.ts';
import { describeChain } from '../../describe/describe-chain.ts';
import { openDisk } from '../../disk/open-disk.ts';
import { isZero } from '../../size.ts';
import { patterned, temporaryFolder } from '../../testing.ts';
import { createChild } from '../chain/create-child.ts';
import { setDiskUuid } from '../files/set-disk-uuid.ts';
import { defragmentDisk } from './defragment-disk.ts';
import { diskFragmentation } from './disk-fragmentation.ts';
import { zeroDisk } from './zero-disk.ts';

const mebibyte = 2 ** 20;
const grain = 65536;
const virtualBytes = 2 * mebibyte;

/** Grains written from the last to the first, with a hole in the middle. */
async function fillBackwards(path: string): Promise<void> {
  const disk = await openDisk(path, { writable: true });
  try {
    for (let at = virtualBytes - grain; at >= 0; at -= grain) {
      if (at === mebibyte) continue;
      await disk.write(at, patterned(grain, 1 + (at / grain) * 3, [1, 2]));
    }
  } finally {
    await disk.close();
  }
}

async function contentOf(path: string): Promise<Buffer> {
  const disk = await openDisk(path);
  try {
    return await disk.read(0, disk.virtualBytes);
  } finally {
    await disk.close();
  }
}

const factsOf = async (path: string) => (await describeChain(path)).disks[0];

test('a sparse disk that was written backwards is put in order, and reads as it did', async (t) => {
  const folder = await temporaryFolder(t);
  for (const kind of ['monolithicSparse', 'twoGbMaxExtentSparse'] as const) {
    const path = join(folder, `${kind}.vmdk`);
    await createDisk({ path, kind, virtualBytes });
    assert.equal(await diskFragmentation(path), 0, kind);
    await fillBackwards(path);
    assert.ok((await diskFragmentation(path)) > 90, kind);
    const [content, before] = [await contentOf(path), await factsOf(path)];
    const names = await readdir(folder);
    await defragmentDisk({ path });
    assert.equal(await diskFragmentation(path), 0, kind);
    assert.ok(content.equals(await contentOf(path)), kind);
    const after = await factsOf(path);
    assert.equal(after?.descriptor?.lines.join('\n'), before?.descriptor?.lines.join('\n'), kind);
    assert.equal((await checkDisk(path)).findings.length, 0, kind);
    assert.deepEqual(await readdir(folder), names, 'nothing is left beside it');
  }
});

test('a flat disk is in order; a child stays as it is', async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'flat.vmdk');
  await createDisk({ path, kind: 'vmfs', virtualBytes });
  await fillBackwards(path);
  assert.equal(await diskFragmentation(path), 0);
  const content = await contentOf(path);
  await defragmentDisk({ path });
  assert.ok(content.equals(await contentOf(path)));
  const child = join(folder, 'child.vmdk');
  await createChild({ path: child, parent: path });
  await assert.rejects(defragmentDisk({ path: child }), { code: 'unsupported-extent' });
});

test('a disk of every kind is filled with zeros, and keeps or gives back its room', async (t) => {
  const folder = await temporaryFolder(t);
  for (const kind of creatableKinds) {
    const path = join(folder, `${kind}.vmdk`);
    await createDisk({ path, kind, virtualBytes, ...(kind === 'vmfs' ? { allocation: 'thin' as const } : {}) });
    await fillBackwards(path);
    const before = await factsOf(path);
    await zeroDisk({ path });
    assert.ok(isZero(await contentOf(path)), kind);
    const after = await factsOf(path);
    assert.notEqual(after?.descriptor?.contentId, before?.descriptor?.contentId, 'who built on it finds out');
    const stored = after?.extents.reduce((sum, { storedBytes = 0 }) => sum + storedBytes, 0) ?? 0;
    if (kind === 'monolithicFlat' || kind === 'twoGbMaxExtentFlat') assert.ok(stored >= virtualBytes, kind);
  }
  const eager = join(folder, 'eager.vmdk');
  await createDisk({ path: eager, kind: 'vmfs', virtualBytes, allocation: 'eager' });
  await zeroDisk({ path: eager });
  assert.ok((await stat(join(folder, 'eager-flat.vmdk'))).blocks * 512 >= virtualBytes);
});

test('a parent is not filled with zeros, and zeros that were stopped leave a disk that opens', async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'base.vmdk');
  await createDisk({ path, kind: 'monolithicFlat', virtualBytes });
  await fillBackwards(path);
  const stop = new AbortController();
  const onProgress = ({ doneBytes }: { readonly doneBytes: number }) => {
    if (doneBytes >= mebibyte) stop.abort();
  };
  await assert.rejects(zeroDisk({ path, signal: stop.signal, onProgress }), { name: 'AbortError' });
  const content = await contentOf(path);
  assert.ok(isZero(content.subarray(0, mebibyte)));
  assert.ok(!isZero(content.subarray(mebibyte)));
  await createChild({ path: join(folder, 'child.vmdk'), parent: path });
  await assert.rejects(zeroDisk({ path }), { code: 'has-children' });
});

test('a UUID is set in a descriptor of its own and in one inside a sparse file', async (t) => {
  const folder = await temporaryFolder(t);
  for (const kind of ['vmfs', 'monolithicSparse'] as const) {
    const path = join(folder, `${kind}.vmdk`);
    await createDisk({ path, kind, virtualBytes });
    await setDiskUuid(path, '60 00 C2 9a 1b 2c 3d 4e-5f 60 71 82 93 a4 b5 c6');
    const facts = await factsOf(path);
    assert.equal(facts?.descriptor?.ddb.get('uuid'), '60 00 c2 9a 1b 2c 3d 4e-5f 60 71 82 93 a4 b5 c6');
    await assert.rejects(setDiskUuid(path, 'nothing'), { code: 'option-invalid' });
  }
});
