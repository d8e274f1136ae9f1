import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Disk } from '../disk/disk.ts';
import { openDisk } from '../disk/open-disk.ts';
import { createFlatDisk } from '../flat/create-flat.ts';
import { createSparseDisk } from '../sparse/create-sparse.ts';
import { collect, imageOf, patterned, temporaryFolder } from '../testing.ts';
import { chained } from './chained.ts';
import { checked } from './checked.ts';
import { readAhead } from './read-ahead.ts';
import { readOnly } from './read-only.ts';
import { throttled } from './throttled.ts';
import { windowed } from './windowed.ts';

const blockBytes = 4096;
const image = patterned(37 * blockBytes + 512, 6000, [0, 1, 2, 0, 0, 0, 1, 0]);

function sha256(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

function digestsOf(data: Buffer, bytes: number) {
  return { bytes, of: (index: number) => sha256(data.subarray(index * bytes, (index + 1) * bytes)) };
}

async function sparseDisk(path: string, content: Buffer): Promise<Disk> {
  await createSparseDisk({ path, virtualBytes: content.length, grainBytes: blockBytes });
  const disk = await openDisk(path, { writable: true });
  await disk.write(0, content);
  return disk;
}

/** A disk whose every call waits until it is let go, and says what it was asked. */
function watched(disk: Disk): Disk & { readonly reads: [number, number][] } {
  const reads: [number, number][] = [];
  return {
    path: disk.path,
    virtualBytes: disk.virtualBytes,
    blockBytes: disk.blockBytes,
    writable: disk.writable,
    reads,
    read: (offset, length) => {
      reads.push([offset, length]);
      return disk.read(offset, length);
    },
    readInto: (buffer, offset) => {
      reads.push([offset, buffer.length]);
      return disk.readInto(buffer, offset);
    },
    write: (offset, data) => disk.write(offset, data),
    flush: () => disk.flush(),
    map: (options) => disk.map(options),
    blocks: (options) => disk.blocks(options),
    close: () => disk.close(),
  };
}

test('any stack of decorators equals the plain disk, and keeps its promises about blocks and maps', async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'disk.vmdk');
  await (await sparseDisk(path, image)).close();
  const fast = { bytesPerSecond: 1e12 };
  const decorators: Record<string, (disk: Disk) => Disk> = {
    throttled: (disk) => throttled(disk, fast),
    readAhead: (disk) => readAhead(disk, { chunkBytes: 10_000, ahead: 2 }),
    checked: (disk) =>
      checked(disk, { blocks: digestsOf(image, 5000), whole: { expected: sha256(image).toUpperCase() } }),
    readOnly,
    windowed: (disk) => windowed(disk, { offset: 0 }),
    chained: (disk) => chained([disk]),
  };
  const names = Object.keys(decorators);
  const reads = fc.array(fc.tuple(fc.nat(image.length), fc.nat(30_000)), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom(...names), { maxLength: 5 }), reads, async (stack, positions) => {
      const plain = await openDisk(path);
      const disk = stack.reduce((below, name) => decorators[name]!(below), plain as Disk);
      try {
        assert.equal(disk.virtualBytes, image.length);
        let at = 0;
        for (const [offset, wanted] of positions) {
          const length = Math.min(wanted, image.length - offset);
          assert.ok(image.subarray(offset, offset + length).equals(await disk.read(offset, length)));
          const next = Math.min(wanted, image.length - at);
          assert.ok(image.subarray(at, at + next).equals(await disk.read(at, next)), 'in order');
          at += next;
        }
        await assert.rejects(disk.read(image.length - 1, 2), { code: 'out-of-range' });
        await assert.rejects(disk.read(-1, 1), { code: 'out-of-range' });
        const blocks = await collect(disk.blocks());
        for (const { offset, data } of blocks) {
          assert.ok(Math.floor(offset / blockBytes) === Math.floor((offset + data.length - 1) / blockBytes));
          assert.ok(data.some((byte) => byte !== 0));
        }
        assert.ok(image.equals(await imageOf(image.length, disk.blocks())));
        const part = { offset: 5555, length: 70_000 };
        const seen = Buffer.alloc(image.length);
        for await (const { offset, data } of disk.blocks(part)) seen.set(data, offset);
        assert.ok(image.subarray(5555, 75_555).equals(seen.subarray(5555, 75_555)));
        assert.ok(seen.subarray(0, 5555).every((byte) => byte === 0));
        assert.deepEqual(await collect(disk.map()), await collect(plain.map()));
      } finally {
        await disk.close();
      }
    }),
    { numRuns: 40 },
  );
});

