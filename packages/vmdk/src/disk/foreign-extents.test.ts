import assert from 'node:assert/strict';
import { open, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { buildDescriptor } from '../descriptor/descriptor-edit.ts';
import { writeDescriptor } from '../descriptor/descriptor-file.ts';
import { VmdkError } from '../errors.ts';
import { createFlatDisk } from '../flat/create-flat.ts';
import { collect, imageOf, patterned, temporaryFolder } from '../testing.ts';
import { foreignChild, writeCowdExtent, writeSesparseExtent } from '../testing-extents.ts';
import { openDisk } from './open-disk.ts';

const layer = fc.record({
  kind: fc.constantFrom('vmfsSparse' as const, 'seSparse' as const),
  seed: fc.nat(),
  density: fc.constantFrom(2, 5, 40),
  firstGrain: fc.constantFrom(0, 7, 5000),
});

test('chains of vmfsSparse and seSparse children over a flat disk equal a buffer', async (t) => {
  const folder = await temporaryFolder(t);
  let run = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.oneof({ weight: 9, arbitrary: fc.integer({ min: 1, max: 9000 }) }, fc.integer({ min: 33_000, max: 36_000 })),
      fc.array(layer, { minLength: 1, maxLength: 4 }),
      async (sectors, layers) => {
        run += 1;
        const virtualBytes = sectors * 512;
        let model = patterned(virtualBytes, 30_000, [1, 0, 2]);
        let parent = join(folder, `${run}.vmdk`);
        const { contentId } = await createFlatDisk({ path: parent, virtualBytes });
        await writeFile(join(folder, `${run}-flat.vmdk`), model);
        let parentContentId = contentId;
        for (const [index, { kind, seed, density, firstGrain }] of layers.entries()) {
          const path = join(folder, `${run}-${index}.vmdk`);
          const child = await foreignChild({
            path,
            kind,
            parent,
            parentContentId,
            below: model,
            seed,
            density,
            firstGrain,
          });
          model = child.image;
          parent = path;
          parentContentId = child.contentId;
        }
        const disk = await openDisk(parent);
        assert.equal(disk.virtualBytes, virtualBytes);
        assert.ok(model.equals(await disk.read(0, virtualBytes)), 'at once');
        assert.ok(model.equals(await imageOf(virtualBytes, disk.blocks())), 'as blocks');
        const from = Math.floor(virtualBytes / 3);
        assert.ok(model.subarray(from, from + 5000).equals(await disk.read(from, Math.min(5000, virtualBytes - from))));
        const ranges = await collect(disk.map());
        assert.equal(
          ranges.reduce((end, range) => (range.offset === end ? end + range.length : -1), 0),
          virtualBytes,
        );
        for (const { offset, length, state } of ranges) {
          if (state !== 'data') assert.ok(model.subarray(offset, offset + length).every((byte) => byte === 0));
        }
        await disk.close();
      },
    ),
    { numRuns: 12 },
  );
});

test('they are only read', async (t) => {
  const folder = await temporaryFolder(t);
  const image = patterned(2 ** 20, 4096, [1, 0]);
  for (const kind of ['vmfsSparse', 'seSparse'] as const) {
    const path = join(folder, `${kind}.vmdk`);
    await foreignChild({ path, kind, below: image, seed: 1, density: 2 });
    await assert.rejects(openDisk(path, { writable: true }), { code: 'read-only', message: new RegExp(kind) });
  }
});

test('a journal that waits to be replayed is refused, with what to do', async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'disk.vmdk');
  const image = Buffer.alloc(2 ** 20, 1);
  await writeSesparseExtent(join(folder, 'disk-sesparse.vmdk'), { image, stored: new Set([3]), dirty: true });
  const extents = [{ access: 'RW', sectors: 2048, type: 'SESPARSE', file: 'disk-sesparse.vmdk' }] as const;
  await writeDescriptor(path, buildDescriptor({ createType: 'seSparse', contentId: 1, extents }));
  await assert.rejects(openDisk(path), { code: 'unclean', message: /disk-sesparse\.vmdk.*journal.*ESXi/ });
});

