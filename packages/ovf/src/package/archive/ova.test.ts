import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { extract, pack } from 'tar-stream';
import {
  formatManifest,
  indexOva,
  type OvaInput,
  OvfError,
  type OvfErrorCode,
  openOvf,
  type PackageOptions,
  parseManifest,
  readOva,
  writeOva,
} from '../../index.ts';

const disk = Buffer.from(Array.from({ length: 3000 }, (_, index) => index % 251));

function descriptor(files: string) {
  return `<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"><References>${files}</References><VirtualSystem ovf:id="vm"><Info/><VirtualHardwareSection><Info/></VirtualHardwareSection></VirtualSystem></Envelope>`;
}

const oneDisk = descriptor('<File ovf:id="f" ovf:href="disk.vmdk" ovf:size="3000"/>');

function input(name: string, bytes: Uint8Array): OvaInput {
  return {
    name,
    size: bytes.length,
    open: async function* () {
      yield bytes.subarray(0, 1000);
      yield bytes.subarray(1000);
    },
  };
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(part);
  return Buffer.concat(parts);
}

async function write(manifestAt: 'start' | 'end' = 'end', files = [input('disk.vmdk', disk)]): Promise<Buffer> {
  const output = new PassThrough();
  const written = writeOva(output, { descriptorName: 'vm.ovf', descriptor: oneDisk, files, manifestAt });
  const [bytes] = await Promise.all([collect(output), written]);
  return bytes;
}

/** An archive by an independent writer. */
async function tar(...entries: (readonly [name: string, content: string | Buffer, type?: 'directory' | 'symlink'])[]) {
  const archive = pack();
  for (const [name, content, type] of entries) {
    if (type === 'symlink') archive.entry({ name, type, linkname: '/etc/passwd' });
    else if (type === 'directory') archive.entry({ name, type });
    else archive.entry({ name }, content);
  }
  archive.finalize();
  return collect(Readable.from(archive));
}

