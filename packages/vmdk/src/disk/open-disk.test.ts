import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, readdir, readFile, readlink, rename, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { newContentId, replaceContentId, withContentId } from '../descriptor/content-id.ts';
import { buildDescriptor, type DescriptorFields } from '../descriptor/descriptor-edit.ts';
import { readDescriptor, writeDescriptor } from '../descriptor/descriptor-file.ts';
import { createFlatDisk } from '../flat/create-flat.ts';
import { createSparseDisk } from '../sparse/create-sparse.ts';
import { parseSparseHeader } from '../sparse/sparse-header.ts';
import { imageOf, patterned, streamOf, temporaryFolder } from '../testing.ts';
import { openDisk } from './open-disk.ts';

async function openFiles(folder: string): Promise<string[]> {
  const links = await readdir('/proc/self/fd');
  const targets = await Promise.all(links.map((link) => readlink(`/proc/self/fd/${link}`).catch(() => '')));
  return targets.filter((target) => target.startsWith(folder));
}

/** A chain of sparse disks, each with a mark of its own. */
async function chain(folder: string, length: number): Promise<string[]> {
  const paths: string[] = [];
  let parent: { contentId: number; fileNameHint: string } | undefined;
  for (let index = 0; index < length; index += 1) {
    const path = join(folder, `disk-${index}.vmdk`);
    await createSparseDisk({ path, virtualBytes: 2 ** 20, grainBytes: 8192, ...(parent ? { parent } : {}) });
    const disk = await openDisk(path, { writable: true });
    await disk.write(index * 8192, Buffer.from(`layer ${index}`));
    await disk.close();
    const reopened = await openDisk(path);
    await reopened.close();
    parent = { contentId: reopened.descriptor!.contentId, fileNameHint: `disk-${index}.vmdk` };
    paths.push(path);
  }
  return paths;
}

test('a chain of 40 disks is read as one, and each layer keeps its own', async (t) => {
  const folder = await temporaryFolder(t);
  const paths = await chain(folder, 40);
  const disk = await openDisk(paths.at(-1)!);
  for (let index = 0; index < 40; index += 1) {
    const text = `layer ${index}`;
    assert.equal((await disk.read(index * 8192, text.length)).toString(), text);
  }
  await disk.close();
  assert.deepEqual(await openFiles(folder), []);
});

test('a child is refused by name when its parent was written, is gone or is its own child', async (t) => {
  const folder = await temporaryFolder(t);
  const [base, middle, top] = (await chain(folder, 3)) as [string, string, string];
  const parent = await openDisk(base, { writable: true });
  await parent.write(0, Buffer.from('changed'));
  await parent.close();
  await assert.rejects(openDisk(top), { code: 'parent-changed', message: /disk-1\.vmdk.*disk-0\.vmdk has/ });
  await rename(base, `${base}.away`);
  await assert.rejects(openDisk(middle), { message: /disk-0\.vmdk/ });
  const loop = join(folder, 'loop.vmdk');
  await createSparseDisk({
    path: loop,
    virtualBytes: 2 ** 20,
    contentId: 5,
    parent: { contentId: 5, fileNameHint: 'loop.vmdk' },
  });
  await assert.rejects(openDisk(loop), { code: 'chain-cycle' });
  assert.deepEqual(await openFiles(folder), []);
});

test('a disk inside an archive is read where it lies', async (t) => {
  const path = join(await temporaryFolder(t), 'appliance.ova');
  const image = patterned(70 * 65536 + 512, 30_000, [0, 1, 2, 0, 0, 0]);
  const stream = await streamOf(image);
  await writeFile(path, Buffer.concat([Buffer.alloc(1536, 7), stream, Buffer.alloc(1024)]));
  const window = { offset: 1536, length: stream.length };
  const disk = await openDisk(path, { window });
  assert.ok(image.equals(await disk.read(0, image.length)));
  assert.ok(image.equals(await imageOf(image.length, disk.blocks())));
  assert.deepEqual(await disk.read(123_456, 7), image.subarray(123_456, 123_463));
  await assert.rejects(disk.read(image.length - 1, 2), { code: 'out-of-range' });
  await disk.close();
  await assert.rejects(openDisk(path), { code: 'not-vmdk' });
  await assert.rejects(openDisk(path, { window: { ...window, length: 1e9 } }), { code: 'truncated' });
  await assert.rejects(openDisk(path, { window: { ...window, length: stream.length - 512 } }), { code: 'truncated' });
  await assert.rejects(openDisk(path, { window, writable: true }), { code: 'read-only' });
});

