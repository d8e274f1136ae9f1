import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { pack } from 'tar-stream';
import { diskLayers, OvfError, type OvfErrorCode, openOvf, parseEnvelope, readOva } from '../../index.ts';
import { collect, descriptorOf, inputOf, ovaBytes, pieces } from '../../testing/packages.ts';

// What gzip cannot make small.
const disk = createHash('shake256', { outputLength: 5000 }).update('disk').digest();

function refuses(code: OvfErrorCode, words: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof OvfError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, words);
    return true;
  };
}

/** A package with the disk in chunks, compressed or not, as an OVA in a folder of its own. */
async function withOva(
  { compressed, chunk, content = disk }: { compressed: boolean; chunk?: number; content?: Buffer },
  run: (path: string, bytes: Buffer, folder: string) => Promise<void>,
) {
  const stored = compressed ? gzipSync(content) : content;
  const chunks: Buffer[] = [];
  for (let at = 0; at < stored.length; at += chunk ?? stored.length) {
    chunks.push(stored.subarray(at, at + (chunk ?? stored.length)));
  }
  const attributes = `ovf:size="${stored.length}"${compressed ? ' ovf:compression="gzip"' : ''}${chunk ? ` ovf:chunkSize="${chunk}"` : ''}`;
  const section =
    '<DiskSection><Info/><Disk ovf:diskId="d" ovf:fileRef="f" ovf:capacity="5000" ovf:format="x"/></DiskSection>';
  const bytes = await ovaBytes({
    descriptorName: 'vm.ovf',
    descriptor: descriptorOf(`<File ovf:id="f" ovf:href="disk.vmdk" ${attributes}/>`, section),
    files: chunks.map((part, index) =>
      inputOf(chunk ? `disk.vmdk.${String(index).padStart(9, '0')}` : 'disk.vmdk', part),
    ),
  });
  const folder = await mkdtemp(join(tmpdir(), 'ovf-'));
  try {
    const path = join(folder, 'vm.ova');
    await writeFile(path, bytes);
    await run(path, bytes, folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

for (const compressed of [false, true]) {
  for (const chunk of [undefined, 900]) {
    test(`a disk ${compressed ? 'compressed' : 'as it is'}, ${chunk ? 'in chunks' : 'whole'}, is read through, anywhere and as a stream`, async () => {
      await withOva({ compressed, ...(chunk === undefined ? {} : { chunk }) }, async (path, bytes, folder) => {
        const opened = await openOvf(path, { rules: 'strict' });
        assert.deepEqual(opened.warnings, []);
        assert.deepEqual(await collect(opened.open('disk.vmdk')), disk);
        const random = await opened.openRandom('disk.vmdk', { scratchFolder: folder });
        assert.equal(random.size, disk.length);
        await fc.assert(
          fc.asyncProperty(fc.nat(6000), fc.nat(3000), async (offset, length) => {
            const part = Buffer.from(await random.read(offset, length));
            assert.deepEqual(part, disk.subarray(offset, offset + length));
            if (compressed) return;
            const range = { start: offset, length };
            assert.deepEqual(
              await collect(opened.open('disk.vmdk', { range })),
              disk.subarray(offset, offset + length),
            );
          }),
          { numRuns: 25 },
        );
        await random.close();
        assert.deepEqual(await readdir(folder), ['vm.ova'], 'nothing is left behind');
        await opened.close();
        const contents: Buffer[] = [];
        for await (const { content } of (await readOva(pieces(bytes, 333))).contents()) {
          contents.push(await collect(content));
        }
        assert.deepEqual(contents, [disk]);
      });
    });
  }
}

test('what a reader leaves of a streamed file is passed over, and still checked', async () => {
  await withOva({ compressed: true, chunk: 900 }, async (_path, bytes) => {
    bytes[bytes.indexOf(gzipSync(disk).subarray(1000, 1100)) + 3]! ^= 1;
    const ova = await readOva(pieces(bytes, 512));
    await assert.rejects(
      async () => {
        for await (const _ of ova.contents());
      },
      refuses('digest-mismatch', /disk\.vmdk\.000000001/),
    );
  });
});

test('a compressed disk that inflates to more than it can need is refused', async () => {
  await withOva({ compressed: true, content: Buffer.alloc(65 * 2 ** 20) }, async (path, bytes) => {
    const opened = await openOvf(path);
    await assert.rejects(collect(opened.open('disk.vmdk')), refuses('archive-limit', /disk\.vmdk.*inflates/));
    await assert.rejects(opened.openRandom('disk.vmdk'), refuses('archive-limit', /disk\.vmdk/));
    await opened.close();
    for await (const { content } of (await readOva(pieces(bytes, 10_000))).contents()) {
      await assert.rejects(collect(content), refuses('archive-limit', /disk\.vmdk/));
      break;
    }
  });
});

test('a file by its URL is named, and fetched only for those who say how', async () => {
  const url = 'https://example.org/disk.vmdk';
  const bytes = await ovaBytes({
    descriptorName: 'vm.ovf',
    descriptor: descriptorOf(`<File ovf:id="f" ovf:href="${url}"/>`),
    files: [],
  });
  const folder = await mkdtemp(join(tmpdir(), 'ovf-'));
  try {
    const path = join(folder, 'vm.ova');
    await writeFile(path, bytes);
    const opened = await openOvf(path);
    assert.throws(() => opened.open(url), refuses('name-unsafe', /example\.org.*not fetched/));
    await opened.close();
    const asked: string[] = [];
    const fetching = await openOvf(path, {
      fetch: (address, range) => {
        asked.push(`${address} ${range?.start ?? 0}`);
        return pieces(disk.subarray(range?.start ?? 0), 100);
      },
    });
    assert.deepEqual(await collect(fetching.open(url)), disk);
    assert.deepEqual(await collect(fetching.open(url, { range: { start: 4990 } })), disk.subarray(4990));
    assert.deepEqual(asked, [`${url} 0`, `${url} 4990`]);
    await fetching.close();
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('an encrypted file is refused with the reason', async () => {
  const section = `<EncryptionSection ovf:required="false"><Info/><xenc:EncryptedKey xmlns:xenc="http://www.w3.org/2001/04/xmlenc#"><xenc:ReferenceList><xenc:DataReference URI="disk.vmdk"/></xenc:ReferenceList></xenc:EncryptedKey></EncryptionSection>`;
  const bytes = await ovaBytes({
    descriptorName: 'vm.ovf',
    descriptor: descriptorOf('<File ovf:id="f" ovf:href="disk.vmdk"/>', section).replaceAll('envelope/1', 'envelope/2'),
    files: [inputOf('disk.vmdk', disk)],
  });
  await assert.rejects(
    async () => {
      for await (const { content } of (await readOva(pieces(bytes, 512))).contents()) await collect(content);
    },
    refuses('encrypted', /disk\.vmdk, line 1, EncryptionSection.*encrypted/),
  );
});

test('the layers of a delta disk are its parents, the base first', () => {
  const disks = [
    ['c', 'b', 'fc'],
    ['a', undefined, 'fa'],
    ['b', 'a', 'fb'],
  ].map(
    ([id, parent, file]) =>
      `<Disk ovf:diskId="${id}" ovf:fileRef="${file}" ovf:capacity="1"${parent ? ` ovf:parentRef="${parent}"` : ''} ovf:format="x"/>`,
  );
  const envelope = parseEnvelope(
    descriptorOf(
      ['fa', 'fb', 'fc'].map((id) => `<File ovf:id="${id}" ovf:href="${id}.vmdk"/>`).join(''),
      `<DiskSection><Info/>${disks.join('')}</DiskSection>`,
    ),
  );
  assert.deepEqual(
    diskLayers(envelope, 'c').map(({ file }) => file?.href),
    ['fa.vmdk', 'fb.vmdk', 'fc.vmdk'],
  );
  assert.throws(() => diskLayers(envelope, 'x'), refuses('reference-unknown', /"x"/));
});

test('what is against the rules of an archive is refused strictly, told usually, and passed over laxly', async () => {
  const descriptor = descriptorOf('<File ovf:id="a" ovf:href="a"/><File ovf:id="b" ovf:href="b"/>');
  const files = [inputOf('b', disk), inputOf('a', disk)];
  const swapped = await ovaBytes({ descriptorName: 'vm.ovf', descriptor, files });
  const read = async (bytes: Buffer, rules?: 'strict' | 'lax') => {
    const ova = await readOva(pieces(bytes, 512), rules === undefined ? {} : { rules });
    for await (const _ of ova.files());
    return ova.warnings.map(({ detail }) => detail);
  };
  assert.match((await read(swapped)).join(), /behind a file that References has after it/);
  await assert.rejects(read(swapped, 'strict'), refuses('archive-invalid', /^a: /));
  const archive = pack();
  archive.entry({ name: 'vm.ovf' }, descriptor);
  archive.entry({ name: 'folder', type: 'directory' });
  archive.entry({ name: 'a' }, disk);
  archive.entry({ name: 'b' }, disk);
  archive.finalize();
  const bytes = await collect(archive as AsyncIterable<Uint8Array>);
  const withoutEnd = bytes.subarray(0, bytes.length - 1024);
  await assert.rejects(read(withoutEnd), refuses('archive-invalid', /folder.*directory/));
  assert.deepEqual(await read(withoutEnd, 'lax'), [
    'the archive has a directory',
    'the end mark of the archive is missing',
  ]);
});
