import assert from 'node:assert/strict';
import { access, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { deflateSync } from 'node:zlib';
import fc from 'fast-check';
import { openDisk } from '../disk/open-disk.ts';
import { formatSparseHeader, parseSparseHeader } from '../sparse/sparse-header.ts';
import { inChunks, patterned, streamOf, temporaryFolder } from '../testing.ts';
import { inflateToFlat } from './inflate-to-flat.ts';
import { formatGrain, formatMarker, markerTypes } from './markers.ts';

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );

test('any disk is written as it is, from a stream and from a file', async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'disk.vmdk');
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 5000 }),
      fc.array(fc.constantFrom(0 as const, 1 as const, 2 as const), { minLength: 1, maxLength: 9 }),
      fc.integer({ min: 512, max: 300_000 }),
      async (sectors, pattern, unit) => {
        const image = patterned(sectors * 512, unit, pattern);
        const stream = await streamOf(image, { level: 1 });
        await writeFile(path, stream);
        const disk = await openDisk(path);
        for (const source of [inChunks(stream, [100_000]), disk]) {
          const target = join(folder, 'flat.partial');
          const result = await inflateToFlat(source, target, { capacityBytes: image.length });
          assert.equal(result.virtualBytes, image.length);
          assert.equal(result.descriptor?.createType, 'streamOptimized');
          assert.ok(image.equals(await readFile(target)));
        }
        await disk.close();
      },
    ),
    { numRuns: 20 },
  );
});

test('zeros become holes, and an older target is emptied', async (t) => {
  const target = join(await temporaryFolder(t), 'flat');
  await writeFile(target, Buffer.alloc(2 ** 20, 0xff));
  const image = Buffer.alloc(64 * 2 ** 20);
  image.write('end', image.length - 3);
  const progress: number[] = [];
  const result = await inflateToFlat(inChunks(await streamOf(image), [65536]), target, {
    capacityBytes: 2 ** 30,
    onProgress: ({ doneBytes }) => progress.push(doneBytes),
  });
  assert.equal(result.writtenBytes, 65536);
  const { size, blocks } = await stat(target);
  assert.equal(size, image.length);
  assert.ok(blocks * 512 <= 2 ** 20);
  assert.ok(image.equals(await readFile(target)));
  assert.equal(progress.at(-1), image.length);
});

test('grains of zeros that another maker stored become holes too', async (t) => {
  const target = join(await temporaryFolder(t), 'flat');
  const stream = await streamOf(Buffer.alloc(2 ** 20));
  const header = parseSparseHeader(stream.subarray(0, 512), 'x');
  // Without tables, as a writer that patches the header afterwards leaves it when it is read as a stream.
  const front = Buffer.concat([formatSparseHeader({ ...header, directoryOffset: 4096 }), stream.subarray(512, 65536)]);
  const grains = Array.from({ length: 16 }, (_, index) => formatGrain(index * 128, deflateSync(Buffer.alloc(65536))));
  const source = inChunks(Buffer.concat([front, ...grains, formatMarker(markerTypes.endOfStream, 0)]), [65536]);
  const result = await inflateToFlat(source, target, { capacityBytes: 2 ** 20 });
  assert.equal(result.writtenBytes, 0);
  assert.equal((await stat(target)).blocks, 0);
});

test('a disk larger than expected is refused before the target is touched', async (t) => {
  const target = join(await temporaryFolder(t), 'flat');
  await writeFile(target, 'kept');
  const source = inChunks(await streamOf(Buffer.alloc(2 ** 20)), [65536]);
  await assert.rejects(inflateToFlat(source, target, { capacityBytes: 2 ** 20 - 512, name: 'a.ova' }), {
    code: 'capacity-exceeded',
    message: /a\.ova.*1048576 bytes, 1048064 expected/,
  });
  assert.equal(await readFile(target, 'utf8'), 'kept');
});

test('a truncated, damaged or aborted source leaves no target', async (t) => {
  const folder = await temporaryFolder(t);
  const target = join(folder, 'flat');
  const image = patterned(40 * 65536, 65536, [2]);
  const stream = await streamOf(image, { level: 1 });
  const capacityBytes = image.length;
  const cut = inChunks(stream.subarray(0, stream.length / 2), [65536]);
  await assert.rejects(inflateToFlat(cut, target, { capacityBytes }), { code: 'truncated' });
  assert.equal(await exists(target), false);
  const damaged = Buffer.from(stream);
  damaged[stream.length / 2] = (damaged[stream.length / 2] as number) ^ 1;
  await assert.rejects(inflateToFlat(inChunks(damaged, [65536]), target, { capacityBytes }), { name: 'VmdkError' });
  assert.equal(await exists(target), false);
  const abort = new AbortController();
  const aborted = inflateToFlat(inChunks(stream, [65536]), target, {
    capacityBytes,
    signal: abort.signal,
    onProgress: () => abort.abort(new Error('enough')),
  });
  await assert.rejects(aborted, /enough/);
  assert.equal(await exists(target), false);
  await mkdir(target);
  await assert.rejects(inflateToFlat(inChunks(stream, [65536]), target, { capacityBytes }), { code: 'io-failed' });
});

test('a long stream goes through in constant memory', async (t) => {
  const target = join(await temporaryFolder(t), 'flat');
  const stream = await streamOf(patterned(200 * 2 ** 20, 3 * 2 ** 20, [1, 0, 0, 0, 0, 0, 0, 0, 0]), { level: 1 });
  const before = process.memoryUsage();
  let most = 0;
  await inflateToFlat(inChunks(stream, [65536]), target, {
    capacityBytes: 2 ** 30,
    onProgress: () => {
      most = Math.max(most, process.memoryUsage().arrayBuffers);
    },
  });
  assert.ok(most - before.arrayBuffers < 100 * 2 ** 20, `${(most - before.arrayBuffers) >> 20} MiB`);
});
