import assert from 'node:assert/strict';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { readDescriptor } from '../descriptor/descriptor-file.ts';
import { openDisk } from '../disk/open-disk.ts';
import { patterned, temporaryFolder } from '../testing.ts';
import { type CreateDiskOptions, creatableKinds, createDisk } from './create-disk.ts';

const gibibyte = 2 ** 30;

test('a disk of every kind keeps what is written to it', async (t) => {
  const folder = await temporaryFolder(t);
  for (const kind of creatableKinds) {
    const path = join(folder, `${kind}.vmdk`);
    const virtualBytes = 5 * gibibyte + 512;
    const descriptor = await createDisk({ path, kind, virtualBytes, adapterType: 'ide', hardwareVersion: 19 });
    assert.equal(descriptor.createType, kind);
    assert.equal(descriptor.ddb.get('adapterType'), 'ide');
    assert.equal(descriptor.ddb.get('virtualHWVersion'), '19');
    const disk = await openDisk(path, { writable: true });
    const pieces = [0, 2047 * 2 ** 20 - 5, 2 * 2047 * 2 ** 20 - 70_000, virtualBytes - 10].map((offset) => ({
      offset,
      data: patterned(Math.min(150_000, virtualBytes - offset), 7000, [2, 1]),
    }));
    for (const { offset, data } of pieces) await disk.write(offset, data);
    await disk.close();
    const again = await openDisk(path);
    for (const { offset, data } of pieces) assert.ok(data.equals(await again.read(offset, data.length)), kind);
    assert.ok((await again.read(gibibyte, 65536)).equals(Buffer.alloc(65536)));
    await again.close();
  }
});

test('random writes to a disk of any kind and size equal a buffer, over seams too', async (t) => {
  const folder = await temporaryFolder(t);
  const seam = 2047 * 2 ** 20;
  const span = 2 ** 20;
  let run = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...creatableKinds),
      fc.boolean(),
      fc.constantFrom(8192, 65536, 2 ** 20),
      fc.integer({ min: 1, max: (2 * span) / 512 }),
      fc.array(
        fc.record({ at: fc.nat(), length: fc.integer({ min: 1, max: 200_000 }), kind: fc.constantFrom(0, 1, 2) }),
        {
          maxLength: 6,
        },
      ),
      async (kind, over, grainBytes, sectors, writes) => {
        run += 1;
        const path = join(folder, `${run}.vmdk`);
        const sparse = kind.endsWith('Sparse') ? { grainBytes } : {};
        // The stretch that is written ends with the disk; of a large one it lies over the seam.
        const start = over ? seam - span : 0;
        const virtualBytes = start + sectors * 512;
        await createDisk({ path, kind, virtualBytes, ...sparse });
        const model = Buffer.alloc(sectors * 512);
        let disk = await openDisk(path, { writable: true });
        for (const { at, length, kind: content } of writes) {
          const offset = at % model.length;
          const data = patterned(Math.min(length, model.length - offset), 5000, [content as 0 | 1 | 2, 1]);
          data.copy(model, offset);
          await disk.write(start + offset, data);
        }
        await disk.close();
        disk = await openDisk(path);
        assert.ok(model.equals(await disk.read(start, model.length)));
        await disk.close();
      },
    ),
    { numRuns: 25 },
  );
});

test('a split disk has extents of exactly 2047 MiB and a shorter last one', async (t) => {
  const folder = await temporaryFolder(t);
  const limit = 4192256;
  let disks = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('twoGbMaxExtentSparse' as const, 'twoGbMaxExtentFlat' as const),
      fc.integer({ min: 1, max: 5 }),
      fc.constantFrom(-1, 0, 1),
      async (kind, whole, more) => {
        disks += 1;
        const path = join(folder, `${disks}.vmdk`);
        const { extents } = await createDisk({ path, kind, virtualBytes: (whole * limit + more) * 512 });
        const expected = [...Array(whole - 1).fill(limit), ...(more > 0 ? [limit, more] : [limit + more])];
        assert.deepEqual(
          extents.map(({ sectors }) => sectors),
          expected,
        );
        const letter = kind === 'twoGbMaxExtentSparse' ? 's' : 'f';
        for (const [index, { file = '', sectors }] of extents.entries()) {
          assert.ok(file.endsWith(`-${letter}00${index + 1}.vmdk`), file);
          const { size } = await stat(join(folder, file));
          if (letter === 'f') assert.equal(size, sectors * 512);
        }
      },
    ),
    { numRuns: 12 },
  );
  // Five GiB, as in the example of the format's description.
  const { extents } = await createDisk({
    path: join(folder, 'test.vmdk'),
    kind: 'twoGbMaxExtentSparse',
    virtualBytes: 5 * gibibyte,
  });
  assert.deepEqual(
    extents.map(({ sectors }) => sectors),
    [4192256, 4192256, 2101248],
  );
});

test('the header of an extent without a descriptor inside says so', async (t) => {
  const folder = await temporaryFolder(t);
  await createDisk({ path: join(folder, 'a.vmdk'), kind: 'twoGbMaxExtentSparse', virtualBytes: gibibyte });
  const header = (await readFile(join(folder, 'a-s001.vmdk'))).subarray(0, 80);
  const words = (offset: number, count: number) =>
    Array.from({ length: count }, (_, index) => Number(header.readBigUInt64LE(offset + index * 8)));
  assert.equal(header.subarray(0, 12).toString('hex'), '4b444d56' + '01000000' + '03000000');
  // Capacity, grain, descriptor offset and size.
  assert.deepEqual(words(12, 4), [2 ** 21, 128, 0, 0]);
  assert.equal(header.readUInt32LE(44), 512);
  // 32 tables of 4 sectors after a sector of directory, twice, then padding to a grain.
  assert.deepEqual(words(48, 3), [1, 130, 384]);
  assert.equal(header.subarray(72).toString('hex'), '000a200d0a000000');
});