test('a window shows its stretch alone, for reading and writing', async (t) => {
  const folder = await temporaryFolder(t);
  const disk = await sparseDisk(join(folder, 'disk.vmdk'), image);
  const [offset, length] = [3 * 512, 100_000];
  const window = windowed(disk, { offset, length });
  const expected = Buffer.from(image.subarray(offset, offset + length));
  assert.ok(expected.equals(await window.read(0, length)));
  await window.write(9999, Buffer.from('within'));
  expected.write('within', 9999);
  assert.ok(expected.equals(await imageOf(length, window.blocks())));
  for (const block of await collect(window.blocks())) {
    assert.ok(block.data.length <= blockBytes - (block.offset % blockBytes));
  }
  const ranges = await collect(window.map());
  assert.equal(ranges[0]?.offset, 0);
  assert.equal(
    ranges.reduce((sum, range) => sum + range.length, 0),
    length,
  );
  for (const [at, bytes] of [
    [length - 1, 2],
    [-1, 1],
  ] as const) {
    await assert.rejects(window.read(at, bytes), { code: 'out-of-range' });
    await assert.rejects(window.write(at, Buffer.alloc(bytes, 1)), { code: 'out-of-range' });
  }
  assert.throws(() => windowed(disk, { offset: image.length - 512, length: 1024 }), { code: 'out-of-range' });
  assert.equal((await disk.read(offset + 9999, 6)).toString(), 'within');
  await window.close();
  await assert.rejects(disk.read(8192, 1));
});

test('a read-only disk takes no write and says so', async (t) => {
  const disk = readOnly(await sparseDisk(join(await temporaryFolder(t), 'disk.vmdk'), image));
  assert.equal(disk.writable, false);
  await assert.rejects(disk.write(0, Buffer.from('x')), { code: 'read-only', message: /disk\.vmdk/ });
  assert.ok(image.equals(await disk.read(0, image.length)));
  await disk.close();
});

test('disks over one another are one: the first that says something wins, zeros included', async (t) => {
  const folder = await temporaryFolder(t);
  const base = await sparseDisk(join(folder, 'base.vmdk'), image);
  const flatPath = join(folder, 'flat.vmdk');
  await createFlatDisk({ path: flatPath, virtualBytes: 8192 });
  const top = await sparseDisk(join(folder, 'top.vmdk'), Buffer.alloc(image.length + 4096));
  await top.write(20_480, Buffer.alloc(4096, 7));
  const disk = chained([top, base]);
  const expected = Buffer.concat([image, Buffer.alloc(4096)]);
  expected.fill(7, 20_480, 24_576);
  assert.equal(disk.virtualBytes, expected.length);
  assert.ok(expected.equals(await disk.read(0, expected.length)));
  assert.ok(expected.equals(await imageOf(expected.length, disk.blocks())));
  await assert.rejects(disk.write(0, Buffer.from('x')), { code: 'read-only' });
  await disk.close();
  // A flat disk says something about all of itself; past its end nobody does.
  const over = chained([await openDisk(join(folder, 'top.vmdk')), await openDisk(flatPath)]);
  assert.ok(Buffer.alloc(8192).equals(await over.read(0, 8192)));
  assert.deepEqual(
    (await collect(over.map())).map(({ state }) => state),
    ['data', 'unallocated', 'data', 'unallocated'],
  );
  await over.close();
});

test('a flipped byte is named by its block, read directly or as blocks, zeros too', async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'disk.vmdk');
  await createFlatDisk({ path, virtualBytes: image.length });
  const plain = await openDisk(path, { writable: true });
  await plain.write(0, image);
  const blocks = digestsOf(image, 10_000);
  const flip = async (at: number, value: number) => {
    const handle = await open(join(folder, 'disk-flat.vmdk'), 'r+');
    await handle.write(Uint8Array.of(value), 0, 1, at);
    await handle.close();
  };
  await fc.assert(
    fc.asyncProperty(fc.nat(image.length - 1), async (at) => {
      await flip(at, (image[at] as number) ^ 1);
      const disk = checked(plain, { blocks, whole: { expected: sha256(image) } });
      const first = Math.floor(at / 10_000) * 10_000;
      const named = { code: 'digest-mismatch', message: new RegExp(`disk\\.vmdk .*\\(byte ${first}\\)`) };
      await assert.rejects(disk.read(at, 1), named);
      await assert.rejects(collect(disk.blocks()), named);
      await assert.rejects(checked(plain, { whole: { expected: sha256(image) } }).read(0, image.length), {
        code: 'digest-mismatch',
        message: /the whole/,
      });
      const good = first === 0 ? 10_000 : 0;
      assert.ok(image.subarray(good, good + 10_000).equals(await disk.read(good, 10_000)));
      await flip(at, image[at] as number);
    }),
    { numRuns: 20 },
  );
  const disk = checked(plain, { blocks, whole: {} });
  assert.equal(disk.wholeDigest(), undefined);
  await collect(disk.blocks());
  assert.equal(disk.wholeDigest(), sha256(image));
  await assert.rejects(disk.write(0, Buffer.from('x')), { code: 'read-only' });
  await disk.close();
});

