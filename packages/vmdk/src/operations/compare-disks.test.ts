import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { createDisk } from '../create/create-disk.ts';
import { readAhead } from '../decorators/read-ahead.ts';
import { openDisk } from '../disk/open-disk.ts';
import { temporaryFolder } from '../testing.ts';
import { compareDisks } from './compare-disks.ts';

test('every sector that differs is listed, whatever the kinds and sizes', async (t) => {
  const folder = await temporaryFolder(t);
  let run = 0;
  const writes = fc.array(fc.record({ at: fc.nat(), length: fc.integer({ min: 1, max: 70_000 }), value: fc.nat(2) }), {
    maxLength: 5,
  });
  const disk = fc.record({
    sectors: fc.integer({ min: 1, max: 3000 }),
    kind: fc.constantFrom('monolithicSparse' as const, 'vmfs' as const, 'twoGbMaxExtentSparse' as const),
    writes,
  });
  await fc.assert(
    fc.asyncProperty(disk, disk, async (...made) => {
      run += 1;
      const opened = [];
      for (const [index, { sectors, kind, writes: changes }] of made.entries()) {
        const path = join(folder, `${run}-${index}.vmdk`);
        const content = Buffer.alloc(sectors * 512);
        await createDisk({ path, kind, virtualBytes: content.length });
        const target = await openDisk(path, { writable: true });
        for (const { at, length, value } of changes) {
          const offset = at % content.length;
          const data = Buffer.alloc(Math.min(length, content.length - offset), value);
          await target.write(offset, data);
          data.copy(content, offset);
        }
        opened.push({ target, content });
      }
      const [one, other] = opened as [(typeof opened)[0], (typeof opened)[0]];
      const size = Math.max(one.content.length, other.content.length);
      const [first, second] = [one, other].map(({ content }) => Buffer.concat([content], size)) as [Buffer, Buffer];
      const expected: { offset: number; length: number }[] = [];
      for (let at = 0; at < size; at += 512) {
        if (first.subarray(at, at + 512).equals(second.subarray(at, at + 512))) continue;
        const last = expected.at(-1);
        if (last && last.offset + last.length === at) last.length += 512;
        else expected.push({ offset: at, length: 512 });
      }
      const found = await compareDisks(one.target, other.target);
      assert.deepEqual(found, {
        identical: expected.length === 0,
        virtualBytes: [one.content.length, other.content.length],
        differences: expected,
        truncated: false,
      });
      const limited = await compareDisks(one.target, other.target, { limit: 1 });
      assert.deepEqual(limited.differences, expected.slice(0, 1));
      assert.equal(limited.truncated, expected.length > 1);
      await Promise.all([one.target.close(), other.target.close()]);
    }),
    { numRuns: 40 },
  );
});

test('two huge empty disks are the same at once, and an abort ends it', async (t) => {
  const folder = await temporaryFolder(t);
  const [one, other] = [join(folder, 'a.vmdk'), join(folder, 'b.vmdk')];
  for (const path of [one, other]) await createDisk({ path, kind: 'monolithicSparse', virtualBytes: 64 * 2 ** 30 });
  const [first, second] = [await openDisk(one), await openDisk(other)];
  // Nothing is read: a read of this one fails.
  const unread = Object.assign(readAhead(second), { read: () => assert.fail('read') });
  assert.equal((await compareDisks(first, unread)).identical, true);
  await assert.rejects(compareDisks(first, second, { signal: AbortSignal.abort(new Error('enough')) }), /enough/);
  await Promise.all([first.close(), second.close()]);
});
