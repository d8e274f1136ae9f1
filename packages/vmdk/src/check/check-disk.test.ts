import assert from 'node:assert/strict';
import { appendFile, open, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { creatableKinds, createDisk } from '../create/create-disk.ts';
import { openDisk } from '../disk/open-disk.ts';
import { parseSparseHeader } from '../sparse/sparse-header.ts';
import { patterned, temporaryFolder, writeStream } from '../testing.ts';
import { foreignChild } from '../testing-extents.ts';
import { checkDisk } from './check-disk.ts';

const image = patterned(3 * 2 ** 20 + 512, 50_000, [1, 0, 2, 0, 0]);

async function codesOf(path: string): Promise<string[]> {
  const { findings } = await checkDisk(path);
  return [...new Set(findings.map(({ code }) => code))].sort();
}

async function filled(path: string, kind: (typeof creatableKinds)[number], parent?: string): Promise<void> {
  const below = parent === undefined ? undefined : await openDisk(join(path, '..', parent));
  await below?.close();
  await createDisk({
    path,
    kind,
    virtualBytes: image.length,
    ...(below?.descriptor ? { parent: { contentId: below.descriptor.contentId, fileNameHint: parent as string } } : {}),
  });
  const disk = await openDisk(path, { writable: true });
  await disk.write(parent === undefined ? 0 : 70_000, parent === undefined ? image : Buffer.alloc(9000, 5));
  await disk.close();
}

async function patch(path: string, at: number, bytes: Uint8Array): Promise<void> {
  const handle = await open(path, 'r+');
  await handle.write(bytes, 0, bytes.length, at);
  await handle.close();
}

test('nothing is found in sound disks of every kind and in chains', async (t) => {
  const folder = await temporaryFolder(t);
  for (const kind of creatableKinds) {
    await filled(join(folder, `${kind}.vmdk`), kind);
    assert.deepEqual((await checkDisk(join(folder, `${kind}.vmdk`))).findings, [], kind);
  }
  await filled(join(folder, 'one.vmdk'), 'monolithicSparse', 'vmfs.vmdk');
  await filled(join(folder, 'two.vmdk'), 'twoGbMaxExtentSparse', 'one.vmdk');
  const { contentId } = (await openDisk(join(folder, 'two.vmdk')).then(async (disk) => {
    await disk.close();
    return disk.descriptor;
  }))!;
  const below = image;
  for (const kind of ['vmfsSparse', 'seSparse'] as const) {
    const path = join(folder, `${kind}.vmdk`);
    await foreignChild({
      path,
      kind,
      below,
      parent: join(folder, 'two.vmdk'),
      parentContentId: contentId,
      seed: 7,
      density: 3,
    });
    const check = await checkDisk(path);
    assert.deepEqual(check.findings, [], kind);
    assert.deepEqual(
      check.disks.map(({ createType }) => createType),
      [kind, 'twoGbMaxExtentSparse', 'monolithicSparse', 'vmfs'],
    );
    assert.ok((check.disks[0]?.extents[0]?.grains ?? 0) > 10);
  }
  await writeStream(image, join(folder, 'disk.vmdk'));
  const progress: number[] = [];
  const check = await checkDisk(join(folder, 'disk.vmdk'), { onProgress: ({ doneBytes }) => progress.push(doneBytes) });
  assert.deepEqual([check.findings, check.sound], [[], true]);
  assert.equal(progress.at(-1), image.length);
});

test('descriptors that do not fit their extents, missing ones, and broken chains are found', async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'base.vmdk');
  await filled(path, 'twoGbMaxExtentFlat');
  await filled(join(folder, 'child.vmdk'), 'monolithicSparse', 'base.vmdk');
  const child = join(folder, 'child.vmdk');
  assert.deepEqual(await codesOf(child), []);
  const flat = join(folder, 'base-f001.vmdk');
  await truncate(flat, image.length - 512);
  assert.deepEqual(await codesOf(child), ['extent-short']);
  await truncate(flat, image.length + 5120);
  assert.deepEqual(await codesOf(child), ['extent-long']);
  await truncate(flat, image.length);
  const disk = await openDisk(path, { writable: true });
  await disk.write(0, Buffer.from('changed'));
  await disk.close();
  const { findings, sound } = await checkDisk(child);
  assert.equal(sound, false);
  assert.equal(findings[0]?.code, 'parent-changed');
  assert.equal(findings[0]?.repair, 'acceptParent');
  assert.match(findings[0]?.message ?? '', /child\.vmdk.*expects CID.*base\.vmdk has/);
  await rename(flat, `${flat}.away`);
  assert.deepEqual(await codesOf(path), ['extent-missing']);
  assert.match((await checkDisk(path)).findings[0]?.message ?? '', /base-f001\.vmdk/);
  await rm(path);
  assert.deepEqual(await codesOf(child), ['parent-missing']);
  await rename(child, join(folder, 'other.vmdk'));
  assert.deepEqual(await codesOf(join(folder, 'other.vmdk')), ['name-differs', 'parent-missing']);
  assert.deepEqual(await codesOf(child), ['unreadable']);
  await writeFile(child, 'nothing of the kind');
  assert.deepEqual(await codesOf(child), ['unreadable']);
});

