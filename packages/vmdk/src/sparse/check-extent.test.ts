import assert from 'node:assert/strict';
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { openDisk } from '../disk/open-disk.ts';
import { VmdkError } from '../errors.ts';
import { patterned, temporaryFolder, writeStream } from '../testing.ts';
import { checkSparseExtent } from './check-extent.ts';
import { createSparseDisk } from './create-sparse.ts';

test('a sparse file that was cut off anywhere is noticed', async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'disk.vmdk');
  // The last grain is the disk's last, and not a whole one.
  const virtualBytes = 3_000_320;
  await createSparseDisk({ path, virtualBytes });
  const disk = await openDisk(path, { writable: true });
  await disk.write(0, patterned(virtualBytes, 65536, [1, 0, 2]));
  await disk.close();
  await checkSparseExtent(path);
  const whole = await readFile(path);
  const used = (virtualBytes % 65536) - 65536;
  await truncate(path, whole.length + used);
  await checkSparseExtent(path);
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: whole.length + used - 1 }), async (bytes) => {
      await writeFile(path, whole.subarray(0, bytes));
      await assert.rejects(
        checkSparseExtent(path),
        (error) => error instanceof VmdkError && error.file === path && error.code === 'truncated',
      );
    }),
    { numRuns: 40 },
  );
});

test('a compressed file that was cut off is noticed, and one that is not there', async (t) => {
  const path = join(await temporaryFolder(t), 'disk.vmdk');
  await writeStream(patterned(1_000_448, 65536, [2, 1]), path);
  await checkSparseExtent(path);
  const whole = await readFile(path);
  await truncate(path, whole.length - 512);
  await assert.rejects(checkSparseExtent(path), { code: 'truncated' });
  await assert.rejects(checkSparseExtent(`${path}.other`), { code: 'extent-missing' });
});