test('a COWD extent without a descriptor is opened where it is a disk by itself', async (t) => {
  const folder = await temporaryFolder(t);
  const [root, child, sesparse] = ['root', 'child', 'se'].map((name) => join(folder, name)) as [string, string, string];
  const image = patterned(3 * 2 ** 20, 9000, [1, 2]);
  const stored = new Set(Array.from({ length: image.length / 512 }, (_, index) => index));
  await writeCowdExtent(root, { image, stored });
  const disk = await openDisk(root);
  assert.ok(image.equals(await disk.read(0, image.length)));
  assert.equal(disk.descriptor, undefined);
  await disk.close();
  await assert.rejects(openDisk(root, { writable: true }), { code: 'read-only' });
  await writeCowdExtent(child, { image, stored: new Set(), parentFileName: 'base-flat.vmdk' });
  await assert.rejects(openDisk(child), { code: 'unsupported-extent', message: /child of "base-flat\.vmdk"/ });
  await writeSesparseExtent(sesparse, { image, stored: new Set() });
  await assert.rejects(openDisk(sesparse), { code: 'unsupported-extent', message: /seSparse.*descriptor/ });
});

test('tables that lead out of the file or into the header are refused', async (t) => {
  const folder = await temporaryFolder(t);
  const image = patterned(2 ** 20, 512, [1]);
  const cowd = join(folder, 'cowd');
  await writeCowdExtent(cowd, { image, stored: new Set([0, 1]) });
  const patch = async (path: string, at: number, bytes: Buffer) => {
    const handle = await open(path, 'r+');
    await handle.write(bytes, 0, bytes.length, at);
    await handle.close();
  };
  const table = (await readFile(cowd)).readUInt32LE(2048) * 512;
  for (const sector of [1, 3, 0x7fffffff]) {
    await patch(cowd, table, Buffer.from(new Uint32Array([sector]).buffer));
    const disk = await openDisk(cowd);
    await assert.rejects(disk.read(0, 512), { code: 'table-invalid' });
    await disk.close();
  }
  await patch(cowd, 2048, Buffer.from(new Uint32Array([0x7fffffff]).buffer));
  const disk = await openDisk(cowd);
  await assert.rejects(disk.read(0, 512), { code: 'table-invalid', message: /table 0/ });
  await disk.close();
  await truncate(cowd, 2048);
  await assert.rejects(openDisk(cowd), { code: 'table-invalid', message: /directory/ });

  const path = join(folder, 'disk.vmdk');
  await foreignChild({ path, kind: 'seSparse', below: image, seed: 3, density: 1 });
  const extent = join(folder, 'disk-sesparse.vmdk');
  const bytes = await readFile(extent);
  const first = Number(bytes.readBigUInt64LE(18 * 8)) * 512;
  for (const entry of [0x4000000000000000n, 0x0000000000000005n, 0x3fff000000000000n, 0x3000ffffffffffffn]) {
    const value = Buffer.alloc(8);
    value.writeBigUInt64LE(entry);
    await patch(extent, first, value);
    const damaged = await openDisk(path);
    await assert.rejects(damaged.read(0, 4096), { code: 'table-invalid', message: /grain table entry 0/ });
    await damaged.close();
  }
});

test('damaged extents give data or a typed error, nothing else', async (t) => {
  const folder = await temporaryFolder(t);
  const image = patterned(5 * 2 ** 20, 40_000, [1, 0, 2]);
  const originals: { path: string; extent: string; bytes: Buffer }[] = [];
  for (const kind of ['vmfsSparse', 'seSparse'] as const) {
    const path = join(folder, `${kind}.vmdk`);
    const { extent } = await foreignChild({ path, kind, below: image, seed: 11, density: 3 });
    originals.push({ path, extent, bytes: await readFile(extent) });
  }
  const change = fc.tuple(fc.nat(), fc.nat(255), fc.constantFrom(64, 2100, 40_000, 2 ** 40));
  await fc.assert(
    fc.asyncProperty(
      fc.nat(1),
      fc.array(change, { minLength: 1, maxLength: 6 }),
      fc.option(fc.nat(), { freq: 4 }),
      fc.option(fc.uint8Array({ maxLength: 3000 }), { freq: 6 }),
      async (which, changes, cut, random) => {
        const { path, extent, bytes } = originals[which] as (typeof originals)[number];
        const mutated = Buffer.from(bytes);
        for (const [at, value, span] of changes) mutated[at % Math.min(span, mutated.length)] = value;
        if (random) mutated.set(random.subarray(4), 4);
        await writeFile(extent, cut === null ? mutated : mutated.subarray(0, cut % mutated.length));
        try {
          const disk = await openDisk(path);
          try {
            for await (const { offset, length } of disk.map()) {
              await disk.read(offset, Math.min(length, 50_000));
            }
          } finally {
            await disk.close();
          }
        } catch (error) {
          assert.ok(error instanceof VmdkError, error instanceof Error ? error.stack : String(error));
        }
      },
    ),
    { numRuns: 80 },
  );
});
