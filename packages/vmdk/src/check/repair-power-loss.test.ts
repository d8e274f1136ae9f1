import assert from 'node:assert/strict';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { createDisk } from '../create/create-disk.ts';
import { openDisk } from '../disk/open-disk.ts';
import { parseSparseHeader } from '../sparse/sparse-header.ts';
import { memoryFolder, patterned, streamOf } from '../testing.ts';
import { PowerRecording } from '../testing-power.ts';
import { checkDisk } from './check-disk.ts';
import { repairDisk } from './repair-disk.ts';

const grainBytes = 8192;

interface Damaged {
  /** Files by name; `disk.vmdk` is the disk. */
  readonly files: ReadonlyMap<string, Buffer>;
  /** What a repair must leave of it. */
  readonly content: Buffer;
}

/** Entries lost by either copy of the tables, grains that nothing refers to in the middle, and the mark of a writer. */
async function damagedTables(folder: string, kind: 'monolithicSparse' | 'twoGbMaxExtentSparse'): Promise<Damaged> {
  await mkdir(folder);
  const path = join(folder, 'disk.vmdk');
  const content = patterned(5 * 2 ** 20, grainBytes, [1, 0, 2, 1]);
  await createDisk({ path, kind, virtualBytes: content.length, grainBytes });
  const disk = await openDisk(path, { writable: true });
  await disk.write(0, content);
  await disk.close();
  const extent = kind === 'monolithicSparse' ? 'disk.vmdk' : 'disk-s001.vmdk';
  const bytes = await readFile(join(folder, extent));
  const header = parseSparseHeader(bytes.subarray(0, 512), extent);
  const table = (directory: number, index: number) => bytes.readUInt32LE(directory * 512 + index * 4) * 512;
  const directories = [header.directoryOffset as number, header.redundantDirectoryOffset];
  for (const [copy, directory] of directories.entries()) {
    // Given up: nobody names them any more.
    for (let grain = 40; grain < 80; grain += 3) bytes.writeUInt32LE(0, table(directory, 0) + grain * 4);
    for (let grain = 100 + copy; grain < 400; grain += 50)
      bytes.writeUInt32LE(0x00ffffff, table(directory, 0) + grain * 4);
  }
  for (let grain = 40; grain < 80; grain += 3) content.fill(0, grain * grainBytes, (grain + 1) * grainBytes);
  bytes[72] = 1;
  const files = new Map([[extent, bytes]]);
  if (extent !== 'disk.vmdk') files.set('disk.vmdk', await readFile(path));
  return { files, content };
}

/** A stream whose tables are missing, or only its end. */
async function cutStream(missing: number): Promise<Damaged> {
  const content = patterned(30 * 65536, 65536, [2, 1, 0]);
  const stream = await streamOf(content, { level: 1, name: 'disk.vmdk' });
  return { files: new Map([['disk.vmdk', stream.subarray(0, -missing)]]), content };
}

async function contentOf(path: string): Promise<Buffer> {
  const disk = await openDisk(path);
  try {
    return await disk.read(0, disk.virtualBytes);
  } finally {
    await disk.close();
  }
}

const damages: Readonly<Record<string, (folder: string) => Promise<Damaged>>> = {
  'tables and leaks of a monolithicSparse disk': (folder) => damagedTables(folder, 'monolithicSparse'),
  'tables and leaks of a twoGbMaxExtentSparse disk': (folder) => damagedTables(folder, 'twoGbMaxExtentSparse'),
  'a stream without its end': () => cutStream(1),
  'a stream without its directory': () => cutStream(1600),
};

for (const [name, damage] of Object.entries(damages)) {
  test(`a loss of power while ${name} are repaired costs nothing, and the next repair ends it`, async (t) => {
    const folder = await memoryFolder(t);
    const { files, content } = await damage(join(folder, 'made'));
    const home = join(folder, 'home');
    await mkdir(home);
    for (const [file, bytes] of files) await writeFile(join(home, file), bytes);
    const recording = await PowerRecording.begin(home);
    try {
      const { after } = await repairDisk(join(home, 'disk.vmdk'));
      assert.deepEqual(after.findings, []);
    } finally {
      recording.end();
    }
    assert.ok(recording.changes.length > 2);
    assert.ok(content.equals(await contentOf(join(home, 'disk.vmdk'))));
    let round = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.nat(recording.changes.length),
        fc.array(fc.boolean(), { minLength: 30, maxLength: 90 }),
        async (end, coins) => {
          round += 1;
          const place = join(folder, `${round}`);
          await mkdir(place);
          let turn = 0;
          const medium = recording.mediumAfter(files, end, () => coins[turn++ % coins.length] ?? false);
          for (const [file, bytes] of medium) await writeFile(join(place, file), bytes);
          const path = join(place, 'disk.vmdk');
          const where = `cut at ${end} of ${recording.changes.length}`;
          const { sound } = await checkDisk(path);
          if (sound)
            assert.ok(content.equals(await contentOf(path)), `${where}: called sound, and reads something else`);
          // What came behind the grains may be half there; none of it is anybody's data.
          const { after } = await repairDisk(path, { acceptLoss: true });
          assert.deepEqual(after.findings, [], where);
          assert.ok(content.equals(await contentOf(path)), where);
          await rm(place, { recursive: true });
        },
      ),
      { numRuns: Number(process.env.HYPOSTYLE_RUNS ?? 15) },
    );
  });
}
