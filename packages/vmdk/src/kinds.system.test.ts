import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { type CreateDiskOptions, createDisk } from './create/create-disk.ts';
import { openDisk } from './disk/open-disk.ts';
import { writeStreamOptimized } from './stream/stream-writer.ts';
import { blocksOf, patterned, temporaryFolder } from './testing.ts';
import { foreignChild } from './testing-extents.ts';

const run = promisify(execFile);
const qemu =
  spawnSync('qemu-img', ['--version']).status === 0
    ? false
    : 'qemu-img is not installed: node scripts/debian-packages.mjs run';
const python = '/usr/bin/python3';
const libvmdk =
  spawnSync(python, ['-c', 'import pyvmdk']).status === 0
    ? false
    : 'python3-libvmdk is not installed: node scripts/debian-packages.mjs tests';

const image = patterned(5 * 2 ** 20 + 3 * 512, 24 * 1024, [0, 1, 2, 0, 0, 0, 0, 1, 2, 2, 0, 0, 0]);
/** Grains on both sides of the first seam of a split disk, and at its end. */
const seam = 2047 * 2 ** 20;
const splitBytes = 4100 * 2 ** 20 + 512;

/** What libvmdk reads of a stretch, through the disks of a chain, top first. */
async function readByLibvmdk(paths: readonly string[], offset: number, length: number): Promise<string> {
  const script = `
import hashlib, pyvmdk, sys
offset, length = int(sys.argv[1]), int(sys.argv[2])
disks = []
for path in sys.argv[3:]:
    disk = pyvmdk.handle()
    disk.open(path)
    disk.open_extent_data_files()
    disks.append(disk)
for child, parent in zip(disks, disks[1:]):
    child.set_parent(parent)
digest = hashlib.sha256()
disks[0].seek_offset(offset, 0)
while length > 0:
    piece = disks[0].read_buffer(min(length, 1 << 20))
    digest.update(piece)
    length -= len(piece)
print(disks[0].get_media_size(), digest.hexdigest())
`;
  const { stdout } = await run(python, ['-c', script, String(offset), String(length), ...paths]);
  return stdout.trim();
}

function read(virtualBytes: number, bytes: Buffer): string {
  return `${virtualBytes} ${createHash('sha256').update(bytes).digest('hex')}`;
}

async function compare(raw: string, path: string): Promise<void> {
  const { stdout } = await run('qemu-img', ['compare', '-f', 'raw', '-F', 'vmdk', raw, path]);
  assert.match(stdout, /identical/);
}

async function contentIdOf(path: string): Promise<number> {
  const disk = await openDisk(path);
  await disk.close();
  return disk.descriptor!.contentId;
}

async function fill(path: string, content: Buffer): Promise<void> {
  const disk = await openDisk(path, { writable: true });
  for await (const { offset, data } of blocksOf(content, 100_000)) await disk.write(offset, data);
  await disk.close();
}

const kinds: readonly (Pick<CreateDiskOptions, 'kind'> & Partial<CreateDiskOptions>)[] = [
  { kind: 'monolithicSparse' },
  { kind: 'monolithicSparse', grainBytes: 8192, zeroedGrains: true },
  { kind: 'monolithicFlat', allocation: 'thick' },
  { kind: 'twoGbMaxExtentSparse' },
  { kind: 'twoGbMaxExtentFlat' },
  { kind: 'vmfs' },
  { kind: 'vmfs', allocation: 'eager' },
];

for (const options of kinds) {
  const name = Object.values(options).join(', ');
  test(`qemu-img and libvmdk read a disk of ours: ${name}`, { skip: qemu }, async (t) => {
    const folder = await temporaryFolder(t);
    const path = join(folder, 'disk.vmdk');
    await writeFile(join(folder, 'raw'), image);
    await createDisk({ path, virtualBytes: image.length, ...options });
    await fill(path, image);
    await compare(join(folder, 'raw'), path);
    await run('qemu-img', ['check', '-f', 'vmdk', path]);
    const { stdout } = await run('qemu-img', ['info', '--output=json', path]);
    assert.equal(JSON.parse(stdout)['format-specific'].data['create-type'], options.kind);
    if (libvmdk === false) {
      assert.equal(await readByLibvmdk([path], 0, image.length), read(image.length, image));
    }
  });
}

test('libvmdk reads our streamOptimized disk', { skip: libvmdk }, async (t) => {
  const path = join(await temporaryFolder(t), 'disk.vmdk');
  const source = { virtualBytes: image.length, blocks: blocksOf(image) };
  await pipeline(Readable.from(writeStreamOptimized(source, { name: basename(path) })), createWriteStream(path));
  assert.equal(await readByLibvmdk([path], 0, image.length), read(image.length, image));
});

test('disks of over 2 GB are read alike on both sides of a seam', { skip: qemu }, async (t) => {
  const folder = await temporaryFolder(t);
  const piece = patterned(400_000, 9000, [1, 2, 0]);
  const at = seam - 150_000;
  for (const kind of ['twoGbMaxExtentSparse', 'twoGbMaxExtentFlat'] as const) {
    const path = join(folder, `${kind}.vmdk`);
    await createDisk({ path, kind, virtualBytes: splitBytes });
    const disk = await openDisk(path, { writable: true });
    await disk.write(at, piece);
    await disk.write(splitBytes - 5, Buffer.from('last!'));
    await disk.close();
    const raw = join(folder, 'raw');
    await run('qemu-img', ['convert', '-f', 'vmdk', '-O', 'raw', path, raw]);
    const converted = await openDisk(path);
    assert.ok(piece.equals(await converted.read(at, piece.length)));
    await converted.close();
    await compare(raw, path);
    if (libvmdk === false) {
      assert.equal(await readByLibvmdk([path], at, piece.length), read(splitBytes, piece));
    }
    // The other way: qemu-img splits at 2 GiB.
    const theirs = join(folder, `${kind}-theirs.vmdk`);
    await run('qemu-img', ['convert', '-f', 'raw', '-O', 'vmdk', '-o', `subformat=${kind}`, raw, theirs]);
    const other = await openDisk(theirs);
    assert.ok(piece.equals(await other.read(at, piece.length)));
    assert.equal((await other.read(splitBytes - 5, 5)).toString(), 'last!');
    assert.equal((await other.read(2 ** 31 - 70_000, 140_000)).some(Boolean), false);
    await other.close();
  }
});

