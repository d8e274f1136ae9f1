import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { createReadStream, createWriteStream } from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { deltaDescriptor } from './descriptor/delta.ts';
import { readDescriptor, writeDescriptor } from './descriptor/descriptor-file.ts';
import { openDisk } from './disk/open-disk.ts';
import { createFlatDisk } from './flat/create-flat.ts';
import { createSparseDisk } from './sparse/create-sparse.ts';
import { inflateToFlat } from './stream/inflate-to-flat.ts';
import { readStreamOptimized } from './stream/stream-reader.ts';
import { writeStreamOptimized } from './stream/stream-writer.ts';
import { blocksOf, collect, imageOf, inChunks, patterned, temporaryFolder, writeStream } from './testing.ts';

const run = promisify(execFile);
const skip =
  spawnSync('qemu-img', ['--version']).status === 0
    ? false
    : 'qemu-img is not installed: node scripts/debian-packages.mjs run';
const subformats = [
  'monolithicSparse',
  'monolithicFlat',
  'twoGbMaxExtentSparse',
  'twoGbMaxExtentFlat',
  'streamOptimized',
] as const;

/** 9 MiB and a bit: the last grain is not whole. */
const image = patterned(9 * 2 ** 20 + 3 * 512, 24 * 1024, [0, 1, 2, 0, 0, 0, 0, 1, 2, 2, 0, 0, 0]);

for (const subformat of subformats) {
  test(`reads ${subformat} made by qemu-img`, { skip }, async (t) => {
    const folder = await temporaryFolder(t);
    const path = join(folder, 'disk.vmdk');
    await writeFile(join(folder, 'raw'), image);
    await run('qemu-img', [
      'convert',
      '-f',
      'raw',
      '-O',
      'vmdk',
      '-o',
      `subformat=${subformat}`,
      join(folder, 'raw'),
      path,
    ]);
    const disk = await openDisk(path);
    try {
      assert.equal(disk.virtualBytes, image.length);
      assert.deepEqual(await disk.read(0, image.length), image);
      assert.deepEqual(await imageOf(image.length, disk.blocks()), image);
      await inflateToFlat(disk, join(folder, 'flat'), { capacityBytes: image.length });
      assert.deepEqual(await readFile(join(folder, 'flat')), image);
      const copy = join(folder, 'copy.vmdk');
      await pipeline(Readable.from(writeStreamOptimized(disk)), createWriteStream(copy));
      await run('qemu-img', ['compare', '-f', 'raw', '-F', 'vmdk', join(folder, 'raw'), copy]);
    } finally {
      await disk.close();
    }
    if (subformat !== 'streamOptimized') return;
    const reader = await readStreamOptimized(createReadStream(path), { name: path });
    assert.deepEqual(await imageOf(image.length, reader.grains()), image);
    // This variant has no end marker: only its tables tell that a grain is missing.
    const bytes = await readFile(path);
    const lastGrain = bytes.lastIndexOf(Buffer.from('789c', 'hex')) - 12;
    assert.equal(lastGrain % 512, 0);
    const cut = await readStreamOptimized(inChunks(bytes.subarray(0, lastGrain), [65536]));
    await assert.rejects(collect(cut.grains()), { code: 'truncated' });
  });
}

test('reads zeroed grains made by qemu-img, over a parent with data', { skip }, async (t) => {
  const folder = await temporaryFolder(t);
  const [base, child] = [join(folder, 'base.vmdk'), join(folder, 'child.vmdk')];
  await writeFile(join(folder, 'raw'), image);
  await run('qemu-img', ['convert', '-f', 'raw', '-O', 'vmdk', join(folder, 'raw'), base]);
  const create = ['create', '-q', '-f', 'vmdk', '-o', 'zeroed_grain=on', '-b', 'base.vmdk', '-F', 'vmdk', child];
  await run('qemu-img', create, { cwd: folder });
  await run('qemu-io', ['-f', 'vmdk', '-c', 'write -z 64k 256k', child]);
  const expected = Buffer.from(image).fill(0, 65536, 65536 * 5);
  const disk = await openDisk(child, { writable: true });
  assert.ok(expected.equals(await disk.read(0, image.length)));
  const [, zero] = await collect(disk.map({ length: 65536 * 5 }));
  assert.deepEqual(zero, { offset: 65536, length: 65536 * 4, state: 'zero' });
  await disk.write(65536 * 2 + 9, Buffer.from('x'));
  expected.write('x', 65536 * 2 + 9);
  await disk.close();
  await writeFile(join(folder, 'raw'), expected);
  await run('qemu-img', ['compare', '-f', 'raw', '-F', 'vmdk', join(folder, 'raw'), child]);
});

test('qemu-img reads our streamOptimized disk', { skip }, async (t) => {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, 'raw'), image);
  await writeStream(image, join(folder, 'disk.vmdk'));
  await run('qemu-img', ['compare', '-f', 'raw', '-F', 'vmdk', join(folder, 'raw'), join(folder, 'disk.vmdk')]);
  const { stdout } = await run('qemu-img', ['info', '--output=json', join(folder, 'disk.vmdk')]);
  assert.equal(JSON.parse(stdout)['format-specific'].data['create-type'], 'streamOptimized');
});

