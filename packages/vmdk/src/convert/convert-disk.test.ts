import assert from 'node:assert/strict';
import { mkdir, mkdtemp, open, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { createDisk } from '../create/create-disk.ts';
import { openDisk } from '../disk/open-disk.ts';
import { openRawDisk } from '../foreign/open-raw-disk.ts';
import { readStreamOptimized } from '../stream/stream-reader.ts';
import { collect, imageOf, inChunks, patterned, streamOf, temporaryFolder } from '../testing.ts';
import { type ConvertKind, convertDisk } from './convert-disk.ts';
import { rawSource, rawStream } from './disk-streams.ts';

const kinds: readonly ConvertKind[] = [
  'raw',
  'vmfs',
  'monolithicFlat',
  'twoGbMaxExtentFlat',
  'monolithicSparse',
  'twoGbMaxExtentSparse',
  'streamOptimized',
];

/** A raw image with holes, text and noise, whose last block is short. */
async function rawImage(
  test: TestContext,
  bytes = 3 * 2 ** 20 + 512 * 3,
): Promise<{ folder: string; path: string; image: Buffer }> {
  const folder = await temporaryFolder(test);
  const image = patterned(bytes, 40960, [2, 0, 1, 0, 0, 2]);
  const path = join(folder, 'source.raw');
  await writeFile(path, image);
  return { folder, path, image };
}

const openAs = (kind: ConvertKind, path: string) => (kind === 'raw' ? openRawDisk(path) : openDisk(path));

test('every kind is made from every other, byte for byte', async (t) => {
  const { folder, path, image } = await rawImage(t);
  let source = (await openRawDisk(path)) as Awaited<ReturnType<typeof openDisk>>;
  const order = [...kinds, ...kinds.toReversed(), 'monolithicSparse', 'vmfs'] as const;
  for (const [step, kind] of order.entries()) {
    const made = join(folder, `${step}.vmdk`);
    const progress: number[] = [];
    const result = await convertDisk({
      source,
      target: { path: made, kind },
      onProgress: ({ doneBytes, totalBytes }) => {
        assert.equal(totalBytes, image.length);
        progress.push(doneBytes);
      },
    });
    await source.close();
    assert.equal(result.virtualBytes, image.length);
    assert.ok(result.storedBytes > 0 && result.storedBytes <= image.length + 2 ** 20, String(result.storedBytes));
    assert.equal(progress.at(-1) ?? image.length, image.length);
    source = await openAs(kind, made);
    if (kind !== 'raw') assert.equal(source.descriptor?.createType, kind);
    assert.ok((await source.read(0, image.length)).equals(image), `${kind} at step ${step}`);
  }
  await source.close();
  assert.deepEqual(
    (await readdir(folder)).filter((name) => name.includes('partial')),
    [],
  );
});

test('what was written anywhere comes out, whatever the grains and the kind', async (t) => {
  const folder = await temporaryFolder(t);
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 6000 }),
      fc.array(fc.tuple(fc.nat(2 ** 21), fc.uint8Array({ minLength: 1, maxLength: 3000 })), { maxLength: 12 }),
      fc.constantFrom(
        'monolithicSparse' as const,
        'twoGbMaxExtentSparse' as const,
        'raw' as const,
        'streamOptimized' as const,
      ),
      fc.constantFrom(8192, 65536, 2 ** 21),
      async (sectors, writes, kind, grainBytes) => {
        const place = await mkdtemp(join(folder, 'run-'));
        const virtualBytes = sectors * 512;
        const path = join(place, 'a.vmdk');
        await createDisk({ path, kind: 'monolithicSparse', virtualBytes });
        const image = Buffer.alloc(virtualBytes);
        const source = await openDisk(path, { writable: true });
        for (const [at, bytes] of writes) {
          const data = Buffer.from(bytes).subarray(0, Math.max(0, virtualBytes - at));
          if (data.length === 0) continue;
          image.set(data, at);
          await source.write(at, data);
        }
        const target = { path: join(place, 'b.vmdk'), kind };
        await convertDisk({ source, target: { ...target, ...(kind.includes('parse') ? { grainBytes } : {}) } });
        await source.close();
        const disk = await openAs(kind, target.path);
        const same = (await disk.read(0, virtualBytes)).equals(image);
        await disk.close();
        await rm(place, { recursive: true });
        assert.ok(same);
      },
    ),
    { numRuns: 30 },
  );
});

