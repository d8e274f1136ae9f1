import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  folderSource,
  formatManifest,
  OvfError,
  ovaSource,
  type PackageVerdict,
  parseManifest,
  readOva,
  verifyOvaStream,
  verifyPackage,
} from '../../index.ts';
import { collect, descriptorOf, inputOf, ovaBytes, pieces, sha256 } from '../../testing/packages.ts';
import { indexOva } from '../archive/ova-index.ts';

const disk = Buffer.from(Array.from({ length: 3000 }, (_, index) => index % 251));
const notes = Buffer.from('read me');
const descriptor = descriptorOf(
  '<File ovf:id="f" ovf:href="disk.vmdk" ovf:size="3000"/><File ovf:id="n" ovf:href="notes.txt"/>',
);
const files = [inputOf('disk.vmdk', disk), inputOf('notes.txt', notes)];

function statuses({ files: verdicts }: PackageVerdict): Record<string, string> {
  return Object.fromEntries(verdicts.map(({ file, status }) => [file, status]));
}

async function inFolder(run: (folder: string) => Promise<void>) {
  const folder = await mkdtemp(join(tmpdir(), 'ovf-'));
  try {
    await run(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function verifyFile(path: string): Promise<PackageVerdict> {
  const source = await ovaSource(path);
  try {
    return await verifyPackage(source);
  } finally {
    await source.close();
  }
}

test('a folder is verified file by file', async () => {
  await inFolder(async (folder) => {
    const path = join(folder, 'vm.ovf');
    const entries = [
      { algorithm: 'SHA256', file: 'vm.ovf', digest: sha256(descriptor) },
      { algorithm: 'SHA256', file: 'disk.vmdk', digest: sha256(disk) },
      { algorithm: 'SHA256', file: 'gone.txt', digest: sha256('') },
    ] as const;
    await writeFile(path, descriptor);
    await writeFile(join(folder, 'disk.vmdk'), disk);
    await writeFile(join(folder, 'notes.txt'), notes);
    const verify = async () => verifyPackage(await folderSource(path));
    assert.equal((await verify()).result, 'unproven');
    await writeFile(join(folder, 'vm.mf'), formatManifest({ entries }));
    const verdict = await verify();
    assert.equal(verdict.result, 'bad');
    assert.deepEqual(statuses(verdict), {
      'vm.ovf': 'matches',
      'disk.vmdk': 'matches',
      'notes.txt': 'uncovered',
      'gone.txt': 'missing',
    });
    await writeFile(join(folder, 'disk.vmdk'), Buffer.concat([disk, notes]));
    assert.equal(statuses(await verify())['disk.vmdk'], 'differs');
    await rm(join(folder, 'notes.txt'));
    assert.equal(statuses(await verify())['notes.txt'], 'missing');
    await writeFile(join(folder, 'vm.mf'), 'nonsense');
    assert.match((await verify()).files[0]!.detail!, /vm\.mf, line 1/);
  });
});

test('large files are digested by threads, and progress reaches the end', async () => {
  await inFolder(async (folder) => {
    const large = Buffer.alloc(9 * 2 ** 20 + 5, 'large');
    const other = Buffer.alloc(5 * 2 ** 20, 'other');
    const two = descriptorOf('<File ovf:id="a" ovf:href="a.vmdk"/><File ovf:id="b" ovf:href="b.vmdk"/>');
    const inputs = [inputOf('a.vmdk', large), inputOf('b.vmdk', other)];
    for (const digest of ['SHA1', 'SHA512'] as const) {
      const path = join(folder, `${digest}.ova`);
      const bytes = await ovaBytes({ descriptorName: 'vm.ovf', descriptor: two, files: inputs, digest });
      await writeFile(path, bytes);
      const source = await ovaSource(path);
      const seen: number[] = [];
      const verdict = await verifyPackage(source, { onProgress: ({ doneBytes }) => void seen.push(doneBytes) });
      assert.equal(verdict.result, 'good', JSON.stringify(verdict));
      assert.equal(seen.at(-1), two.length + large.length + other.length);
      const stop = new AbortController();
      stop.abort(new Error('enough'));
      await assert.rejects(verifyPackage(source, { signal: stop.signal }), /enough/);
      await source.close();
      assert.equal((await verifyOvaStream(pieces(bytes, 300_000))).result, 'good');
      bytes[bytes.indexOf(other) + 4_000_000]! ^= 1;
      await writeFile(path, bytes);
      assert.equal(statuses(await verifyOvaStream(pieces(bytes, 300_000)))['b.vmdk'], 'differs');
      assert.deepEqual(statuses(await verifyFile(path)), {
        'vm.ovf': 'matches',
        'a.vmdk': 'matches',
        'b.vmdk': 'differs',
      });
    }
  });
});

test('an order that is not the one of References is noticed', async () => {
  const bytes = await ovaBytes({ descriptorName: 'vm.ovf', descriptor, files: files.toReversed() });
  const verdict = await verifyOvaStream(pieces(bytes, 777));
  assert.equal(verdict.result, 'good');
  assert.deepEqual(verdict.warnings, [
    { detail: 'it stands behind a file that References has after it', location: { file: 'disk.vmdk' } },
  ]);
});

test('a pipe that is stopped ends with the reason', async () => {
  const bytes = await ovaBytes({ descriptorName: 'vm.ovf', descriptor, files });
  const stop = new AbortController();
  stop.abort(new Error('enough'));
  await assert.rejects(verifyOvaStream(pieces(bytes, 100), { signal: stop.signal }), /enough/);
});

for (const manifestAt of ['start', 'end'] as const) {
  test(`a byte flipped anywhere in an OVA is found and named (manifest at the ${manifestAt})`, async () => {
    const whole = await ovaBytes({ descriptorName: 'vm.ovf', descriptor, files, manifestAt });
    await inFolder(async (folder) => {
      const path = join(folder, 'vm.ova');
      await writeFile(path, whole);
      const entries = await indexOva(path);
      /** The file whose header, content or padding has the byte. */
      const ownerOf = (at: number) => entries.findLast(({ offset }) => at >= offset - 512);
      const contentHas = (at: number) => entries.some(({ offset, size }) => at >= offset && at < offset + size);
      await fc.assert(
        fc.asyncProperty(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), async (at, mask) => {
          const bytes = Buffer.from(whole);
          bytes[at]! ^= mask;
          await writeFile(path, bytes);
          const owner = ownerOf(at)!;
          for (const verify of [() => verifyFile(path), () => verifyOvaStream(pieces(bytes, 999))]) {
            const told = await verify().catch((error: unknown) => {
              assert.ok(error instanceof OvfError, String(error));
              return error;
            });
            if (told instanceof OvfError) {
              // Of a header that is damaged the place is sure, the name is not.
              assert.ok(told.message.includes(owner.name) || /byte \d+/.test(told.message), told.message);
              continue;
            }
            const inManifest = owner.name === 'vm.mf' && contentHas(at);
            if (told.result === 'bad') {
              // A digest that was flipped in the manifest speaks against the file that it is of.
              if (!inManifest)
                assert.ok(told.files.some(({ file, status }) => file === owner.name && status !== 'matches'));
              continue;
            }
            // What is good all the same says nothing: a space or the case of a digit in the manifest, a sign of a
            // header's number that is not read, or padding, which is told.
            if (inManifest) {
              const content = bytes.subarray(owner.offset, owner.offset + owner.size);
              assert.deepEqual(parseManifest(content), parseManifest(formatManifest(parseManifest(content))));
              continue;
            }
            assert.ok(!contentHas(at), `byte ${at} of ${owner.name}`);
            if (at >= owner.offset + owner.size && at < whole.length - 512) {
              assert.notDeepEqual(told.warnings, [], `byte ${at} behind ${owner.name}`);
            }
            for await (const file of (await readOva(pieces(bytes, 4096))).files()) {
              assert.deepEqual(await collect(file.content), file.name === 'disk.vmdk' ? disk : notes);
            }
          }
        }),
        { numRuns: 150 },
      );
    });
  });
}
