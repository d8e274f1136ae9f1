import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { openDisk } from '../disk/open-disk.ts';
import { VmdkError } from '../errors.ts';
import { patterned, streamOf, temporaryFolder } from '../testing.ts';

test('any stretch reads the same, in bulk or not', async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'disk.vmdk');
  const image = patterned(5 * 2 ** 20 + 512, 98304, [2, 1, 1, 0, 2, 2, 1]);
  await writeFile(path, await streamOf(image));
  const disk = await openDisk(path);
  await fc.assert(
    fc.asyncProperty(fc.nat(image.length - 1), fc.nat(image.length), async (offset, wanted) => {
      const length = Math.min(wanted, image.length - offset);
      assert.ok((await disk.read(offset, length)).equals(image.subarray(offset, offset + length)));
    }),
    { numRuns: 60 },
  );
  await disk.close();
});

test('a byte that is flipped is found, and never read as if it were right', async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'disk.vmdk');
  const image = patterned(2 * 2 ** 20, 65536, [2, 1, 1]);
  const stream = await streamOf(image);
  const before = 65536;
  let found = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: before, max: stream.length - 1 }),
      fc.integer({ min: 1, max: 255 }),
      async (at, bits) => {
        const damaged = Buffer.from(stream);
        damaged.writeUInt8(damaged.readUInt8(at) ^ bits, at);
        await writeFile(path, damaged);
        try {
          const disk = await openDisk(path);
          try {
            assert.ok((await disk.read(0, image.length)).equals(image), `byte ${at}`);
          } finally {
            await disk.close();
          }
        } catch (error) {
          assert.ok(error instanceof VmdkError, String(error));
          assert.match(error.message, /disk\.vmdk/);
          found += 1;
        }
      },
    ),
    { numRuns: 60 },
  );
  assert.ok(found > 30, `${found} were found`);
});