test('a disk of several extents keeps its holes, and each byte its place', async (t) => {
  const folder = await temporaryFolder(t);
  const virtualBytes = 5 * 2 ** 30;
  const path = join(folder, 'big.raw');
  const handle = await open(path, 'w');
  await handle.truncate(virtualBytes);
  const marks = [0, 2047 * 2 ** 20 - 100, 4094 * 2 ** 20 + 5, virtualBytes - 7];
  const word = (at: number) => `at ${at}    `.slice(0, 7);
  for (const at of marks) await handle.write(word(at), at);
  await handle.close();
  for (const kind of ['twoGbMaxExtentSparse', 'twoGbMaxExtentFlat', 'raw'] as const) {
    const source = await openRawDisk(path);
    const target = join(folder, `${kind}.vmdk`);
    const { files } = await convertDisk({ source, target: { path: target, kind } });
    await source.close();
    assert.equal(files.length, kind === 'raw' ? 1 : 4);
    let stored = 0;
    for (const file of files) stored += (await stat(file)).blocks * 512;
    assert.ok(stored < 8 * 2 ** 20, `${kind} takes ${stored} bytes`);
    const disk = await openAs(kind, target);
    for (const at of marks) assert.equal((await disk.read(at, 7)).toString(), word(at));
    await disk.close();
  }
});

test('streams come in and go out without a seek', async (t) => {
  const { folder, path, image } = await rawImage(t);
  const stream = await streamOf(image);
  const reader = await readStreamOptimized(inChunks(stream, [1000, 70000]));
  const target = join(folder, 'flat.vmdk');
  await convertDisk({ source: reader, target: { path: target, kind: 'vmfs' } });
  const flat = await openDisk(target);
  assert.ok((await flat.read(0, image.length)).equals(image));
  assert.ok(Buffer.concat(await collect(rawStream(flat))).equals(image));
  await flat.close();
  const again = await readStreamOptimized(inChunks(stream, [700]));
  assert.ok(Buffer.concat(await collect(rawStream(again))).equals(image));
  const raw = rawSource(inChunks(image, [999]), image.length, 'stdin');
  await convertDisk({ source: raw, target: { path: join(folder, 's.vmdk'), kind: 'streamOptimized' } });
  const packed = await openDisk(join(folder, 's.vmdk'));
  assert.ok((await imageOf(image.length, packed.blocks())).equals(image));
  await packed.close();
  for (const [bytes, code] of [
    [image.length + 512, 'truncated'],
    [image.length - 512, 'trailing-data'],
  ] as const) {
    const wrong = rawSource(Readable.from([image]), bytes, 'stdin');
    await assert.rejects(convertDisk({ source: wrong, target: { path: join(folder, 'w'), kind: 'raw' } }), { code });
  }
  assert.deepEqual((await readdir(folder)).sort(), ['flat-flat.vmdk', 'flat.vmdk', 's.vmdk', 'source.raw']);
  assert.ok((await readFile(path)).equals(image));
});

test('nothing is overwritten unasked, and never a file of the source', async (t) => {
  const { folder, path } = await rawImage(t);
  const target = { path: join(folder, 'disk.vmdk'), kind: 'monolithicFlat' as const };
  const source = await openRawDisk(path);
  await writeFile(join(folder, 'disk-flat.vmdk'), 'mine');
  await assert.rejects(convertDisk({ source, target }), { code: 'exists' });
  assert.equal(await readFile(join(folder, 'disk-flat.vmdk'), 'utf8'), 'mine');
  await assert.rejects(convertDisk({ source, target: { path, kind: 'raw', overwrite: true } }), { code: 'exists' });
  await convertDisk({ source, target: { ...target, overwrite: true } });
  await assert.rejects(convertDisk({ source, target }), { code: 'exists' });
  // The extents of a disk that is replaced go with it.
  await convertDisk({ source, target: { path: target.path, kind: 'monolithicSparse', overwrite: true } });
  await source.close();
  assert.deepEqual((await readdir(folder)).sort(), ['disk.vmdk', 'source.raw']);
  const again = await openDisk(target.path);
  const flat = { path: join(folder, 'x.vmdk'), kind: 'vmfs' as const };
  await convertDisk({ source: again, target: flat });
  await again.close();
  const own = await openDisk(flat.path);
  const onto = { path: join(folder, 'x-flat.vmdk'), kind: 'raw' as const, overwrite: true };
  await assert.rejects(convertDisk({ source: own, target: onto }), { code: 'exists' });
  await own.close();
});

