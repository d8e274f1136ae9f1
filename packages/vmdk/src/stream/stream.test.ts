import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { deflateSync } from 'node:zlib';
import fc from 'fast-check';
import { VmdkError } from '../errors.ts';
import { formatSparseHeader, parseSparseHeader } from '../sparse/sparse-header.ts';
import { blocksOf, collect, imageOf, inChunks, patterned, streamOf } from '../testing.ts';
import { formatGrain, formatMarker } from './markers.ts';
import { readStreamOptimized } from './stream-reader.ts';
import { writeStreamOptimized } from './stream-writer.ts';

const kinds = fc.constantFrom(0 as const, 1 as const, 2 as const);

async function imageIn(stream: Buffer, sizes: readonly number[] = [70_000]): Promise<Buffer> {
  const reader = await readStreamOptimized(inChunks(stream, sizes), { name: 'disk.vmdk' });
  return imageOf(reader.virtualBytes, reader.grains());
}

test('any pattern of zeros and data comes back the same, however the stream is cut', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 3000 }),
      fc.array(kinds, { minLength: 1, maxLength: 12 }),
      fc.integer({ min: 1, max: 300_000 }),
      fc.array(fc.integer({ min: 1, max: 200_000 }), { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 512, max: 400_000 }),
      async (sectors, pattern, unit, sizes, blockBytes) => {
        const image = patterned(sectors * 512, unit, pattern);
        const source = { virtualBytes: image.length, blocks: blocksOf(image, blockBytes) };
        const stream = Buffer.concat(await collect(writeStreamOptimized(source, { level: 1 })));
        assert.equal(stream.length % 512, 0);
        assert.ok(image.equals(await imageIn(stream, sizes.every((size) => size < 100) ? [4096] : sizes)));
      },
    ),
    { numRuns: 30 },
  );
});

test('zero grains take no room, and one byte chunks are enough', async () => {
  const empty = await streamOf(Buffer.alloc(4 * 2 ** 20));
  assert.equal(empty.length, 65536 + 512 + 512 + 512 + 512 + 512);
  assert.ok((await imageIn(empty, [1])).equals(Buffer.alloc(4 * 2 ** 20)));
  const reader = await readStreamOptimized(inChunks(empty, [1000]));
  assert.equal(reader.descriptor?.createType, 'streamOptimized');
  assert.deepEqual(await collect(reader.grains()), []);
});

test('a stream that breaks off anywhere is an error that says where, after the grains that came', async () => {
  const image = patterned(10 * 65536, 65536, [2, 1, 0]);
  const stream = await streamOf(image);
  for (let length = 0; length < stream.length; length += 512 * 9 + 3) {
    const found: number[] = [];
    await assert.rejects(
      async () => {
        const reader = await readStreamOptimized(inChunks(stream.subarray(0, length), [65536]), { name: 'a.vmdk' });
        for await (const { offset, data } of reader.grains()) {
          assert.ok(image.subarray(offset, offset + data.length).equals(data));
          found.push(offset);
        }
      },
      { code: 'truncated', message: /^a\.vmdk ends too early \(byte \d+\)/ },
      `${length} of ${stream.length}`,
    );
    const records = stream.subarray(65536, length);
    if (length > 65536 + 65536 * 2) assert.ok(found.length >= 2, `${found.length} grains in ${records.length} bytes`);
  }
});

test('wrong markers, order, sizes, tables and ends are told apart', async () => {
  const image = patterned(4 * 65536, 65536, [1]);
  const stream = await streamOf(image);
  const front = stream.subarray(0, 65536);
  const grain = (index: number) =>
    formatGrain(index * 128, deflateSync(image.subarray(index * 65536, (index + 1) * 65536)));
  const end = stream.subarray(65536 + [0, 1, 2, 3].reduce((sum, index) => sum + grain(index).length, 0));
  const grains = [0, 1, 2, 3].map(grain) as [Buffer, Buffer, Buffer, Buffer];
  assert.ok((await imageIn(Buffer.concat([front, ...grains, end]))).equals(image));
  const beyond = formatGrain(4 * 128, deflateSync(image.subarray(0, 65536)));
  const crooked = formatGrain(1, deflateSync(image.subarray(0, 65536)));
  const short = formatGrain(0, deflateSync(image.subarray(0, 100)));
  const bomb = formatGrain(0, deflateSync(Buffer.alloc(2 ** 26)));
  const huge = Buffer.alloc(512);
  huge.writeUInt32LE(2 ** 31, 8);
  const footerless = Buffer.concat([end.subarray(0, 5 * 512), end.subarray(-512)]);
  const cases: readonly [string, Buffer[], RegExp][] = [
    ['truncated', [grains[0], grains[1], grains[2], end], /tables list 4 grains, 3 came/],
    ['marker-invalid', [grains[1], grains[0]], /sector 0 after sector 128/],
    ['marker-invalid', [grains[0], grains[0]], /sector 0 after sector 0/],
    ['marker-invalid', [beyond], /sector 512 of a disk of 512/],
    ['marker-invalid', [crooked], /not aligned/],
    ['marker-invalid', [huge], /2147483648 bytes/],
    ['marker-invalid', [formatMarker(9, 0)], /type 9/],
    ['marker-invalid', [formatMarker(1, 5)], /grain table of 5/],
    ['marker-invalid', [formatMarker(0, 0)], /without a footer/],
    ['marker-invalid', [...grains, footerless], /without a footer/],
    ['grain-corrupt', [short], /100 of 65536/],
    ['grain-corrupt', [bomb], /byte 65536/],
    ['trailing-data', [...grains, end, Buffer.from('more')], /not zeros/],
  ];
  for (const [code, parts, message] of cases) {
    await assert.rejects(imageIn(Buffer.concat([front, ...parts])), { code, message }, `${code} ${message}`);
  }
  assert.ok((await imageIn(Buffer.concat([stream, Buffer.alloc(5000)]))).equals(image));
});

