import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import type { DiskWarning } from '../disk/disk-warning.ts';
import { openDisk } from '../disk/open-disk.ts';
import { patterned, temporaryFolder } from '../testing.ts';
import { createSparseDisk } from './create-sparse.ts';
import { formatSparseHeader, parseSparseHeader } from './sparse-header.ts';

const image = patterned(70 * 2 ** 20, 2 ** 20, [1, 0, 0, 2, 0, 0, 0]);

async function sparseImage(path: string) {
  await createSparseDisk({ path, virtualBytes: image.length });
  const disk = await openDisk(path, { writable: true });
  await disk.write(0, image);
  await disk.close();
  const bytes = await readFile(path);
  return { bytes, header: parseSparseHeader(bytes.subarray(0, 512), path) };
}

async function readWith(path: string, warnings: DiskWarning[]): Promise<Buffer> {
  const disk = await openDisk(path, { onWarning: (warning) => warnings.push(warning) });
  try {
    return await disk.read(0, disk.virtualBytes);
  } finally {
    await disk.close();
  }
}

test('a damaged directory or table is read from its copy, with one warning, and not written', async (t) => {
  const path = join(await temporaryFolder(t), 'disk.vmdk');
  const { bytes, header } = await sparseImage(path);
  const directory = (header.directoryOffset as number) * 512;
  const table = bytes.readUInt32LE(directory + 4) * 512;
  const damages: readonly [RegExp, (bytes: Buffer) => void][] = [
    [/grain directory is damaged/, (copy) => copy.fill(0xff, directory, directory + 12)],
    [/grain tables are damaged/, (copy) => copy.fill(0xee, table, table + 2048)],
    [/grain tables are damaged/, (copy) => copy.writeUInt32LE(3, table + 40)],
    [/grain directory is damaged/, (copy) => formatSparseHeader({ ...header, directoryOffset: 2 ** 30 }).copy(copy)],
  ];
  for (const [reason, damage] of damages) {
    const damaged = Buffer.from(bytes);
    damage(damaged);
    await writeFile(path, damaged);
    const warnings: DiskWarning[] = [];
    assert.ok(image.equals(await readWith(path, warnings)), String(reason));
    assert.equal(warnings.length, 1);
    assert.match(warnings[0]!.reason, reason);
    assert.equal(warnings[0]!.file, path);
    await assert.rejects(
      async () => {
        const disk = await openDisk(path, { writable: true });
        try {
          await disk.write(40 * 2 ** 20, Buffer.from('x'));
        } finally {
          await disk.close();
        }
      },
      { code: 'table-invalid' },
    );
  }
});

test('a whole disk gives no warning, and damage of the copy alone is not noticed by a reader', async (t) => {
  const path = join(await temporaryFolder(t), 'disk.vmdk');
  const { bytes, header } = await sparseImage(path);
  const warnings: DiskWarning[] = [];
  assert.ok(image.equals(await readWith(path, warnings)));
  const copy = Buffer.from(bytes);
  copy.fill(0xff, header.redundantDirectoryOffset * 512, header.redundantDirectoryOffset * 512 + 12);
  await writeFile(path, copy);
  assert.ok(image.equals(await readWith(path, warnings)));
  assert.deepEqual(warnings, []);
});

test('with both copies damaged the whole tables are still read, and the rest is named', async (t) => {
  const path = join(await temporaryFolder(t), 'disk.vmdk');
  const { bytes, header } = await sparseImage(path);
  await fc.assert(
    fc.asyncProperty(fc.nat(2), fc.nat(511), fc.constantFrom(2, 0xffffffff), async (index, entry, sector) => {
      const damaged = Buffer.from(bytes);
      for (const offset of [header.directoryOffset as number, header.redundantDirectoryOffset]) {
        damaged.writeUInt32LE(sector, damaged.readUInt32LE(offset * 512 + index * 4) * 512 + entry * 4);
      }
      await writeFile(path, damaged);
      const disk = await openDisk(path);
      try {
        const grain = index * 512 + entry;
        if (grain * 65536 < image.length) {
          await assert.rejects(disk.read(grain * 65536, 1), {
            code: 'table-invalid',
            message: new RegExp(`grain ${grain} `),
          });
        }
        const other = ((index + 1) % 2) * 512 * 65536;
        assert.ok(image.subarray(other, other + 2 ** 20).equals(await disk.read(other, 2 ** 20)));
      } finally {
        await disk.close();
      }
    }),
    { numRuns: 10 },
  );
});

test('each kind of text-mode damage is named', async (t) => {
  const path = join(await temporaryFolder(t), 'disk.vmdk');
  await createSparseDisk({ path, virtualBytes: 2 ** 20 });
  const text = (await readFile(path)).toString('latin1');
  const manglings: readonly [RegExp, (text: string) => string][] = [
    [/every LF became CR LF/, (whole) => whole.replaceAll('\n', '\r\n')],
    [/single LFs became CR LF/, (whole) => whole.replace(/(?<!\r)\n/g, '\r\n')],
    [/CR LF became LF, or CRs were taken away/, (whole) => whole.replaceAll('\r\n', '\n')],
    [/CR LF became LF, or CRs were taken away/, (whole) => whole.replaceAll('\r', '')],
    [/every CR became LF/, (whole) => whole.replaceAll('\r', '\n')],
    [/every LF became CR/, (whole) => whole.replaceAll('\n', '\r')],
    [/LFs were taken away/, (whole) => whole.replaceAll('\n', '')],
    [/were changed/, (whole) => whole.replaceAll(/[\r\n]/g, '?')],
  ];
  for (const [reason, mangle] of manglings) {
    await writeFile(path, Buffer.from(mangle(text), 'latin1'));
    await assert.rejects(openDisk(path), { code: 'header-corrupted', message: reason }, String(reason));
    await assert.rejects(openDisk(path), { message: /disk\.vmdk.*text-mode.*binary mode/ });
  }
});
