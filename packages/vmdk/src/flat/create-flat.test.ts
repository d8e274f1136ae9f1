import assert from 'node:assert/strict';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { formatDescriptor } from '../descriptor/descriptor.ts';
import { readDescriptor } from '../descriptor/descriptor-file.ts';
import { geometryOf } from '../descriptor/geometry.ts';
import { openDisk } from '../disk/open-disk.ts';
import { temporaryFolder } from '../testing.ts';
import { createFlatDisk } from './create-flat.ts';

test('a thin vmfs disk has the descriptor that ESXi writes and takes no room', async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'web.vmdk');
  await createFlatDisk({ path, virtualBytes: 16 * 2 ** 30, contentId: 0xabc, hardwareVersion: 21 });
  const descriptor = await readDescriptor(path);
  const text = formatDescriptor(descriptor)
    .replace(/[0-9a-f]{24}00000abc/, 'LONG')
    .replace(/60 00 C2 9[0-9A-F]( [0-9A-F]{2}){4}-[0-9A-F]{2}( [0-9A-F]{2}){7}/, 'UUID');
  assert.equal(
    text,
    `# Disk DescriptorFile
version=1
encoding="UTF-8"
CID=00000abc
parentCID=ffffffff
createType="vmfs"

# Extent description
RW 33554432 VMFS "web-flat.vmdk"

# The Disk Data Base 
#DDB

ddb.adapterType = "lsilogic"
ddb.geometry.cylinders = "2088"
ddb.geometry.heads = "255"
ddb.geometry.sectors = "63"
ddb.longContentID = "LONG"
ddb.thinProvisioned = "1"
ddb.uuid = "UUID"
ddb.virtualHWVersion = "21"
`,
  );
  const flat = await stat(join(folder, 'web-flat.vmdk'));
  assert.equal(flat.size, 16 * 2 ** 30);
  assert.equal(flat.blocks, 0);
});

test('an eager disk takes all its room and is not called thin', async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'a.vmdk');
  const progress: number[] = [];
  await createFlatDisk({
    path,
    virtualBytes: 3 * 2 ** 20 + 512,
    allocation: 'eager',
    createType: 'monolithicFlat',
    onProgress: ({ doneBytes }) => progress.push(doneBytes),
  });
  const flat = await stat(join(folder, 'a-flat.vmdk'));
  assert.ok(flat.blocks * 512 >= flat.size);
  assert.deepEqual(progress, [2 ** 20, 2 ** 21, 3 * 2 ** 20, 3 * 2 ** 20 + 512]);
  const descriptor = await readDescriptor(path);
  assert.equal(descriptor.ddb.has('thinProvisioned'), false);
  assert.deepEqual(descriptor.extents, [{ access: 'RW', sectors: 6145, type: 'FLAT', file: 'a-flat.vmdk', offset: 0 }]);
});

test('nothing is overwritten and nothing half made stays', async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'a.vmdk');
  await writeFile(path, 'mine');
  await assert.rejects(createFlatDisk({ path, virtualBytes: 2 ** 20 }), { code: 'exists' });
  assert.deepEqual(await readdir(folder), ['a.vmdk']);
  assert.equal(await readFile(path, 'utf8'), 'mine');
  const abort = new AbortController();
  const making = createFlatDisk({
    path: join(folder, 'b.vmdk'),
    virtualBytes: 2 ** 24,
    allocation: 'eager',
    signal: abort.signal,
    onProgress: () => abort.abort(new Error('enough')),
  });
  await assert.rejects(making, /enough/);
  assert.deepEqual(await readdir(folder), ['a.vmdk']);
});

test('a flat disk keeps what is written, anywhere, and gets a new CID', async (t) => {
  const path = join(await temporaryFolder(t), 'a.vmdk');
  const made = await createFlatDisk({ path, virtualBytes: 2 ** 20 });
  const disk = await openDisk(path, { writable: true });
  await disk.write(2 ** 20 - 3, Buffer.from('end'));
  await assert.rejects(disk.write(2 ** 20 - 3, Buffer.from('ends')), { code: 'out-of-range' });
  assert.equal((await disk.read(2 ** 20 - 5, 5)).toString('latin1'), '\0\0end');
  await disk.close();
  assert.notEqual((await readDescriptor(path)).contentId, made.contentId);
});

test('geometry is what ESXi computes', () => {
  assert.deepEqual(geometryOf(8 * 2 ** 20, 'lsilogic'), { cylinders: 8, heads: 64, sectors: 32 });
  assert.deepEqual(geometryOf(2 ** 30, 'lsilogic'), { cylinders: 1024, heads: 64, sectors: 32 });
  assert.deepEqual(geometryOf(2 ** 31, 'buslogic'), { cylinders: 1024, heads: 128, sectors: 32 });
  assert.deepEqual(geometryOf(40 * 2 ** 30, 'lsilogic'), { cylinders: 5221, heads: 255, sectors: 63 });
  assert.deepEqual(geometryOf(4 * 2 ** 30, 'ide'), { cylinders: 8322, heads: 16, sectors: 63 });
  assert.deepEqual(geometryOf(40 * 2 ** 30, 'ide'), { cylinders: 16383, heads: 16, sectors: 63 });
});
