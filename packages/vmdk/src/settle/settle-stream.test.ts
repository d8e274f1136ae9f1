import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { it } from 'node:test';
import fc from 'fast-check';
import { VmdkError } from '../errors.ts';
import { patterned, streamOf, temporaryFolder } from '../testing.ts';
import { SettlePace } from './pace.ts';
import { SettleGrains, type SettleGrainsOptions } from './settle-grains.ts';
import { readStreamTables, settleStream, verifyStream } from './settle-stream.ts';

const archiveHead = 1536;
let disks = 0;

/** A disk inside an archive, and how it is settled. */
async function disk(folder: string, image: Buffer, change: (stream: Buffer) => void = () => {}) {
  const stream = await streamOf(image);
  disks += 1;
  const digest = { algorithm: 'sha256' as const, expected: createHash('sha256').update(stream).digest('hex') };
  change(stream);
  const path = join(folder, 'app.ova');
  await writeFile(path, Buffer.concat([Buffer.alloc(archiveHead, 7), stream, Buffer.alloc(1024)]));
  const options: SettleGrainsOptions = {
    source: { path, offset: archiveHead, length: stream.length, name: 'disk1.vmdk' },
    targetPath: join(folder, 'disk-flat.vmdk.partial'),
    virtualBytes: image.length,
    fill: false,
    recordPath: join(folder, 'record'),
    about: `app.ova ${disks}`,
  };
  return { options, digest, stream };
}

it('settles a disk that lies in an archive, with holes where it is zero, and says how far it is', async (test) => {
  const folder = await temporaryFolder(test);
  const image = patterned(24 << 20, 1 << 16, [1, 0, 2, 0, 0]);
  image.fill(0, 8 << 20, 20 << 20);
  const { options, digest } = await disk(folder, image);
  const seen: number[] = [];
  await settleStream({ ...options, digest, onProgress: ({ doneBytes }) => seen.push(doneBytes) });
  assert.ok((await readFile(options.targetPath)).equals(image));
  const { blocks } = await stat(options.targetPath);
  assert.ok(blocks * 512 < 12 << 20, `${blocks} blocks are taken`);
  assert.equal(seen.at(-1), options.source.length);
});

it('goes on after a kill at any grain, from what was durable then', async (test) => {
  const folder = await temporaryFolder(test);
  const image = patterned(6 << 20, 1 << 16, [1, 2, 0, 1, 0, 2]);
  const { options } = await disk(folder, image);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(60), fc.boolean()), { maxLength: 4 }),
      fc.boolean(),
      async (kills, fill) => {
        await writeFile(options.recordPath, '');
        const run = { ...options, fill };
        for (const [steps, kept] of kills) {
          const grains = new SettleGrains(run.source, run);
          for (let step = 0; step < steps && grains.step() !== undefined; step += 1);
          // What was not made durable is lost with the process: nothing of it is relied on.
          if (kept) grains.checkpoint();
          grains.close();
        }
        settleHere(run);
        assert.ok((await readFile(run.targetPath)).equals(image));
      },
    ),
    { numRuns: 15 },
  );
});

it('begins anew when the source is another, or the target is not what the record is about', async (test) => {
  const folder = await temporaryFolder(test);
  const image = patterned(4 << 20, 1 << 16, [1, 2]);
  const { options } = await disk(folder, image);
  const begin = () => {
    const grains = new SettleGrains(options.source, options);
    for (let step = 0; step < 20; step += 1) grains.step();
    grains.checkpoint();
    grains.close();
  };
  begin();
  assert.equal(new SettleGrains(options.source, { ...options, about: 'another.ova' }).position.disk, 0);
  begin();
  await writeFile(options.targetPath, 'short');
  assert.equal(new SettleGrains(options.source, options).position.disk, 0);
  begin();
  assert.ok(new SettleGrains(options.source, options).position.disk > 0);
});

it('does not go on from a record that is older than its target', async (test) => {
  const folder = await temporaryFolder(test);
  const image = patterned(4 << 20, 1 << 16, [1, 2]);
  const { options } = await disk(folder, image);
  const first = new SettleGrains(options.source, options);
  for (let step = 0; step < 20; step += 1) first.step();
  first.checkpoint();
  first.close();
  // Its target is lost, and the next run is killed before it has a record of its own.
  await rm(options.targetPath);
  const second = new SettleGrains(options.source, options);
  second.step();
  second.close();
  settleHere(options);
  assert.ok((await readFile(options.targetPath)).equals(image));
});

