import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatDescriptor } from '../descriptor/descriptor.ts';
import { editDescriptor } from '../descriptor/descriptor-edit.ts';
import { FileWindow } from '../file-window.ts';
import { memoryFolder } from '../testing.ts';
import { PowerRecording } from '../testing-power.ts';
import { createSparseDisk } from './create-sparse.ts';
import { embeddedDescriptor, replaceEmbeddedDescriptor } from './embedded-descriptor.ts';
import { parseSparseHeader, type SparseHeader } from './sparse-header.ts';

async function readHead(path: string) {
  const file = await FileWindow.open(path);
  try {
    const header = parseSparseHeader(await file.read(0, 512), path);
    const descriptor = await embeddedDescriptor(file, header);
    assert.ok(descriptor);
    return { header, descriptor, text: formatDescriptor(descriptor) };
  } finally {
    await file.close();
  }
}

async function replace(path: string, note: number, header?: SparseHeader): Promise<void> {
  const { descriptor } = await readHead(path);
  const changed = editDescriptor(descriptor, { ddb: { note: `${'n'.repeat(note)}!` } });
  const file = await FileWindow.open(path, { writable: true });
  try {
    await replaceEmbeddedDescriptor(file, { descriptor: changed, ...(header ? { header } : {}) });
  } finally {
    await file.close();
  }
}

test('a descriptor that changes in many sectors is the old one or the new one after losses of power', async (t) => {
  const folder = await memoryFolder(t);
  const path = join(folder, 'disk.vmdk');
  await createSparseDisk({ path, virtualBytes: 2 ** 20, ddb: { note: '', ...manyKeys() } });
  const made = await readFile(path);
  const { header: first } = await readHead(path);
  const change = fc.record({
    note: fc.nat(2500),
    header: fc.boolean(),
    cut: fc.nat(20),
    coins: fc.array(fc.boolean(), { minLength: 30, maxLength: 60 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
      await writeFile(path, made);
      for (const { note, header: moves, cut, coins } of changes) {
        const before = await readFile(path);
        const old = await readHead(path);
        const capacity = old.header.capacity === 2048 ? 1024 : 2048;
        const recording = await PowerRecording.begin(folder);
        try {
          await replace(path, note, moves ? { ...old.header, capacity } : undefined);
        } finally {
          recording.end();
        }
        const next = await readHead(path);
        assert.equal(next.header.descriptorOffset, 1);
        assert.equal(next.header.descriptorSectors, 20, 'all of its room is there again');
        let turn = 0;
        const medium = recording.mediumAfter(
          new Map([['disk.vmdk', before]]),
          cut % (recording.changes.length + 1),
          () => Boolean(coins[turn++ % coins.length]),
        );
        await writeFile(path, medium.get('disk.vmdk') as Buffer);
        const found = await readHead(path);
        const isNew = found.text === next.text && found.header.capacity === next.header.capacity;
        const isOld = found.text === old.text && found.header.capacity === old.header.capacity;
        assert.ok(isNew || isOld, found.text);
        assert.deepEqual(
          { ...found.header, descriptorOffset: 1, descriptorSectors: 20 },
          { ...first, capacity: found.header.capacity },
        );
      }
      // Whatever was left is no hindrance, and does not stay.
      await replace(path, 2000);
      await replace(path, 10);
      const { header } = await readHead(path);
      assert.deepEqual([header.descriptorOffset, header.descriptorSectors], [1, 20]);
    }),
    { numRuns: Number(process.env.HYPOSTYLE_RUNS ?? 40) },
  );
});

test('what does not fit beside the old one is written over it, and more than the room is refused', async (t) => {
  const path = join(await memoryFolder(t), 'disk.vmdk');
  await createSparseDisk({ path, virtualBytes: 2 ** 20, ddb: { note: '' } });
  await replace(path, 7000);
  await replace(path, 9000);
  assert.match((await readHead(path)).text, /n{9000}!/);
  await assert.rejects(replace(path, 12_000), { code: 'too-large' });
  assert.match((await readHead(path)).text, /n{9000}!/);
});

/** Lines of different lengths, so that text of two versions put together is another text. */
function manyKeys(): Record<string, string> {
  return Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`key${index}`, `${index ** 5}`]));
}
