import assert from 'node:assert/strict';
import { open, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Disk } from '../disk/disk.ts';
import { openDisk } from '../disk/open-disk.ts';
import { VmdkError } from '../errors.ts';
import { collect, imageOf, patterned, streamOf, temporaryFolder } from '../testing.ts';
import { createSparseDisk } from './create-sparse.ts';
import { parseSparseHeader } from './sparse-header.ts';

test('random writes and reads equal a buffer, alone and over a chain of parents', async (t) => {
  const folder = await temporaryFolder(t);
  let run = 0;
  const write = fc.record({
    at: fc.nat(),
    length: fc.integer({ min: 1, max: 150_000 }),
    kind: fc.constantFrom(0 as const, 1 as const, 2 as const),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 2000 }),
      fc.array(fc.array(write, { maxLength: 6 }), { minLength: 1, maxLength: 4 }),
      fc.constantFrom(8192, 65536),
      async (sectors, generations, grainBytes) => {
        run += 1;
        let model = Buffer.alloc(0);
        let parent: { contentId: number; fileNameHint: string } | undefined;
        for (const [generation, writes] of generations.entries()) {
          const virtualBytes = (sectors + generation) * 512;
          const name = `${run}-${generation}.vmdk`;
          const path = join(folder, name);
          await createSparseDisk({ path, virtualBytes, grainBytes, ...(parent ? { parent } : {}) });
          model = Buffer.concat([model, Buffer.alloc(virtualBytes - model.length)]);
          let disk = await openDisk(path, { writable: true });
          await Promise.all(
            writes.map(async ({ at, length, kind }) => {
              const offset = at % virtualBytes;
              const data = patterned(Math.min(length, virtualBytes - offset), 5000, [kind, 1]);
              data.copy(model, offset);
              await disk.write(offset, data);
            }),
          );
          assert.ok(model.equals(await disk.read(0, virtualBytes)), 'while open');
          await disk.close();
          disk = await openDisk(path);
          assert.ok(model.equals(await disk.read(0, virtualBytes)), 'after closing');
          assert.ok(model.equals(await imageOf(virtualBytes, disk.blocks())), 'as blocks');
          const half = Math.floor(virtualBytes / 2) - 3;
          assert.ok(model.subarray(half).equals(await disk.read(half, virtualBytes - half)));
          const ranges = await collect(disk.map());
          assert.equal(
            ranges.reduce((end, range) => (range.offset === end ? end + range.length : -1), 0),
            virtualBytes,
          );
          for (const { offset, length, state } of ranges) {
            if (state !== 'data') assert.ok(model.subarray(offset, offset + length).every((byte) => byte === 0));
          }
          await disk.close();
          parent = { contentId: disk.descriptor!.contentId, fileNameHint: name };
        }
      },
    ),
    { numRuns: 25 },
  );
});

test('a new disk takes room only for what is written, and zeros are not', async (t) => {
  const path = join(await temporaryFolder(t), 'disk.vmdk');
  await createSparseDisk({ path, virtualBytes: 2 ** 40 });
  const empty = await stat(path);
  assert.ok(empty.blocks * 512 < 2 ** 20, `${empty.blocks} blocks`);
  const disk = await openDisk(path, { writable: true });
  await disk.write(2 ** 39, Buffer.alloc(200_000));
  await disk.flush();
  assert.equal((await stat(path)).size, empty.size);
  await disk.write(2 ** 39 + 5, Buffer.from('x'));
  assert.equal((await stat(path)).size, empty.size + 65536);
  assert.deepEqual(await collect(disk.map()), [
    { offset: 0, length: 2 ** 39, state: 'unallocated' },
    { offset: 2 ** 39, length: 65536, state: 'data' },
    { offset: 2 ** 39 + 65536, length: 2 ** 39 - 65536, state: 'unallocated' },
  ]);
  await disk.close();
});

test('a disk is marked unclean while it is written, and then refused for writing until repaired', async (t) => {
  const path = join(await temporaryFolder(t), 'disk.vmdk');
  await createSparseDisk({ path, virtualBytes: 2 ** 20 });
  const unclean = async () => parseSparseHeader((await readFile(path)).subarray(0, 512), path).unclean;
  const disk = await openDisk(path, { writable: true });
  await disk.write(0, Buffer.from('kept'));
  assert.equal(await unclean(), true);
  await assert.rejects(openDisk(path, { writable: true }), { code: 'unclean', message: /disk\.vmdk/ });
  // Others see what was flushed.
  await disk.flush();
  const reader = await openDisk(path);
  assert.equal((await reader.read(0, 4)).toString(), 'kept');
  await assert.rejects(reader.write(0, Buffer.from('x')), { code: 'read-only' });
  await reader.close();
  await disk.close();
  assert.equal(await unclean(), false);
});

test('the redundant grain tables say the same as the first ones', async (t) => {
  const path = join(await temporaryFolder(t), 'disk.vmdk');
  await createSparseDisk({ path, virtualBytes: 100 * 2 ** 20 });
  const disk = await openDisk(path, { writable: true });
  for (const offset of [0, 40 * 2 ** 20, 99 * 2 ** 20]) await disk.write(offset, patterned(100_000, 1000, [2]));
  await disk.close();
  const bytes = await readFile(path);
  const header = parseSparseHeader(bytes.subarray(0, 512), path);
  const tables = (directory: number) =>
    Array.from({ length: 4 }, (_, index) => {
      const sector = bytes.readUInt32LE(directory * 512 + index * 4);
      return bytes.subarray(sector * 512, sector * 512 + 2048).toString('hex');
    });
  assert.deepEqual(tables(header.redundantDirectoryOffset), tables(header.directoryOffset as number));
  assert.equal(tables(header.directoryOffset as number).filter((table) => /[^0]/.test(table)).length, 3);
});