test('a part that a disk calls unallocated is checked as zeros, without reading it', async (t) => {
  const folder = await temporaryFolder(t);
  const plain = watched(await sparseDisk(join(folder, 'disk.vmdk'), Buffer.alloc(2 ** 22)));
  const zeros = digestsOf(Buffer.alloc(2 ** 22), 65536);
  assert.deepEqual(await collect(checked(plain, { blocks: zeros, whole: {} }).blocks()), []);
  assert.deepEqual(plain.reads, []);
  const of = (index: number) => (index === 3 ? sha256(Buffer.alloc(65536, 1)) : zeros.of(index));
  await assert.rejects(collect(checked(plain, { blocks: { bytes: 65536, of } }).blocks()), {
    code: 'digest-mismatch',
    message: /byte 196608/,
  });
  await plain.close();
});

test('reads in order are fetched ahead, others are not, and a write is never hidden', async (t) => {
  const folder = await temporaryFolder(t);
  const plain = watched(await sparseDisk(join(folder, 'disk.vmdk'), image));
  const disk = readAhead(plain, { chunkBytes: 8192, ahead: 2 });
  await disk.read(0, 100);
  assert.deepEqual(plain.reads, [
    [0, 8192],
    [8192, 8192],
    [16_384, 8192],
  ]);
  await disk.read(100, 8000);
  assert.equal(plain.reads.length, 3);
  await disk.read(50_000, 10);
  assert.deepEqual(plain.reads.at(-1), [50_000, 10]);
  const expected = Buffer.from(image);
  const writes = fc.array(fc.tuple(fc.nat(image.length - 1), fc.integer({ min: 1, max: 9000 }), fc.nat(255)), {
    maxLength: 8,
  });
  await fc.assert(
    fc.asyncProperty(writes, async (changes) => {
      let at = 0;
      for (const [offset, length, value] of changes) {
        const data = Buffer.alloc(Math.min(length, image.length - offset), value);
        await disk.write(offset, data);
        data.copy(expected, offset);
        const next = Math.min(9000, image.length - at);
        assert.ok(expected.subarray(at, at + next).equals(await disk.read(at, next)));
        at += next;
      }
    }),
    { numRuns: 25 },
  );
  await disk.close();
});

test('a failed read ahead fails the read that needs it, and is tried again', async (t) => {
  const plain = await sparseDisk(join(await temporaryFolder(t), 'disk.vmdk'), image);
  let failing = true;
  const flaky: Disk = {
    ...watched(plain),
    read: async (offset, length) => {
      if (failing && offset > 0) throw new Error('flaky');
      return plain.read(offset, length);
    },
  };
  const disk = readAhead(flaky, { chunkBytes: 4096, ahead: 3 });
  assert.ok(image.subarray(0, 4096).equals(await disk.read(0, 4096)));
  await assert.rejects(disk.read(4096, 10), /flaky/);
  failing = false;
  assert.ok(image.subarray(4106, 4116).equals(await disk.read(4106, 10)));
  await disk.close();
});

test('a throttled disk keeps its rate, lets bursts pass and takes a new rate while somebody waits', async (t) => {
  const plain = await sparseDisk(join(await temporaryFolder(t), 'disk.vmdk'), image);
  let now = 0;
  let waiting: { until: number; go: () => void } | undefined;
  const clock = {
    now: () => now,
    delay: (milliseconds: number, signal: AbortSignal) =>
      new Promise<void>((resolve) => {
        waiting = { until: now + milliseconds, go: resolve };
        signal.addEventListener('abort', () => resolve(), { once: true });
      }),
  };
  /** Lets time pass whenever somebody waits, until the work is done. */
  const elapsed = async (work: Promise<unknown>): Promise<number> => {
    const start = now;
    let done = false;
    const ended = work.finally(() => {
      done = true;
    });
    while (!done) {
      await new Promise((resolve) => setImmediate(resolve));
      if (!waiting) continue;
      now = waiting.until;
      const { go } = waiting;
      waiting = undefined;
      go();
    }
    await ended;
    return now - start;
  };
  const disk = throttled(plain, { bytesPerSecond: 10_000, burstBytes: 5000, clock });
  assert.equal(await elapsed(disk.read(0, 5000)), 0, 'burst');
  await disk.read(0, 0);
  const ten = await elapsed(
    (async () => {
      for (let index = 0; index < 10; index += 1) await disk.read(index * 1000, 1000);
    })(),
  );
  assert.ok(ten >= 900 && ten <= 1000, `${ten} ms for 10000 bytes`);
  await elapsed(disk.write(0, Buffer.alloc(100_000, 1)));
  const slow = disk.read(0, 100);
  while (!waiting) await new Promise((resolve) => setImmediate(resolve));
  assert.ok(waiting.until - now > 5000, 'the debt of the write is paid first');
  disk.setRate({ bytesPerSecond: Number.POSITIVE_INFINITY });
  await slow;
  assert.throws(() => disk.setRate({ bytesPerSecond: 0 }), RangeError);
  const before = now;
  await collect(disk.blocks());
  assert.equal(now, before, 'no limit');
  await disk.close();
});