test('a source that ends in mid-course is named, and nothing is left', async (t) => {
  const { folder, path } = await rawImage(t, 64 * 2 ** 20);
  for (const kind of ['vmfs', 'twoGbMaxExtentSparse', 'streamOptimized', 'raw'] as const) {
    const source = await openRawDisk(path);
    const target = { path: join(folder, 'target.vmdk'), kind };
    let cut = false;
    const onProgress = () => {
      if (!cut) truncateNow(path);
      cut = true;
    };
    await assert.rejects(convertDisk({ source, target, onProgress }), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'truncated');
      assert.match(error.message, /source\.raw/);
      return true;
    });
    await source.close();
    assert.deepEqual(await readdir(folder), ['source.raw']);
    await truncate(path, 64 * 2 ** 20);
  }
});

test('a conversion that is given up leaves nothing', async (t) => {
  const { folder, path } = await rawImage(t, 16 * 2 ** 20);
  for (const kind of kinds) {
    const source = await openRawDisk(path);
    const abort = new AbortController();
    const target = { path: join(folder, 'target.vmdk'), kind };
    const onProgress = () => abort.abort(new Error('enough'));
    await assert.rejects(convertDisk({ source, target, onProgress, signal: abort.signal }), /enough/);
    await source.close();
    assert.deepEqual(await readdir(folder), ['source.raw'], kind);
  }
});

test('what a killed conversion left is cleared away; what another makes or owns is not', async (t) => {
  const { folder, path, image } = await rawImage(t);
  const target = { path: join(folder, 'disk.vmdk'), kind: 'monolithicFlat' as const };
  const partial = `${target.path}.partial`;
  const convert = async () => {
    const source = await openRawDisk(path);
    try {
      return await convertDisk({ source, target });
    } finally {
      await source.close();
    }
  };
  const leave = async (owner: object, files: Readonly<Record<string, string>>) => {
    await mkdir(partial, { recursive: true });
    await writeFile(join(partial, '.owner.json'), JSON.stringify(owner));
    for (const [name, text] of Object.entries(files)) await writeFile(join(partial, name), text);
  };
  // Killed while it gave the files their names: the extent had its own already, the descriptor had not.
  await leave(
    { host: hostname(), pid: 1, started: 'long ago' },
    {
      'disk.vmdk': 'x',
      '.placing.json': JSON.stringify([
        'disk-flat.vmdk',
        'disk.vmdk',
        '../source.raw',
        'source.raw',
        'disk-/../source.raw',
      ]),
    },
  );
  await writeFile(join(folder, 'disk-flat.vmdk'), 'an orphan');
  await convert();
  const disk = await openDisk(target.path);
  assert.ok((await disk.read(0, image.length)).equals(image));
  await disk.close();
  for (const name of ['disk.vmdk', 'disk-flat.vmdk']) await rm(join(folder, name));

  await leave({ host: 'elsewhere', pid: 1, started: '' }, {});
  await assert.rejects(convert(), /process 1 on elsewhere makes this disk/);
  await rm(partial, { recursive: true });
  await mkdir(partial);
  await writeFile(join(partial, 'letters.txt'), 'mine');
  await assert.rejects(convert(), { code: 'exists' });
  assert.deepEqual(await readdir(partial), ['letters.txt']);
});

/** Cuts a file short while it is read. */
function truncateNow(path: string): void {
  void truncate(path, 2 ** 20);
}
