import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { VmdkError } from '../errors.ts';
import { collect, imageOf, patterned, streamOf, temporaryFolder } from '../testing.ts';
import { recoverStream } from './recover-stream.ts';

const grain = 65536;
const image = patterned(40 * grain + 512, grain, [2, 0, 1, 2, 0]);

/** Asserts that what was recovered is the image, but for zeros where something is said to be lost. */
async function expectRecovered(path: string, expected: Buffer = image) {
  const recovered = await recoverStream(path);
  try {
    const bytes = await recovered.disk.read(0, recovered.disk.virtualBytes);
    assert.equal(bytes.length, expected.length);
    assert.ok(bytes.equals(await imageOf(bytes.length, recovered.disk.blocks())));
    const merged = Buffer.from(bytes);
    let end = 0;
    for (const { offset, length } of recovered.lost) {
      assert.ok(offset >= end && length > 0, JSON.stringify(recovered.lost));
      end = offset + length;
      expected.copy(merged, offset, offset, end);
    }
    // A grain that is whole is never among the lost.
    for (let at = 0; at < bytes.length; at += grain) {
      const piece = bytes.subarray(at, at + grain);
      const lost = recovered.lost.some(({ offset, length }) => at >= offset && at < offset + length);
      if (lost)
        assert.ok(
          piece.every((byte) => byte === 0),
          `grain at ${at}`,
        );
    }
    assert.ok(merged.equals(expected), 'everything that differs is named');
    return recovered;
  } finally {
    await recovered.disk.close();
  }
}

test('a whole stream has nothing to recover', async (t) => {
  const path = join(await temporaryFolder(t), 'disk.vmdk');
  await writeFile(path, await streamOf(image));
  const { lost, damages, finished, wholeGrains } = await expectRecovered(path);
  assert.deepEqual([lost, damages, finished, wholeGrains], [[], [], true, 24 + 1]);
});

test('a stream that was cut off anywhere gives its whole grains and names the rest', async (t) => {
  const path = join(await temporaryFolder(t), 'disk.vmdk');
  const stream = await streamOf(image, { level: 1 });
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 65536, max: stream.length - 1 }), async (length) => {
      await writeFile(path, stream.subarray(0, length));
      const { finished, lost, wholeBytes } = await expectRecovered(path);
      assert.equal(finished, false);
      assert.ok(wholeBytes <= length);
      // Eleven sectors from the end begins that of the disk's last grain: once it came none can be missing.
      if (length < stream.length - 11 * 512) assert.ok(lost.length > 0);
    }),
    { numRuns: 30 },
  );
  await writeFile(path, stream.subarray(0, stream.length - 512));
  assert.deepEqual((await expectRecovered(path)).lost, []);
});

test('damage within a stream costs the grains that it touches, not those behind', async (t) => {
  const path = join(await temporaryFolder(t), 'disk.vmdk');
  const stream = await streamOf(image, { level: 1 });
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 65536, max: stream.length - 5000 }),
      fc.integer({ min: 1, max: 200_000 }),
      fc.constantFrom('flip', 'zero', 'random'),
      async (at, length, how) => {
        const damaged = Buffer.from(stream);
        const piece = damaged.subarray(at, Math.min(at + length, stream.length - 5000));
        if (how === 'flip') piece[0] = (piece[0] as number) ^ 0x55;
        else if (how === 'zero') piece.fill(0);
        else patterned(piece.length, piece.length, [2]).copy(piece);
        await writeFile(path, damaged);
        const { lost } = await expectRecovered(path);
        const bytes = lost.reduce((sum, range) => sum + range.length, 0);
        assert.ok(bytes <= (Math.ceil(length / 400) + 4) * grain, `${bytes} lost of ${length} damaged`);
      },
    ),
    { numRuns: 40 },
  );
});

test('what the tables list and the file lost is told from what nobody knows', async (t) => {
  const path = join(await temporaryFolder(t), 'disk.vmdk');
  const stream = await streamOf(image, { level: 1 });
  // The third stored grain is the fourth of the disk, and random.
  const marker = Buffer.alloc(12);
  marker.writeUInt32LE(3 * 128, 0);
  const at = stream.indexOf(marker.subarray(0, 8), 65536 + grain);
  const damaged = Buffer.from(stream);
  damaged[at + 40] = (damaged[at + 40] as number) ^ 1;
  await writeFile(path, damaged);
  const { lost, damages } = await expectRecovered(path);
  assert.deepEqual(lost, [{ offset: 3 * grain, length: grain, certainty: 'listed' }]);
  assert.equal(damages.length, 1);
  assert.match(damages[0]!.reason, /sector 384/);
  await writeFile(path, damaged.subarray(0, stream.length / 2));
  const cut = await expectRecovered(path);
  assert.deepEqual(
    cut.lost.map(({ certainty }) => certainty).filter((certainty) => certainty === 'listed'),
    [],
  );
  assert.ok(cut.lost.length >= 2);
});

test('nothing in a file makes the recovery fail but its header', async (t) => {
  const path = join(await temporaryFolder(t), 'disk.vmdk');
  const stream = await streamOf(patterned(6 * grain, 30_000, [2, 1, 0]));
  const change = fc.tuple(fc.nat(stream.length - 1), fc.nat(255), fc.boolean());
  await fc.assert(
    fc.asyncProperty(fc.array(change, { maxLength: 30 }), fc.option(fc.nat(stream.length)), async (changes, cut) => {
      const mutated = Buffer.from(stream);
      for (const [at, value, early] of changes) mutated[early ? at % 600 : at] = value;
      await writeFile(path, cut === null ? mutated : mutated.subarray(0, cut));
      try {
        const { disk } = await recoverStream(path);
        if (disk.virtualBytes < 2 ** 30) await collect(disk.blocks());
        await disk.close();
      } catch (error) {
        assert.ok(error instanceof VmdkError, error instanceof Error ? error.stack : String(error));
      }
    }),
    { numRuns: 80 },
  );
});
