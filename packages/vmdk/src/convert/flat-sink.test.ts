import assert from 'node:assert/strict';
import { constants } from 'node:fs';
import files, { type FileHandle, open, readFile, stat, truncate } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { createDisk } from '../create/create-disk.ts';
import { patterned, temporaryFolder } from '../testing.ts';
import { DirectFile } from './direct-file.ts';
import type { DiskSink } from './disk-sink.ts';
import { type FlatFile, FlatSink } from './flat-sink.ts';
import { pageBuffers } from './page-buffers.ts';
import { SparseSink } from './sparse-sink.ts';

const mebibyte = 2 ** 20;

/** Empty files for a disk of these extents. */
async function emptyFiles(t: TestContext, extents: readonly { bytes: number; offset: number }[]): Promise<FlatFile[]> {
  const folder = await temporaryFolder(t);
  let start = 0;
  const placed: FlatFile[] = [];
  for (const [index, { bytes, offset }] of extents.entries()) {
    const path = join(folder, `${index}.bin`);
    await (await open(path, 'w')).close();
    await truncate(path, offset + bytes);
    placed.push({ path, start, bytes, offset });
    start += bytes;
  }
  return placed;
}

async function fill(sink: DiskSink, image: Buffer, batchBytes: number): Promise<number> {
  try {
    const buffers = pageBuffers(sink.writesAtOnce, batchBytes);
    for (let at = 0; at < image.length; ) {
      const writes: Promise<void>[] = [];
      for (const buffer of buffers) {
        const data = buffer.subarray(0, Math.min(batchBytes, image.length - at));
        if (data.length === 0) break;
        image.copy(data, 0, at);
        writes.push(sink.write(at, data));
        at += data.length;
      }
      const failed = (await Promise.allSettled(writes)).find((write) => write.status === 'rejected');
      if (failed) throw failed.reason;
    }
    return await sink.finish();
  } finally {
    await sink.close();
  }
}

const contentOf = async (flat: readonly FlatFile[]) =>
  Buffer.concat(
    await Promise.all(
      flat.map(async ({ path, offset, bytes }) => (await readFile(path)).subarray(offset, offset + bytes)),
    ),
  );

/** What handles opened beside the page cache do instead of writing. */
async function gateDirect(t: TestContext, write: (this: FileHandle, ...args: unknown[]) => Promise<unknown>) {
  const real = files.open;
  let gated = 0;
  t.mock.method(files, 'open', async (...args: Parameters<typeof real>) => {
    const handle = await real(...args);
    if (typeof args[1] !== 'number' || (args[1] & (constants.O_DIRECT ?? 0)) === 0) return handle;
    gated += 1;
    const usual = handle.write.bind(handle) as (...words: unknown[]) => Promise<unknown>;
    Object.defineProperty(handle, 'write', { value: (...words: unknown[]) => write.call(handle, usual, ...words) });
    return handle;
  });
  syncBuiltinESMExports();
  t.after(() => {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });
  return () => gated;
}

test('bytes come to their places wherever extents begin and end, and holes stay holes', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          bytes: fc.integer({ min: 1, max: 2048 }).map((sectors) => sectors * 512),
          offset: fc.constantFrom(0, 512, 4096, 65536),
        }),
        { minLength: 1, maxLength: 3 },
      ),
      fc.constantFrom(4096, 40960, 262144),
      fc.constantFrom(65536, mebibyte),
      async (extents, run, batchBytes) => {
        const flat = await emptyFiles(t, extents);
        const bytes = extents.reduce((sum, extent) => sum + extent.bytes, 0);
        const image = patterned(bytes, run, [2, 0, 0, 1, 2]);
        const stored = await fill(await FlatSink.open(flat), image, batchBytes);
        assert.ok((await contentOf(flat)).equals(image));
        assert.ok(stored <= bytes);
      },
    ),
    { numRuns: 15 },
  );
  const [file] = await emptyFiles(t, [{ bytes: 64 * mebibyte, offset: 0 }]);
  const image = Buffer.alloc(64 * mebibyte);
  image.fill('stored', 20 * mebibyte, 22 * mebibyte);
  assert.equal(await fill(await FlatSink.open([file as FlatFile]), image, mebibyte), 2 * mebibyte);
  assert.ok((await stat((file as FlatFile).path)).blocks * 512 < 3 * mebibyte);
});

test('memory that begins anywhere is written, too', async (t) => {
  const [file] = (await emptyFiles(t, [{ bytes: mebibyte, offset: 0 }])) as [FlatFile];
  const sink = await FlatSink.open([file]);
  const memory = Buffer.allocUnsafeSlow(mebibyte + 13).fill('odd');
  await sink.write(0, memory.subarray(13));
  await sink.finish();
  await sink.close();
  assert.ok((await readFile(file.path)).equals(memory.subarray(13)));
});

test('a file system that refuses such writes, at once or in their midst, is written the usual way', async (t) => {
  const refusal = () => Promise.reject(Object.assign(new Error('EINVAL'), { code: 'EINVAL' }));
  const image = patterned(3 * mebibyte + 512, 300000, [2, 1]);
  let writes = 0;
  const gated = await gateDirect(t, async (usual: unknown, ...words: unknown[]) => {
    writes += 1;
    const [data, done, length, position] = words as [Buffer, number, number, number];
    if (writes === 1) return (usual as (...all: unknown[]) => unknown)(data, done, Math.min(length, 65536), position);
    return refusal();
  });
  const flat = await emptyFiles(t, [{ bytes: image.length, offset: 0 }]);
  await fill(await FlatSink.open(flat), image, mebibyte);
  assert.ok((await contentOf(flat)).equals(image));
  if (gated() > 0) assert.ok(writes >= 2 && writes <= 1 + 3, `${writes} were tried`);
});

test('a full medium is named, whatever is made', async (t) => {
  const full = () => Promise.reject(Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' }));
  const gated = await gateDirect(t, full);
  const [file] = (await emptyFiles(t, [{ bytes: mebibyte, offset: 0 }])) as [FlatFile];
  const direct = await DirectFile.open(file.path);
  await direct?.close();
  if (direct === undefined) return t.skip('this file system has no writes beside the cache');
  await assert.rejects(fill(await FlatSink.open([file]), Buffer.alloc(mebibyte, 1), mebibyte), /0\.bin.*ENOSPC/);
  const path = `${file.path}.vmdk`;
  await createDisk({ path, kind: 'monolithicSparse', virtualBytes: 4 * mebibyte });
  const sparse = await SparseSink.open([{ path, start: 0, bytes: 4 * mebibyte }]);
  await assert.rejects(fill(sparse, Buffer.alloc(4 * mebibyte, 1), mebibyte), /0\.bin\.vmdk.*ENOSPC/);
  assert.ok(gated() > 0);
});