test('the first write gives a new CID, once, before the data', async (t) => {
  const path = join(await temporaryFolder(t), 'disk.vmdk');
  const made = await createSparseDisk({ path, virtualBytes: 2 ** 20, contentId: 0x1234 });
  const idNow = async () => {
    const disk = await openDisk(path);
    await disk.close();
    return disk.descriptor?.contentId;
  };
  const disk = await openDisk(path, { writable: true });
  assert.equal(await idNow(), 0x1234);
  await disk.write(0, Buffer.from('a'));
  const renewed = await idNow();
  assert.notEqual(renewed, made.contentId);
  await disk.write(0, Buffer.from('b'));
  assert.equal(await idNow(), renewed);
  await disk.close();
});

test('nothing is overwritten, and a size that does not fit is refused', async (t) => {
  const path = join(await temporaryFolder(t), 'disk.vmdk');
  await writeFile(path, 'precious');
  await assert.rejects(createSparseDisk({ path, virtualBytes: 2 ** 20 }), { code: 'exists' });
  assert.equal(await readFile(path, 'utf8'), 'precious');
  for (const virtualBytes of [0, 100, -512, 2 ** 42, Number.NaN, 2 ** 60]) {
    await assert.rejects(createSparseDisk({ path: `${path}2`, virtualBytes }), { code: 'size-invalid' });
  }
});

test('a damaged sparse or streamOptimized file gives data or a typed error, nothing else', async (t) => {
  const folder = await temporaryFolder(t);
  const sparsePath = join(folder, 'sparse.vmdk');
  await createSparseDisk({ path: sparsePath, virtualBytes: 600 * 1024 });
  const disk: Disk = await openDisk(sparsePath, { writable: true });
  await disk.write(0, patterned(600 * 1024, 50_000, [2, 0, 0]));
  await disk.close();
  const originals = [await readFile(sparsePath), await streamOf(patterned(600 * 1024, 50_000, [1, 0, 0, 2]))];
  const path = join(folder, 'mutated.vmdk');
  const change = fc.tuple(
    fc.nat(),
    fc.integer({ min: 0, max: 255 }),
    fc.constantFrom('header', 'metadata', 'all', 'end'),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.nat(1),
      fc.array(change, { minLength: 1, maxLength: 5 }),
      fc.option(fc.nat(), { freq: 4 }),
      async (which, changes, cut) => {
        const bytes = Buffer.from(originals[which] as Buffer);
        for (const [at, value, area] of changes) {
          const span = { header: 79, metadata: 25_000, all: bytes.length, end: 5000 }[area as 'header'];
          bytes[area === 'end' ? bytes.length - 1 - (at % span) : at % span] = value;
        }
        await writeFile(path, cut === null ? bytes : bytes.subarray(0, cut % bytes.length));
        try {
          const mutated = await openDisk(path);
          try {
            for await (const { offset, length } of mutated.map()) {
              assert.ok(offset + length <= mutated.virtualBytes);
              await mutated.read(offset, Math.min(length, 100_000));
            }
          } finally {
            await mutated.close();
          }
        } catch (error) {
          assert.ok(error instanceof VmdkError, error instanceof Error ? error.stack : String(error));
        }
      },
    ),
    { numRuns: 150 },
  );
  await rm(path, { force: true });
});

test('a grain that points past the file or into the metadata is refused', async (t) => {
  const path = join(await temporaryFolder(t), 'disk.vmdk');
  await createSparseDisk({ path, virtualBytes: 2 ** 20 });
  const disk = await openDisk(path, { writable: true });
  await disk.write(0, Buffer.from('x'));
  await disk.close();
  const bytes = await readFile(path);
  const header = parseSparseHeader(bytes.subarray(0, 512), path);
  const tables = [header.directoryOffset as number, header.redundantDirectoryOffset].map(
    (directory) => bytes.readUInt32LE(directory * 512) * 512,
  );
  for (const sector of [5, 1, 0xffffffff]) {
    const handle = await open(path, 'r+');
    const entry = Buffer.alloc(4);
    entry.writeUInt32LE(sector);
    for (const table of tables) await handle.write(entry, 0, 4, table);
    await handle.close();
    const damaged = await openDisk(path);
    await assert.rejects(damaged.read(0, 512), { code: 'table-invalid', message: /grain 0 at sector/ });
    await damaged.close();
  }
});

test('a file that ends within its last grain reads as zeros from there', async (t) => {
  const path = join(await temporaryFolder(t), 'disk.vmdk');
  await createSparseDisk({ path, virtualBytes: 65536 });
  const disk = await openDisk(path, { writable: true });
  await disk.write(0, Buffer.alloc(65536, 7));
  await disk.close();
  await truncate(path, (await stat(path)).size - 65436);
  const short = await openDisk(path);
  const buffer = Buffer.alloc(65536, 9);
  await short.readInto(buffer, 0);
  await short.close();
  assert.ok(buffer.equals(Buffer.concat([Buffer.alloc(100, 7), Buffer.alloc(65436)])));
});