for (const length of [2, 5, 32]) {
  test(`a chain of ${length} disks of ours is the same to qemu-img, and theirs to us`, { skip: qemu }, async (t) => {
    const folder = await temporaryFolder(t);
    const expected = Buffer.from(image);
    let parent = 'disk-0.vmdk';
    await createDisk({ path: join(folder, parent), kind: 'vmfs', virtualBytes: image.length });
    await fill(join(folder, parent), image);
    for (let index = 1; index < length; index += 1) {
      const name = `disk-${index}.vmdk`;
      const kind = index % 2 === 0 ? 'twoGbMaxExtentSparse' : 'monolithicSparse';
      const contentId = await contentIdOf(join(folder, parent));
      const path = join(folder, name);
      await createDisk({ path, kind, virtualBytes: image.length, parent: { contentId, fileNameHint: parent } });
      const data = patterned(90_000, 10_000, [1, 2]);
      const at = (index * 1_000_003) % (image.length - data.length);
      const disk = await openDisk(path, { writable: true });
      await disk.write(at, data);
      await disk.close();
      data.copy(expected, at);
      parent = name;
    }
    await writeFile(join(folder, 'raw'), expected);
    await compare(join(folder, 'raw'), join(folder, parent));
    await run('qemu-img', ['check', '-f', 'vmdk', join(folder, parent)]);
    if (libvmdk === false) {
      const paths = Array.from({ length }, (_, index) => join(folder, `disk-${length - 1 - index}.vmdk`));
      assert.equal(await readByLibvmdk(paths, 0, image.length), read(image.length, expected));
    }
    await theirChain(folder, length);
  });
}

async function theirChain(folder: string, length: number): Promise<void> {
  const expected = Buffer.from(image);
  await writeFile(join(folder, 'base'), image);
  await run('qemu-img', ['convert', '-f', 'raw', '-O', 'vmdk', join(folder, 'base'), join(folder, 'their-0.vmdk')]);
  for (let index = 1; index < length; index += 1) {
    const create = ['create', '-q', '-f', 'vmdk', '-b', `their-${index - 1}.vmdk`, '-F', 'vmdk', `their-${index}.vmdk`];
    await run('qemu-img', create, { cwd: folder });
    const at = (index * 777_216) % (image.length - 70_000);
    const start = at - (at % 512);
    const path = join(folder, `their-${index}.vmdk`);
    await run('qemu-io', ['-f', 'vmdk', '-c', `write -P ${index} ${start} 66048`, path]);
    expected.fill(index, start, start + 66_048);
  }
  const disk = await openDisk(join(folder, `their-${length - 1}.vmdk`));
  assert.ok(expected.equals(await disk.read(0, image.length)));
  await disk.close();
}

/** A flat disk and children of kinds that only ESXi writes, made by a writer of the tests. */
async function foreignChain(
  t: TestContext,
  length: number,
  kindOf: (index: number) => 'vmfsSparse' | 'seSparse',
): Promise<{ readonly paths: readonly string[]; readonly image: Buffer; readonly raw: string }> {
  const folder = await temporaryFolder(t);
  const paths = [join(folder, 'disk-0.vmdk')];
  await createDisk({ path: paths[0] as string, kind: 'vmfs', virtualBytes: image.length });
  await fill(paths[0] as string, image);
  let below: Buffer = image;
  let parentContentId = await contentIdOf(paths[0] as string);
  for (let index = 1; index < length; index += 1) {
    const parent = paths[0] as string;
    const path = join(folder, `disk-${index}.vmdk`);
    const density = length > 10 ? 60 : 4;
    const options = { path, kind: kindOf(index), parent, parentContentId, below, seed: index, density };
    const child = await foreignChild({ ...options, firstGrain: (index % 3) * 4100 });
    below = child.image;
    parentContentId = child.contentId;
    paths.unshift(path);
  }
  const raw = join(folder, 'raw');
  await writeFile(raw, below);
  return { paths, image: below, raw };
}

for (const [kind, length] of [
  ['vmfsSparse', 2],
  ['seSparse', 2],
  ['vmfsSparse', 5],
  ['seSparse', 5],
  ['both', 32],
] as const) {
  test(`a chain of ${length} with ${kind} is the same to qemu-img, libvmdk and us`, { skip: qemu }, async (t) => {
    const chain = await foreignChain(t, length, (index) => {
      if (kind !== 'both') return kind;
      return index % 2 === 0 ? 'vmfsSparse' : 'seSparse';
    });
    const [top] = chain.paths as [string];
    await compare(chain.raw, top);
    const disk = await openDisk(top);
    assert.ok(chain.image.equals(await disk.read(0, chain.image.length)));
    await disk.close();
    // libvmdk does not know seSparse.
    if (libvmdk === false && kind === 'vmfsSparse') {
      assert.equal(await readByLibvmdk(chain.paths, 0, chain.image.length), read(chain.image.length, chain.image));
    }
  });
}