test('a vmfs disk is thin, thick or eager', async (t) => {
  const folder = await temporaryFolder(t);
  const virtualBytes = 4 * 2 ** 20;
  for (const allocation of ['thin', 'thick', 'eager'] as const) {
    const path = join(folder, `${allocation}.vmdk`);
    const made = await createDisk({ path, kind: 'vmfs', virtualBytes, allocation });
    const { blocks, size } = await stat(join(folder, `${allocation}-flat.vmdk`));
    assert.equal(size, virtualBytes);
    assert.equal(made.ddb.get('thinProvisioned'), allocation === 'thin' ? '1' : undefined);
    if (allocation === 'thin') assert.equal(blocks, 0);
    else assert.ok(blocks * 512 >= virtualBytes, `${allocation}: ${blocks} blocks`);
  }
});

test('a child may have a parent of any kind', async (t) => {
  const folder = await temporaryFolder(t);
  for (const parentKind of creatableKinds) {
    for (const kind of ['monolithicSparse', 'twoGbMaxExtentSparse'] as const) {
      const name = `${parentKind}-${kind}`;
      const virtualBytes = 3 * 2 ** 20;
      const base = join(folder, `${name}-base.vmdk`);
      await createDisk({ path: base, kind: parentKind, virtualBytes });
      const below = await openDisk(base, { writable: true });
      await below.write(100_000, Buffer.from('below'));
      await below.close();
      const { contentId } = await readHeader(base);
      const path = join(folder, `${name}.vmdk`);
      await createDisk({ path, kind, virtualBytes, parent: { contentId, fileNameHint: `${name}-base.vmdk` } });
      const disk = await openDisk(path, { writable: true });
      await disk.write(100_003, Buffer.from('X'));
      assert.equal((await disk.read(100_000, 5)).toString(), 'belXw');
      await disk.close();
    }
  }
});

test('uuid, zeroed grains and further entries are as asked for', async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'a.vmdk');
  await createDisk({
    path,
    kind: 'twoGbMaxExtentSparse',
    virtualBytes: 2 ** 20,
    uuid: '6000C293-1111-2222-3333-444455556666',
    zeroedGrains: true,
    grainBytes: 8192,
    contentId: 5,
    ddb: { toolsVersion: '12325' },
  });
  const { ddb, contentId } = await readDescriptor(path);
  assert.equal(ddb.get('uuid'), '60 00 c2 93 11 11 22 22-33 33 44 44 55 55 66 66');
  assert.equal(ddb.get('toolsVersion'), '12325');
  assert.equal(contentId, 5);
  const header = await readFile(join(folder, 'a-s001.vmdk'));
  assert.deepEqual([header.readUInt32LE(4), header.readUInt32LE(8), header.readUInt32LE(20)], [2, 7, 16]);
});

test('what does not fit a kind is refused before anything is made', async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'a.vmdk');
  const cases: readonly [Partial<CreateDiskOptions>, string][] = [
    [{ kind: 'vmfs', grainBytes: 65536 }, 'option-invalid'],
    [{ kind: 'monolithicFlat', parent: { contentId: 1, fileNameHint: 'b.vmdk' } }, 'option-invalid'],
    [{ kind: 'monolithicSparse', allocation: 'eager' }, 'option-invalid'],
    [{ uuid: 'x' }, 'option-invalid'],
    [{ virtualBytes: 1000 }, 'size-invalid'],
    [{ grainBytes: 5000 }, 'size-invalid'],
    [{ grainBytes: 4096 }, 'size-invalid'],
    [{ virtualBytes: 3 * 2 ** 40 }, 'size-invalid'],
    [{ kind: 'twoGbMaxExtentSparse', virtualBytes: 60 * 2 ** 40 }, 'too-large'],
    [{ kind: 'streamOptimized' as 'vmfs' }, 'unsupported-create-type'],
  ];
  for (const [change, code] of cases) {
    const making = createDisk({ path, kind: 'monolithicSparse', virtualBytes: 2 ** 20, ...change });
    await assert.rejects(making, { name: 'VmdkError', code }, JSON.stringify(change));
  }
  assert.deepEqual(await readdir(folder), []);
});

test('nothing is overwritten and nothing half made stays', async (t) => {
  const folder = await temporaryFolder(t);
  for (const kind of creatableKinds) {
    const path = join(folder, `${kind}.vmdk`);
    await writeFile(path, 'mine');
    await assert.rejects(createDisk({ path, kind, virtualBytes: 5 * gibibyte }), { code: 'exists' });
    assert.equal(await readFile(path, 'utf8'), 'mine');
  }
  await writeFile(join(folder, 'b-s003.vmdk'), 'mine');
  const names = (await readdir(folder)).sort();
  const path = join(folder, 'b.vmdk');
  const making = createDisk({ path, kind: 'twoGbMaxExtentSparse', virtualBytes: 5 * gibibyte });
  await assert.rejects(making, { code: 'exists', message: /b-s003/ });
  const abort = new AbortController();
  const eager = createDisk({
    path,
    kind: 'twoGbMaxExtentFlat',
    virtualBytes: 2 ** 24,
    allocation: 'eager',
    signal: abort.signal,
    onProgress: () => abort.abort(new Error('enough')),
  });
  await assert.rejects(eager, /enough/);
  assert.deepEqual((await readdir(folder)).sort(), names);
});

async function readHeader(path: string) {
  const disk = await openDisk(path);
  await disk.close();
  if (!disk.descriptor) throw new Error('no descriptor');
  return disk.descriptor;
}
