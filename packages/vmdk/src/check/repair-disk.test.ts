import assert from 'node:assert/strict';
import { createReadStream } from 'node:fs';
import { readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { createDisk } from '../create/create-disk.ts';
import { readDescriptor } from '../descriptor/descriptor-file.ts';
import { openDisk } from '../disk/open-disk.ts';
import { VmdkError } from '../errors.ts';
import { FileWindow } from '../file-window.ts';
import { parseSparseHeader, type SparseHeader } from '../sparse/sparse-header.ts';
import { readStreamOptimized } from '../stream/stream-reader.ts';
import { imageOf, memoryFolder, patterned, streamOf } from '../testing.ts';
import { checkDisk } from './check-disk.ts';
import { repairDisk } from './repair-disk.ts';

const grainBytes = 8192;
const image = patterned(9 * 2 ** 20 + 512, grainBytes, [1, 0, 2, 0, 0, 1]);

interface Sparse {
  readonly path: string;
  readonly whole: Buffer;
  readonly header: SparseHeader;
  /** Byte where a table of a copy begins. */
  table(copy: 0 | 1, index: number): number;
}

async function sparse(t: TestContext): Promise<Sparse> {
  const path = join(await memoryFolder(t), 'disk.vmdk');
  await createDisk({ path, kind: 'monolithicSparse', virtualBytes: image.length, grainBytes });
  const disk = await openDisk(path, { writable: true });
  await disk.write(0, image);
  await disk.close();
  const whole = await readFile(path);
  const header = parseSparseHeader(whole.subarray(0, 512), path);
  const directories = [header.directoryOffset as number, header.redundantDirectoryOffset];
  return {
    path,
    whole,
    header,
    table: (copy, index) => whole.readUInt32LE((directories[copy] as number) * 512 + index * 4) * 512,
  };
}

async function contentOf(path: string): Promise<Buffer> {
  const disk = await openDisk(path);
  try {
    return await disk.read(0, disk.virtualBytes);
  } finally {
    await disk.close();
  }
}

async function expectWritable(path: string): Promise<void> {
  const disk = await openDisk(path, { writable: true });
  await disk.write(4096, Buffer.from('still written'));
  await disk.write(5 * 2 ** 20 + 4096, Buffer.from('still written'));
  await disk.close();
  assert.deepEqual((await checkDisk(path)).findings, []);
}

test('a sound disk is left as it is', async (t) => {
  const { path, whole } = await sparse(t);
  const { actions, before, after } = await repairDisk(path);
  assert.deepEqual([actions, before.findings, after.findings], [[], [], []]);
  assert.ok(whole.equals(await readFile(path)));
});

const word = (value: number) => Buffer.from(new Uint32Array([value]).buffer);

test('whatever one copy of the tables lost is taken from the other', async (t) => {
  const { path, whole, header, table } = await sparse(t);
  const directories = [header.directoryOffset as number, header.redundantDirectoryOffset] as const;
  const damage = fc.record({
    what: fc.constantFrom('entry', 'table', 'directory entry', 'directory', 'header'),
    index: fc.nat(2),
    entry: fc.nat(511),
    value: fc.constantFrom(0, 2, 0x00ffffff, 0xffffffff),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(damage, { minLength: 1, maxLength: 6 }),
      fc.constantFrom(0 as const, 1 as const),
      fc.boolean(),
      async (damages, copy, unclean) => {
        const damaged = Buffer.from(whole);
        if (unclean) damaged[72] = 1;
        for (const { what, index, entry, value } of damages) {
          const directory = directories[copy] * 512;
          if (what === 'entry') damaged.writeUInt32LE(value, table(copy, index) + entry * 4);
          // A table of zeros says that nothing is stored; the other copy knows better.
          else if (what === 'table') damaged.fill(word(value), table(copy, index), table(copy, index) + 2048);
          else if (what === 'directory entry') damaged.writeUInt32LE(value || 0x0fffffff, directory + index * 4);
          else if (what === 'directory') damaged.fill(0xff, directory, directory + 12);
          else damaged.writeBigUInt64LE(2n ** 33n, copy === 0 ? 56 : 48);
        }
        await writeFile(path, damaged);
        const { after } = await repairDisk(path);
        assert.deepEqual(after.findings, []);
        assert.ok(image.equals(await contentOf(path)));
        await expectWritable(path);
      },
    ),
    { numRuns: 25 },
  );
});

test('what both copies lost, or place differently, stays as it is, and the disk is not called clean', async (t) => {
  const { path, whole, table } = await sparse(t);
  const elsewhere = whole.length / 512;
  const damaged = Buffer.concat([whole, Buffer.alloc(grainBytes, 9)]);
  damaged[72] = 1;
  for (const copy of [0, 1] as const) damaged.writeUInt32LE(7, table(copy, 0) + 8);
  damaged.writeUInt32LE(elsewhere, table(1, 0) + 20);
  damaged.fill(0xff, table(0, 1), table(0, 1) + 2048);
  await writeFile(path, damaged);
  const { actions, after } = await repairDisk(path);
  assert.equal(actions.length, 1);
  const codes = after.findings.map(({ code }) => code).sort();
  assert.ok(codes.includes('grain-lost') && codes.includes('copies-conflict') && codes.includes('unclean'));
  assert.ok(!codes.includes('table-damaged'));
  const now = await readFile(path);
  for (const copy of [0, 1] as const) assert.equal(now.readUInt32LE(table(copy, 0) + 8), 7);
  assert.equal(now.readUInt32LE(table(1, 0) + 20), elsewhere);
  await assert.rejects(openDisk(path, { writable: true }), { code: 'unclean' });
  const disk = await openDisk(path);
  assert.ok(image.subarray(4 * 2 ** 20).equals(await disk.read(4 * 2 ** 20, image.length - 4 * 2 ** 20)));
  await disk.close();
});

test('where two copies place a grain differently, the one that names the place of another grain is wrong', async (t) => {
  const { path, whole, table } = await sparse(t);
  for (const copy of [0, 1] as const) {
    const damaged = Buffer.from(whole);
    damaged.writeUInt32LE(whole.readUInt32LE(table(0, 0)), table(copy, 0) + 20);
    await writeFile(path, damaged);
    const { after } = await repairDisk(path);
    assert.deepEqual(after.findings, []);
    assert.ok(image.equals(await contentOf(path)));
  }
});

test('what one copy alone lists in the place of another grain is not taken over', async (t) => {
  const { path, whole, table } = await sparse(t);
  const absent = Array.from({ length: 512 }, (_, entry) => entry).find(
    (entry) => whole.readUInt32LE(table(0, 0) + entry * 4) === 0,
  ) as number;
  for (const copy of [0, 1] as const) {
    const damaged = Buffer.from(whole);
    damaged.writeUInt32LE(whole.readUInt32LE(table(0, 1)), table(copy, 0) + absent * 4);
    await writeFile(path, damaged);
    const { after } = await repairDisk(path);
    assert.deepEqual(after.findings, []);
    assert.ok(image.equals(await contentOf(path)));
  }
});

test('a table whose copies disagree for good is read after a repair as it was before', async (t) => {
  const { path, whole, table } = await sparse(t);
  const damaged = Buffer.concat([whole, Buffer.alloc(grainBytes, 9)]);
  damaged.writeUInt32LE(whole.length / 512, table(0, 0) + 20);
  damaged.writeUInt32LE(0x00ffffff, table(0, 0));
  await writeFile(path, damaged);
  const { before, actions } = await repairDisk(path);
  assert.deepEqual(actions, []);
  assert.deepEqual(
    before.findings.map(({ code, repair }) => [code, repair]),
    [
      ['table-damaged', 'no'],
      ['copies-conflict', 'no'],
    ],
  );
  assert.ok(image.equals(await contentOf(path)));
});

test('leaked room is given back and nothing is lost, wherever a repair is cut off', async (t) => {
  const { path, whole, table } = await sparse(t);
  const expected = Buffer.from(image);
  const damaged = Buffer.concat([whole, Buffer.alloc(3 * grainBytes, 9)]);
  damaged[72] = 1;
  let leaked = 3;
  for (let grain = 0; grain < 400; grain += 7) {
    const at = grain * 4;
    if (whole.readUInt32LE(table(0, 0) + at) === 0) continue;
    for (const copy of [0, 1] as const) damaged.writeUInt32LE(0, table(copy, 0) + at);
    expected.fill(0, grain * grainBytes, (grain + 1) * grainBytes);
    leaked += 1;
  }
  await writeFile(path, damaged);
  const before = await checkDisk(path);
  assert.equal(before.disks[0]?.extents[0]?.leakedBytes, leaked * grainBytes);
  const write = FileWindow.prototype.write;
  for (let allowed = 0; ; allowed += 9) {
    await writeFile(path, damaged);
    let left = allowed;
    const mock = t.mock.method(
      FileWindow.prototype,
      'write',
      function (this: FileWindow, data: Uint8Array, at: number) {
        left -= 1;
        if (left < 0)
          return Promise.reject(new VmdkError('io-failed', { file: path, reason: 'the machine went down' }));
        return write.call(this, data, at);
      },
    );
    const cut = await repairDisk(path).then(
      () => false,
      () => true,
    );
    mock.mock.restore();
    assert.ok(expected.equals(await contentOf(path)), `after ${allowed} writes`);
    const { after } = await repairDisk(path);
    assert.deepEqual(after.findings, [], `after ${allowed} writes`);
    assert.ok(expected.equals(await contentOf(path)));
    assert.equal((await stat(path)).size, damaged.length - leaked * grainBytes);
    if (!cut) break;
  }
  await expectWritable(path);
});

test('a stream is finished where nothing is missing, and where something is only when that is accepted', async (t) => {
  const folder = await memoryFolder(t);
  const path = join(folder, 'disk.vmdk');
  const disk = patterned(30 * 65536 + 1024, 65536, [2, 1, 0]);
  const stream = await streamOf(disk, { level: 1, name: 'disk.vmdk' });
  const lengths = fc.oneof(
    fc.integer({ min: 65536, max: stream.length - 1 }),
    fc.integer({ min: stream.length - 6000, max: stream.length - 1 }),
  );
  await fc.assert(
    fc.asyncProperty(lengths, async (length) => {
      await writeFile(path, stream.subarray(0, length));
      const { before, after, actions } = await repairDisk(path);
      const complete = before.findings.every(({ code }) => code === 'stream-unfinished');
      if (!complete) {
        assert.deepEqual(actions, []);
        assert.ok(stream.subarray(0, length).equals(await readFile(path)));
      }
      const accepted = complete ? after : (await repairDisk(path, { acceptLoss: true })).after;
      assert.deepEqual(accepted.findings, []);
      const content = await contentOf(path);
      for (let at = 0; at < disk.length; at += 65536) {
        const piece = content.subarray(at, at + 65536);
        const same = piece.equals(disk.subarray(at, at + 65536));
        assert.ok(same || (!complete && piece.every((byte) => byte === 0)), `grain at ${at}`);
      }
      const reader = await readStreamOptimized(createReadStream(path));
      assert.ok(content.equals(await imageOf(disk.length, reader.grains())));
    }),
    { numRuns: 25 },
  );
  const kept = (await readdir(folder)).find((name) => name.startsWith('disk.vmdk.cut-'));
  assert.ok(kept, 'what was cut off is kept');
});

test('sizes and the CID of the parent are changed only when asked', async (t) => {
  const folder = await memoryFolder(t);
  const [base, child] = [join(folder, 'base.vmdk'), join(folder, 'child.vmdk')];
  const virtualBytes = 2 ** 20;
  const { contentId } = await createDisk({ path: base, kind: 'vmfs', virtualBytes });
  await createDisk({
    path: child,
    kind: 'monolithicSparse',
    virtualBytes,
    parent: { contentId, fileNameHint: 'base.vmdk' },
  });
  const disk = await openDisk(base, { writable: true });
  await disk.write(0, Buffer.from('written'));
  await disk.close();
  assert.deepEqual((await repairDisk(child)).actions, []);
  const { actions, after } = await repairDisk(child, { acceptParent: true });
  assert.match(actions[0]?.message ?? '', /parentCID is .*base\.vmdk/);
  assert.deepEqual(after.findings, []);
  assert.equal((await contentOf(child)).toString('latin1', 0, 7), 'written');

  await truncate(join(folder, 'base-flat.vmdk'), 2 * virtualBytes);
  assert.deepEqual((await repairDisk(base)).actions, []);
  assert.deepEqual((await repairDisk(base, { matchExtents: true })).after.findings, []);
  assert.deepEqual(
    (await readDescriptor(base)).extents.map(({ sectors }) => sectors),
    [4096],
  );
});

test('a repair never costs what is right, whatever is damaged', async (t) => {
  const { path, whole } = await sparse(t);
  const change = fc.tuple(fc.nat(), fc.nat(255), fc.constantFrom(79, 40_000, 2 ** 40));
  await fc.assert(
    fc.asyncProperty(
      fc.array(change, { minLength: 1, maxLength: 8 }),
      fc.option(fc.nat(300_000), { freq: 4 }),
      async (changes, cut) => {
        const damaged = Buffer.from(whole);
        for (const [at, value, span] of changes) damaged[at % Math.min(span, damaged.length)] = value;
        await writeFile(path, cut === null ? damaged : damaged.subarray(0, damaged.length - cut));
        const read = await readable(path);
        try {
          await repairDisk(path);
        } catch (error) {
          assert.ok(error instanceof VmdkError, error instanceof Error ? error.stack : String(error));
        }
        const now = await readable(path);
        for (const [at, piece] of read) {
          const right = piece.equals(image.subarray(at, at + piece.length));
          if (right) assert.ok(now.get(at)?.equals(piece), `bytes at ${at}`);
        }
      },
    ),
    { numRuns: 40, interruptAfterTimeLimit: 40_000, endOnFailure: true },
  );
});

/** Every grain that can be read. */
async function readable(path: string): Promise<Map<number, Buffer>> {
  const pieces = new Map<number, Buffer>();
  const disk = await openDisk(path).catch(() => undefined);
  if (!disk || disk.virtualBytes > 2 ** 26) {
    await disk?.close();
    return pieces;
  }
  for (let at = 0; at < disk.virtualBytes; at += 65536) {
    const piece = await disk.read(at, Math.min(65536, disk.virtualBytes - at)).catch(() => undefined);
    if (piece) pieces.set(at, piece);
  }
  await disk.close();
  return pieces;
}