test('a grain table that points to another grain is found out', async (t) => {
  const path = join(await temporaryFolder(t), 'disk.vmdk');
  const stream = await streamOf(patterned(4 * 65536, 65536, [2]));
  const footer = parseSparseHeader(stream.subarray(-1024, -512), path);
  const table = stream.readUInt32LE((footer.directoryOffset as number) * 512) * 512;
  const [first, second] = [stream.readUInt32LE(table), stream.readUInt32LE(table + 4)];
  stream.writeUInt32LE(second, table);
  stream.writeUInt32LE(first, table + 4);
  await writeFile(path, stream);
  const disk = await openDisk(path);
  await assert.rejects(disk.read(0, 10), { code: 'grain-corrupt', message: /marker names sector 128/ });
  await disk.close();
});

test('extents of several kinds stand one after another', async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'disk.vmdk');
  await writeFile(join(folder, 'a'), Buffer.concat([Buffer.alloc(512, 9), Buffer.alloc(1024, 1)]));
  await createSparseDisk({ path: join(folder, 'b'), virtualBytes: 2048 });
  await writeFile(join(folder, 'c'), Buffer.alloc(512, 3));
  const fields: DescriptorFields = {
    createType: 'twoGbMaxExtentSparse',
    contentId: 1,
    extents: [
      { access: 'RW', sectors: 2, type: 'FLAT', file: 'a', offset: 1 },
      { access: 'RW', sectors: 3, type: 'ZERO' },
      { access: 'RW', sectors: 4, type: 'SPARSE', file: 'b' },
      { access: 'RDONLY', sectors: 1, type: 'FLAT', file: 'c', offset: 0 },
    ],
  };
  await writeDescriptor(path, buildDescriptor(fields));
  const disk = await openDisk(path, { writable: true });
  await disk.write(2560, Buffer.alloc(100, 5));
  await disk.write(0, Buffer.alloc(1, 6));
  const expected = Buffer.concat([
    Buffer.alloc(1, 6),
    Buffer.alloc(1023, 1),
    Buffer.alloc(1536),
    Buffer.alloc(100, 5),
    Buffer.alloc(1948),
    Buffer.alloc(512, 3),
  ]);
  assert.ok(expected.equals(await disk.read(0, disk.virtualBytes)));
  assert.ok(expected.equals(await imageOf(disk.virtualBytes, disk.blocks())));
  await assert.rejects(disk.write(disk.virtualBytes - 1, Buffer.from('x')), { code: 'read-only' });
  await assert.rejects(disk.write(1024, Buffer.from('x')), { code: 'read-only' });
  await disk.close();
  assert.equal((await readFile(join(folder, 'a')))[511], 9);
  assert.notEqual((await readDescriptor(path)).contentId, 1);
});