it('finds a flipped byte anywhere: in a grain it names the block, and elsewhere the digest names the file', async (test) => {
  const folder = await temporaryFolder(test);
  const image = patterned(1 << 20, 1 << 16, [1, 2, 0]);
  const { stream } = await disk(folder, image);
  await fc.assert(
    fc.asyncProperty(fc.nat(stream.length - 1), fc.integer({ min: 1, max: 255 }), async (at, bits) => {
      const { options, digest } = await disk(folder, image, (bytes) => {
        bytes[at] = bytes[at]! ^ bits;
      });
      const error = await settleStream({ ...options, digest }).then(
        () => assert.fail(`byte ${at} of ${stream.length} was not missed`),
        (thrown: unknown) => thrown,
      );
      assert.ok(error instanceof VmdkError, String(error));
      assert.match(error.message, /disk1\.vmdk/);
      // Without a digest, what is not refused is right.
      try {
        settleHere({ ...options, about: 'anew' });
        assert.ok(
          (await readFile(options.targetPath)).equals(image),
          `byte ${at} of ${stream.length} made other bytes`,
        );
      } catch (thrown) {
        assert.ok(thrown instanceof VmdkError, String(thrown));
      }
    }),
    { numRuns: 12 },
  );
  const { options, digest } = await disk(folder, image, (bytes) => {
    bytes[70_000] = bytes[70_000]! ^ 1;
  });
  const named = { message: /disk1\.vmdk has a damaged grain \(byte \d+, block of the disk at byte \d+\)/ };
  await assert.rejects(settleStream({ ...options, digest }), named);
  await assert.rejects(settleStream({ ...options, about: 'anew' }), named);
  await assert.rejects(verifyStream(options.source), named);
  await assert.rejects(verifyStream(options.source, { digest }), named);
  const whole = await disk(folder, image);
  await verifyStream(whole.options.source, { digest: whole.digest });
  const other = { ...whole.digest, expected: 'ab' };
  await assert.rejects(verifyStream(whole.options.source, { digest: other }), { code: 'digest-mismatch' });
});

it('refuses tables that name grains out of order or outside the file, before anybody reads by them', async (test) => {
  const folder = await temporaryFolder(test);
  const image = patterned(2 << 20, 1 << 16, [2]);
  const whole = await disk(folder, image);
  assert.equal((await readStreamTables(whole.options.source)).virtualBytes, image.length);
  const table = tableOf(whole.stream);
  for (const value of [1 << 30, 127, whole.stream.readUInt32LE(table)]) {
    const { options } = await disk(folder, image, (bytes) => bytes.writeUInt32LE(value, table + 4));
    await assert.rejects(readStreamTables(options.source), { code: 'table-invalid' });
  }
  // One that is left out cannot be seen by the order: the grain itself tells, and no reader gets zeros for good.
  const { options } = await disk(folder, image, (bytes) => bytes.writeUInt32LE(0, table + 4));
  await assert.rejects(settleStream(options), { code: 'table-invalid' });
});

it('stops when it is told to, keeps what it has, and goes no faster than it may', async (test) => {
  const folder = await temporaryFolder(test);
  const image = patterned(8 << 20, 1 << 16, [1, 2]);
  const { options, digest } = await disk(folder, image);
  const abort = new AbortController();
  const pace = new SettlePace(1 << 20);
  const run = settleStream({ ...options, digest, pace, signal: abort.signal, onProgress: () => abort.abort() });
  await assert.rejects(run, { name: 'AbortError' });
  const kept = new SettleGrains(options.source, options);
  assert.ok(kept.position.disk > 0 && kept.position.disk < image.length, `${kept.position.disk} bytes are kept`);
  kept.close();
  await settleStream({ ...options, digest });
  assert.ok((await readFile(options.targetPath)).equals(image));
});

it('takes any bytes as a disk or refuses them by name', async (test) => {
  const folder = await temporaryFolder(test);
  const image = patterned(1 << 19, 1 << 16, [1, 2]);
  const { stream } = await disk(folder, image);
  const edits = fc.array(fc.tuple(fc.nat(stream.length - 1), fc.nat(255)), { minLength: 1, maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(edits, fc.nat(stream.length), async (changes, length) => {
      const { options } = await disk(folder, image, (bytes) => {
        for (const [at, value] of changes) bytes[at] = value;
      });
      const source = { ...options.source, length };
      try {
        settleHere({ ...options, source });
      } catch (error) {
        assert.ok(error instanceof VmdkError, String(error));
      }
    }),
    { numRuns: 100 },
  );
});

/** Settles a disk on this thread. */
function settleHere(options: SettleGrainsOptions): void {
  const grains = new SettleGrains(options.source, options);
  try {
    while (grains.step() !== undefined);
  } finally {
    grains.close();
  }
}

/** Byte of the first grain table, by the footer. */
function tableOf(stream: Buffer): number {
  const directory = Number(stream.readBigUInt64LE(stream.length - 1024 + 56)) * 512;
  return stream.readUInt32LE(directory) * 512;
}