test('damage of a sparse file is found for what it is', async (t) => {
  const path = join(await temporaryFolder(t), 'disk.vmdk');
  await filled(path, 'monolithicSparse');
  const whole = await readFile(path);
  const header = parseSparseHeader(whole.subarray(0, 512), path);
  const first = whole.readUInt32LE((header.directoryOffset as number) * 512) * 512;
  const copy = whole.readUInt32LE(header.redundantDirectoryOffset * 512) * 512;
  const word = (value: number) => Buffer.from(new Uint32Array([value]).buffer);
  const stored = Array.from({ length: 48 }, (_, entry) => entry).filter((entry) =>
    whole.readUInt32LE(first + entry * 4),
  );
  const [one, two] = stored as [number, number];
  const sectorOf = (entry: number) => whole.readUInt32LE(first + entry * 4);
  const cases: readonly [string, string[], () => Promise<void>][] = [
    ['mark', ['unclean'], () => patch(path, 72, Uint8Array.of(1))],
    ['table', ['table-damaged'], () => patch(path, first, word(2))],
    ['copy', ['copy-damaged'], () => patch(path, copy + 8, word(0xfffffff0))],
    ['directory', ['table-damaged'], () => patch(path, (header.directoryOffset as number) * 512, word(0xffffff))],
    ['no directory', ['directory-damaged'], () => patch(path, 56, word(0x7fffffff))],
    ['one lists it', ['copies-differ'], () => patch(path, first + one * 4, word(0))],
    ['place of another', ['table-damaged'], () => patch(path, first + one * 4, word(sectorOf(two)))],
    [
      'conflict',
      ['copies-conflict'],
      async () => {
        await appendFile(path, Buffer.alloc(header.grainSectors * 512, 1));
        await patch(path, first + one * 4, word(whole.length / 512));
      },
    ],
    [
      'both shared',
      ['grain-overlap', 'grains-leaked'],
      async () => {
        for (const table of [first, copy]) await patch(path, table + one * 4, word(sectorOf(two)));
      },
    ],
    [
      'both lost',
      ['grain-lost', 'grains-leaked'],
      async () => {
        for (const table of [first, copy]) await patch(path, table + one * 4, word(3));
      },
    ],
    [
      'both forgot',
      ['grains-leaked'],
      async () => {
        for (const table of [first, copy]) await patch(path, table + two * 4, word(0));
      },
    ],
    ['cut', ['grain-cut', 'grain-lost'], () => truncate(path, whole.length - 65_636)],
    ['long', ['grains-leaked'], () => truncate(path, whole.length + 65_536 * 3)],
  ];
  for (const [name, codes, damage] of cases) {
    await writeFile(path, whole);
    await damage();
    assert.deepEqual(await codesOf(path), codes, name);
  }
});

test('a damaged or unfinished compressed disk is found', async (t) => {
  const path = join(await temporaryFolder(t), 'disk.vmdk');
  await writeStream(image, path);
  const whole = await readFile(path);
  await patch(path, 65536 + 30, Uint8Array.of(0xaa, 0xbb, 0xcc));
  const { findings } = await checkDisk(path);
  assert.deepEqual(
    findings.map(({ code, place }) => [code, place]),
    [['grain-corrupt', 'grain 0']],
  );
  assert.deepEqual((await checkDisk(path, { expandGrains: false })).findings, []);
  await writeFile(path, whole.subarray(0, -512));
  assert.deepEqual(await codesOf(path), ['stream-unfinished']);
  await writeFile(path, whole.subarray(0, whole.length / 2));
  assert.deepEqual(await codesOf(path), ['stream-cut']);
  const broken = Buffer.from(whole.subarray(0, whole.length / 2));
  broken.fill(0, 70_000, 90_000);
  await writeFile(path, broken);
  assert.deepEqual(await codesOf(path), ['stream-damaged']);
});

test('damage without end is counted, not listed without end', async (t) => {
  const path = join(await temporaryFolder(t), 'disk.vmdk');
  await createDisk({ path, kind: 'monolithicSparse', virtualBytes: 2 ** 34 });
  const size = (await stat(path)).size;
  await truncate(path, size + 65536);
  const header = parseSparseHeader((await readFile(path)).subarray(0, 512), path);
  // Every table of both copies full of one sector that cannot be.
  const block = Buffer.alloc((header.overheadSectors - header.redundantDirectoryOffset) * 512, 0x02);
  await patch(path, header.redundantDirectoryOffset * 512, block);
  const { findings, sound } = await checkDisk(path);
  assert.equal(sound, false);
  assert.ok(findings.length < 100, `${findings.length} findings`);
  assert.ok(findings.some(({ count }) => count > 8));
});

test('a check of anything ends with findings and never fails', async (t) => {
  const folder = await temporaryFolder(t);
  const names = ['monolithicSparse', 'stream', 'vmfsSparse', 'seSparse'] as const;
  const files = new Map<string, { path: string; file: string; bytes: Buffer }>();
  for (const name of names) {
    const path = join(folder, `${name}.vmdk`);
    let file = path;
    if (name === 'monolithicSparse') await filled(path, name);
    else if (name === 'stream') await writeStream(image.subarray(0, 2 ** 19), path);
    else file = (await foreignChild({ path, kind: name, below: image, seed: 2, density: 3 })).extent;
    files.set(name, { path, file, bytes: await readFile(file) });
  }
  const change = fc.tuple(fc.nat(), fc.nat(255), fc.constantFrom(80, 2100, 40_000, 2 ** 40));
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...names),
      fc.array(change, { maxLength: 6 }),
      fc.option(fc.nat(), { freq: 4 }),
      async (name, changes, cut) => {
        const { path, file, bytes } = files.get(name)!;
        const mutated = Buffer.from(bytes);
        for (const [at, value, span] of changes) mutated[at % Math.min(span, mutated.length)] = value;
        await writeFile(file, cut === null ? mutated : mutated.subarray(0, cut % mutated.length));
        const { findings } = await checkDisk(path);
        assert.ok(findings.length < 300);
      },
    ),
    { numRuns: 60 },
  );
});