/** Bytes in pieces of a length, as a network gives them. */
async function* pieces(bytes: Uint8Array, length: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

async function readAll(bytes: Uint8Array, options: PackageOptions = {}, piece = 700): Promise<Record<string, Buffer>> {
  const contents: Record<string, Buffer> = {};
  const ova = await readOva(pieces(bytes, piece), options);
  for await (const file of ova.files()) contents[file.name] = await collect(file.content);
  return contents;
}

function refuses(code: OvfErrorCode, ...words: string[]) {
  return (error: unknown) => {
    assert.ok(error instanceof OvfError, String(error));
    assert.equal(error.code, code, error.message);
    for (const word of words) assert.ok(error.message.includes(word), `${error.message} says ${word}`);
    return true;
  };
}

async function inFolder(run: (folder: string) => Promise<void>) {
  const folder = await mkdtemp(join(tmpdir(), 'ovf-'));
  try {
    await run(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

for (const manifestAt of ['start', 'end'] as const) {
  test(`an OVA with the manifest at the ${manifestAt} is written and streamed back`, async () => {
    const bytes = await write(manifestAt);
    for (const piece of [1, 511, 512, 100_000]) {
      assert.deepEqual(await readAll(bytes, {}, piece), { 'disk.vmdk': disk });
    }
    const ova = await readOva(pieces(bytes, 512));
    assert.equal(ova.manifest === undefined, manifestAt === 'end');
    for await (const file of ova.files()) assert.equal(file.reference?.id, 'f');
    assert.deepEqual(
      ova.manifest?.entries.map(({ file }) => file),
      ['vm.ovf', 'disk.vmdk'],
    );
  });
  test(`one flipped byte is refused by the manifest at the ${manifestAt}, even when nobody reads the file`, async () => {
    const bytes = await write(manifestAt);
    bytes[bytes.indexOf(disk) + 2000]! ^= 1;
    await assert.rejects(readAll(bytes), refuses('digest-mismatch', 'disk.vmdk'));
    await assert.rejects(
      async () => {
        for await (const _ of (await readOva(pieces(bytes, 4096))).files());
      },
      refuses('digest-mismatch', 'disk.vmdk'),
    );
  });
}

test('another reader sees USTAR entries in order', async () => {
  const reader = extract();
  reader.end(await write('start'));
  const seen: string[] = [];
  for await (const entry of reader) {
    seen.push(`${entry.header.name} ${entry.header.type}`);
    entry.resume();
  }
  assert.deepEqual(seen, ['vm.ovf file', 'vm.mf file', 'disk.vmdk file']);
});

test('an archive that ends early is refused wherever it ends', async () => {
  const bytes = await write();
  for (const length of [0, 100, 512, 700, bytes.indexOf(disk) + 5, bytes.indexOf(disk) + 3000, bytes.length - 1024]) {
    await assert.rejects(readAll(bytes.subarray(0, length)), refuses('archive-truncated'), `at ${length}`);
  }
});

test('the reader of a file that is cut short learns it before the end', async () => {
  const bytes = await write('start');
  await assert.rejects(readAll(bytes.subarray(0, bytes.indexOf(disk) + 5)), refuses('archive-truncated', 'disk.vmdk'));
});

test('files that are missing, unknown, of a wrong size or not files are refused', async () => {
  await assert.rejects(readAll(await tar(['vm.ovf', oneDisk])), refuses('file-missing', 'disk.vmdk'));
  await assert.rejects(
    readAll(await tar(['vm.ovf', oneDisk], ['disk.vmdk', 'x'])),
    refuses('size-mismatch', 'disk.vmdk'),
  );
  await assert.rejects(
    readAll(await tar(['disk.vmdk', disk], ['vm.ovf', oneDisk])),
    refuses('archive-invalid', 'first'),
  );
  const more = await tar(['vm.ovf', oneDisk], ['disk.vmdk', disk], ['readme.txt', 'x']);
  await assert.rejects(readAll(more), refuses('file-unreferenced', 'readme.txt'));
  assert.deepEqual(Object.keys(await readAll(more, { rules: 'lax' })), ['disk.vmdk', 'readme.txt']);
  await assert.rejects(
    readAll(await tar(['vm.ovf', oneDisk], ['a', '', 'directory'])),
    refuses('archive-invalid', 'directory'),
  );
  await assert.rejects(
    readAll(await tar(['vm.ovf', oneDisk], ['a', '', 'symlink'])),
    refuses('archive-invalid', 'link'),
  );
  await assert.rejects(
    readAll(await tar(['vm.ovf', oneDisk], ['disk.vmdk', disk], ['disk.vmdk', disk])),
    refuses('archive-invalid', 'twice'),
  );
  await assert.rejects(readAll(more, { maxEntries: 2 }), refuses('archive-limit'));
  await assert.rejects(readAll(more, { maxDescriptorLength: 10 }), refuses('archive-limit', 'vm.ovf'));
});

test('names that lead out of the package are refused', async () => {
  for (const name of ['../disk.vmdk', '/disk.vmdk', 'a/../../b', 'a\\..\\b', 'C:disk.vmdk']) {
    await assert.rejects(readAll(await tar(['vm.ovf', oneDisk], [name, disk])), refuses('name-unsafe'), name);
    const named = descriptor(`<File ovf:id="f" ovf:href="${name}"/>`);
    await assert.rejects(readAll(await tar(['vm.ovf', named])), refuses('name-unsafe'), name);
  }
  const escaped = descriptor('<File ovf:id="f" ovf:href="%2e%2e/disk.vmdk"/>');
  await assert.rejects(readAll(await tar(['vm.ovf', escaped])), refuses('name-unsafe'));
});

test('an index finds the contents without reading them, and a package opens them', async () => {
  await inFolder(async (folder) => {
    const path = join(folder, 'vm.ova');
    const bytes = await write();
    await writeFile(path, bytes);
    const entry = (await indexOva(path)).find(({ name }) => name === 'disk.vmdk')!;
    assert.deepEqual(bytes.subarray(entry.offset, entry.offset + entry.size), disk);
    const ova = await openOvf(path);
    assert.deepEqual(await collect(ova.open('disk.vmdk')), disk);
    assert.deepEqual(await collect(ova.open('disk.vmdk', { range: { start: 10, length: 5 } })), disk.subarray(10, 15));
    await ova.close();
    bytes[entry.offset + 7]! ^= 1;
    await writeFile(path, bytes);
    const changed = await openOvf(path);
    await assert.rejects(collect(changed.open('disk.vmdk')), refuses('digest-mismatch', 'disk.vmdk'));
    await changed.close();
    await writeFile(path, bytes.subarray(0, entry.offset + 100));
    await assert.rejects(indexOva(path), refuses('archive-truncated'));
  });
});

test('a folder gives chunks joined and decompressed, and refuses links that lead out', async () => {
  await inFolder(async (folder) => {
    const stored = gzipSync(disk);
    const chunkSize = Math.ceil(stored.length / 2);
    const file = `<File ovf:id="f" ovf:href="disk%201.gz" ovf:compression="gzip" ovf:chunkSize="${chunkSize}" ovf:size="${stored.length}"/>`;
    await writeFile(join(folder, 'vm.ovf'), descriptor(file));
    await assert.rejects(openOvf(join(folder, 'vm.ovf')), refuses('file-missing', 'disk%201.gz'));
    await writeFile(join(folder, 'disk 1.gz.000000000'), stored.subarray(0, chunkSize));
    await assert.rejects(openOvf(join(folder, 'vm.ovf')), refuses('size-mismatch'));
    await writeFile(join(folder, 'disk 1.gz.000000001'), stored.subarray(chunkSize));
    const opened = await openOvf(join(folder, 'vm.ovf'));
    assert.deepEqual(await collect(opened.open('disk%201.gz')), disk);
    await opened.close();
    await rm(join(folder, 'disk 1.gz.000000000'));
    await symlink('/etc/passwd', join(folder, 'disk 1.gz.000000000'));
    await assert.rejects(openOvf(join(folder, 'vm.ovf')), refuses('name-unsafe', 'link'));
  });
});

test('a file that is not as long as it said is not written', async () => {
  const short = { ...input('disk.vmdk', disk), size: 4000 };
  await assert.rejects(write('end', [short]), refuses('size-mismatch', 'disk.vmdk'));
});

test('manifests are read with and without spaces, and written as they are read', () => {
  const hex = createHash('sha256').update('').digest('hex');
  const sha512 = createHash('sha512').update('').digest('hex');
  const manifest = parseManifest(`SHA256(a b.vmdk)= ${hex}\r\nSHA512 ( c.ovf ) =${sha512.toUpperCase()}\n\n`);
  assert.deepEqual(manifest.entries, [
    { algorithm: 'SHA256', file: 'a b.vmdk', digest: hex },
    { algorithm: 'SHA512', file: 'c.ovf', digest: sha512 },
  ]);
  assert.deepEqual(parseManifest(formatManifest(manifest)), manifest);
  assert.throws(() => parseManifest(`SHA1(a)= ${hex}`), refuses('manifest-invalid', 'line 1'));
  assert.throws(() => parseManifest(`SHA256(a)= ${hex}\nSHA256(a)= ${hex}`), refuses('manifest-invalid', 'line 2'));
  assert.throws(() => parseManifest(`SHA256(../a)= ${hex}`), refuses('name-unsafe'));
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('SHA1', '(', ')', '=', ' ', 'a', '0', '\n') }), (text) => {
      try {
        parseManifest(text);
      } catch (error) {
        assert.ok(error instanceof OvfError);
      }
    }),
  );
});

test('no mutation of an archive does more than throw an OvfError', async () => {
  const archives = [await write('start'), await write('end'), await tar(['vm.ovf', oneDisk], ['disk.vmdk', disk])];
  await fc.assert(
    fc.asyncProperty(
      fc.nat(2),
      fc.array(fc.tuple(fc.nat(10_000), fc.nat(255)), { minLength: 1, maxLength: 8 }),
      fc.option(fc.nat(10_000)),
      async (index, flips, cut) => {
        const bytes = Buffer.from(archives[index]!).subarray(0, cut ?? undefined);
        for (const [at, value] of flips) bytes[at % Math.max(1, bytes.length)] = value;
        await readAll(bytes).catch((error: unknown) => assert.ok(error instanceof OvfError, String(error)));
      },
    ),
    { numRuns: 200 },
  );
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 2000 }), async (bytes) => {
      await assert.rejects(readAll(bytes), OvfError);
    }),
  );
});