test('qemu-img reads our streamOptimized disk over several grain tables', { skip }, async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'disk.vmdk');
  const virtualBytes = 5 * 2 ** 30;
  async function* blocks() {
    for (const at of [0, 2 ** 25 - 65536, 2 ** 25, 3 * 2 ** 30, virtualBytes - 65536]) {
      yield { offset: at, data: Buffer.alloc(65536, `at ${at}`) };
    }
  }
  await pipeline(Readable.from(writeStreamOptimized({ virtualBytes, blocks: blocks() })), createWriteStream(path));
  await inflateToFlat(createReadStream(path), join(folder, 'flat'), { capacityBytes: virtualBytes });
  await run('qemu-img', ['compare', '-f', 'raw', '-F', 'vmdk', join(folder, 'flat'), path]);
});

for (const createType of ['vmfs', 'monolithicFlat'] as const) {
  test(`qemu-img reads our ${createType} disk`, { skip }, async (t) => {
    const folder = await temporaryFolder(t);
    const path = join(folder, 'disk.vmdk');
    await writeFile(join(folder, 'raw'), image);
    await createFlatDisk({ path, virtualBytes: image.length, createType });
    const disk = await openDisk(path, { writable: true });
    for await (const { offset, data } of blocksOf(image)) await disk.write(offset, data);
    await disk.close();
    await run('qemu-img', ['compare', '-f', 'raw', '-F', 'vmdk', join(folder, 'raw'), path]);
  });
}

test('qemu-img reads and checks our monolithicSparse disk and its child', { skip }, async (t) => {
  const folder = await temporaryFolder(t);
  const base = join(folder, 'base.vmdk');
  await createSparseDisk({ path: base, virtualBytes: image.length });
  const disk = await openDisk(base, { writable: true });
  for await (const { offset, data } of blocksOf(image, 100_000)) await disk.write(offset, data);
  await disk.close();
  await writeFile(join(folder, 'raw'), image);
  await run('qemu-img', ['compare', '-f', 'raw', '-F', 'vmdk', join(folder, 'raw'), base]);
  await run('qemu-img', ['check', base]);

  const { contentId } = await openDisk(base).then(async (parent) => {
    await parent.close();
    return parent.descriptor!;
  });
  const child = join(folder, 'child.vmdk');
  await createSparseDisk({ path: child, virtualBytes: image.length, parent: { contentId, fileNameHint: 'base.vmdk' } });
  const top = await openDisk(child, { writable: true });
  const changed = Buffer.from(image);
  for (const [offset, length] of [
    [0, 700],
    [65000, 70000],
    [image.length - 100, 100],
  ] as const) {
    const data = patterned(length, length, [2]);
    data.copy(changed, offset);
    await top.write(offset, data);
  }
  await top.close();
  await writeFile(join(folder, 'raw'), changed);
  await run('qemu-img', ['compare', '-f', 'raw', '-F', 'vmdk', join(folder, 'raw'), child]);
});

test('a chain made by qemu-img is read, and refused once the parent was written', { skip }, async (t) => {
  const folder = await temporaryFolder(t);
  const [base, child] = [join(folder, 'base.vmdk'), join(folder, 'child.vmdk')];
  await writeFile(join(folder, 'raw'), image);
  await run('qemu-img', ['convert', '-f', 'raw', '-O', 'vmdk', join(folder, 'raw'), base]);
  await run('qemu-img', ['create', '-q', '-f', 'vmdk', '-b', 'base.vmdk', '-F', 'vmdk', child], { cwd: folder });
  await run('qemu-io', ['-f', 'vmdk', '-c', 'write -P 77 1M 200k', child]);
  const written = Buffer.from(image);
  written.fill(77, 2 ** 20, 2 ** 20 + 200 * 1024);
  const disk = await openDisk(child);
  assert.deepEqual(await disk.read(0, image.length), written);
  await disk.close();
  const parent = await openDisk(base, { writable: true });
  await parent.write(5, Buffer.from('x'));
  await parent.close();
  await assert.rejects(openDisk(child), { code: 'parent-changed' });
  await assert.rejects(
    run('qemu-io', ['-r', '-f', 'vmdk', '-c', 'read 4M 64k', child]).then(({ stdout }) => {
      if (/failed|error|Invalid/i.test(stdout)) throw new Error(stdout);
    }),
  );
});

test('a private delta is refused by qemu-img and by us, by name', { skip }, async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'disk-000001.vmdk');
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', join(folder, 'disk-000001-delta.qcow2'), '1M']);
  const descriptor = deltaDescriptor({
    virtualBytes: 2 ** 20,
    extentName: 'disk-000001-delta.qcow2',
    parentContentId: 7,
    parentFileNameHint: 'disk.vmdk',
  });
  await writeDescriptor(path, descriptor);
  assert.deepEqual(await readDescriptor(path), { ...descriptor });
  await assert.rejects(run('qemu-img', ['info', '-f', 'vmdk', path]), /hypostyleDelta/);
  await assert.rejects(openDisk(path), { code: 'unsupported-create-type', message: /hypostyleDelta/ });
});

test('a missing extent of a split disk is named', { skip }, async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'disk.vmdk');
  await run('qemu-img', ['create', '-q', '-f', 'vmdk', '-o', 'subformat=twoGbMaxExtentSparse', path, '5G']);
  const disk = await openDisk(path);
  assert.equal(disk.virtualBytes, 5 * 2 ** 30);
  assert.deepEqual(await collect(disk.map()), [{ offset: 0, length: 5 * 2 ** 30, state: 'unallocated' }]);
  await disk.close();
  await rename(join(folder, 'disk-s002.vmdk'), join(folder, 'gone'));
  await assert.rejects(openDisk(path), { code: 'extent-missing', message: /disk-s002\.vmdk/ });
});