test('what cannot be opened is refused by name, and nothing stays open', async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'disk.vmdk');
  await writeFile(join(folder, 'short'), Buffer.alloc(512));
  execFileSync('mkfifo', [join(folder, 'pipe')]);
  const extent = (fields: object) => ({ access: 'RW' as const, sectors: 2, type: 'FLAT', file: 'short', ...fields });
  const cases: readonly [string, Partial<DescriptorFields>][] = [
    ['unsupported-create-type', { createType: 'vmfsRDM' }],
    ['unsupported-create-type', { createType: 'partitionedDevice' }],
    ['unsupported-create-type', { createType: 'whatever' }],
    ['unsupported-extent', { extents: [extent({ type: 'VMFSRDM' })] }],
    ['header-invalid', { createType: 'vmfsSparse', extents: [extent({ type: 'VMFSSPARSE' })] }],
    ['header-invalid', { createType: 'seSparse', extents: [extent({ type: 'SESPARSE' })] }],
    ['unsupported-extent', { extents: [extent({ access: 'NOACCESS' })] }],
    ['descriptor-invalid', { extents: [] }],
    ['extent-truncated', { extents: [extent({ sectors: 1 }), extent({})] }],
    ['extent-truncated', { extents: [extent({ sectors: 1, offset: 1 })] }],
    ['not-vmdk', { extents: [extent({ file: 'pipe' })] }],
    ['extent-missing', { extents: [extent({ file: 'nowhere' })] }],
    ['outside-folder', { extents: [extent({ file: '../short' })] }],
    ['outside-folder', { extents: [extent({ file: '/etc/passwd' })] }],
    ['header-invalid', { extents: [extent({ type: 'SPARSE', sectors: 1 })] }],
    ['parent-missing', { parentContentId: 3, extents: [extent({ sectors: 1 })] }],
    ['outside-folder', { parentContentId: 3, parentFileNameHint: '/x', extents: [extent({ sectors: 1 })] }],
  ];
  for (const [code, fields] of cases) {
    const descriptor = buildDescriptor({
      createType: 'monolithicFlat',
      contentId: 1,
      extents: [extent({})],
      ...fields,
    });
    await writeDescriptor(path, descriptor, { replace: true });
    await assert.rejects(
      openDisk(path),
      { code, message: /disk|short|pipe|nowhere/ },
      `${code} ${JSON.stringify(fields)}`,
    );
  }
  for (const [bytes, code] of [
    ['', 'not-vmdk'],
    ['COWD', 'truncated'],
    ['\xbe\xba\xfe\xca', 'unsupported-extent'],
    ['KDMV', 'truncated'],
    ['#', 'descriptor-invalid'],
  ] as const) {
    await writeFile(path, Buffer.from(bytes, 'latin1'));
    await assert.rejects(openDisk(path), { code }, bytes);
  }
  await assert.rejects(openDisk(join(folder, 'pipe')), { code: 'not-vmdk' });
  await assert.rejects(openDisk(join(folder, 'missing.vmdk')), { code: 'io-failed', message: /missing\.vmdk/ });
  assert.deepEqual(await openFiles(folder), []);
});

test('a parent outside the folder is opened when the caller allows it', async (t) => {
  const folder = await temporaryFolder(t);
  await mkdir(join(folder, 'base'));
  await mkdir(join(folder, 'clone'));
  await createSparseDisk({ path: join(folder, 'base/b.vmdk'), virtualBytes: 2 ** 20, contentId: 9 });
  const path = join(folder, 'clone/c.vmdk');
  await createSparseDisk({ path, virtualBytes: 2 ** 20, parent: { contentId: 9, fileNameHint: '../base/b.vmdk' } });
  await assert.rejects(openDisk(path), { code: 'outside-folder' });
  const disk = await openDisk(path, {
    allowOutside: (reference) => reference.kind === 'parent' && reference.path === join(folder, 'base/b.vmdk'),
  });
  await disk.close();
});

test('replacing the CID changes nothing else and leaves no other file', async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'disk.vmdk');
  const made = await createFlatDisk({ path, virtualBytes: 2 ** 20 });
  const contentId = newContentId();
  await replaceContentId(path, contentId);
  const now = await readDescriptor(path);
  assert.equal(now.contentId, contentId);
  assert.match(now.ddb.get('longContentID') ?? '', new RegExp(`${contentId.toString(16).padStart(8, '0')}$`));
  const others = (lines: readonly string[]) => lines.filter((line) => !/CID=|ContentID/.test(line));
  assert.deepEqual(others(now.lines), others(made.lines));
  assert.deepEqual((await readdir(folder)).sort(), ['disk-flat.vmdk', 'disk.vmdk']);
  assert.deepEqual(withContentId(made, 1).extents, made.extents);
  await truncate(path, 0);
  await assert.rejects(replaceContentId(path, 1), { code: 'descriptor-invalid' });
});