test('a damaged stream gives grains within the disk or a typed error, nothing else', async () => {
  const image = patterned(8 * 65536 + 512, 40_000, [2, 1, 0, 1]);
  const stream = await streamOf(image);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(stream.length - 1), fc.integer({ min: 1, max: 255 })), { minLength: 1, maxLength: 4 }),
      fc.boolean(),
      async (changes, early) => {
        const mutated = Buffer.from(stream);
        for (const [at, value] of changes) {
          const place = early ? at % 700 : at;
          mutated[place] = (mutated[place] as number) ^ value;
        }
        try {
          // The capacity may be forged too, so the grains are looked at one by one.
          const reader = await readStreamOptimized(inChunks(mutated, [70_000]));
          for await (const { offset, data } of reader.grains()) assert.ok(offset + data.length <= reader.virtualBytes);
        } catch (error) {
          assert.ok(error instanceof VmdkError, String(error));
        }
      },
    ),
    { numRuns: 100 },
  );
});

test('a flipped bit in a grain is found by its checksum', async () => {
  const stream = await streamOf(patterned(65536, 65536, [2]));
  stream[65536 + 12 + 30_000]! ^= 4;
  await assert.rejects(imageIn(stream), { code: 'grain-corrupt', message: /byte 65536/ });
});

test('a header that claims too much is refused before anything is allocated or awaited', async () => {
  const stream = await streamOf(Buffer.alloc(65536));
  const header = parseSparseHeader(stream.subarray(0, 512), 'x');
  const forged = (change: object) =>
    imageIn(Buffer.concat([formatSparseHeader({ ...header, ...change }), stream.subarray(512)]));
  await assert.rejects(forged({ descriptorSectors: 2 ** 30 }), { code: 'descriptor-too-large' });
  await assert.rejects(forged({ descriptorOffset: 500 }), { code: 'header-invalid' });
  await assert.rejects(forged({ overheadSectors: 2 ** 36 }), { code: 'truncated' });
});

test('an abort ends a read that waits for a silent source', async () => {
  const abort = new AbortController();
  const stream = await streamOf(patterned(65536 * 4, 65536, [2]));
  let returned = false;
  async function* silent() {
    try {
      yield stream.subarray(0, 100_000);
      await once(new EventTarget(), 'never', { signal: abort.signal });
    } finally {
      returned = true;
    }
  }
  const reader = await readStreamOptimized(silent(), { signal: abort.signal });
  const reading = collect(reader.grains());
  setTimeout(() => abort.abort(new Error('enough')), 5);
  await assert.rejects(reading, /enough/);
  assert.ok(returned);
});

test('the source is let go when the consumer stops, and is never read far ahead', async () => {
  const stream = await streamOf(patterned(65536 * 200, 65536, [2]));
  let given = 0;
  let returned = false;
  async function* source() {
    try {
      for (let at = 0; at < stream.length; at += 65536) {
        given = at;
        yield stream.subarray(at, at + 65536);
      }
    } finally {
      returned = true;
    }
  }
  const reader = await readStreamOptimized(source(), { workers: 0 });
  for await (const { offset } of reader.grains()) if (offset >= 65536 * 10) break;
  assert.ok(returned);
  assert.ok(given < 65536 * 80, `${given} bytes were taken`);
});

test('blocks out of order or outside the disk are refused', async () => {
  const data = Buffer.alloc(512, 1);
  for (const offsets of [[65536, 0], [0, 511], [131072], [-512], [0.5]]) {
    async function* blocks() {
      for (const offset of offsets) yield { offset, data };
    }
    const writing = collect(writeStreamOptimized({ virtualBytes: 131072, blocks: blocks() }));
    await assert.rejects(writing, { code: 'block-order' }, String(offsets));
  }
});
