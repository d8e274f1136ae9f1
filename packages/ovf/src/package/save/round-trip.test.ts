import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { openOvf, readOva, saveArchive, saveFolder, verifyPackage } from '../../index.ts';
import { manifestSigner } from '../../signature/sign-manifest.ts';
import { collect, descriptorOf, pieces } from '../../testing/packages.ts';
import { pemOf, signatureFixture } from '../../testing/signature-fixtures.ts';

const signer = manifestSigner({ key: signatureFixture('ec.key'), certificates: pemOf('ec', 'issuer') });

const changes = fc.record(
  {
    digest: fc.constantFrom('SHA1', 'SHA256', 'SHA512'),
    signer: fc.constant(signer),
    compression: fc.constantFrom('gzip', 'none'),
    chunkBytes: fc.constantFrom(0, 1024, 1500, 4096),
  },
  { requiredKeys: [] },
);
// Names that need an escape, lie in a folder, or are longer than a tar header's field.
const names: fc.Arbitrary<readonly string[]> = fc.uniqueArray(
  fc.constantFrom<string[]>(
    'a.vmdk',
    'b c.vmdk',
    'd/e.iso',
    'grüße.txt',
    `f/${'g'.repeat(98)}`,
    `${'h'.repeat(60)}/${'i'.repeat(60)}`,
    'j'.repeat(200),
  ),
  { minLength: 1, maxLength: 4 },
);

test('whatever way a package is written, it reads back the same', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ovf-'));
  let turn = 0;
  try {
    await fc.assert(
      fc.asyncProperty(
        names,
        fc.array(fc.uint8Array({ maxLength: 6000, size: 'max' }), { minLength: 4, maxLength: 4 }),
        fc.array(fc.tuple(fc.boolean(), changes), { minLength: 1, maxLength: 4 }),
        async (files, contents, steps) => {
          turn += 1;
          const source = join(folder, `${turn}`);
          const references = files.map((name, index) => `<File ovf:id="f${index}" ovf:href="${encodeURI(name)}"/>`);
          const disks = files.map(
            (_, index) => `<Disk ovf:diskId="d${index}" ovf:fileRef="f${index}" ovf:capacity="6000" ovf:format="x"/>`,
          );
          const section = `<DiskSection><Info/>${disks.join('')}</DiskSection>`;
          await mkdir(source);
          await writeFile(join(source, 'vm.ovf'), descriptorOf(references.join(''), section));
          for (const [index, name] of files.entries()) {
            await mkdir(dirname(join(source, name)), { recursive: true });
            await writeFile(join(source, name), contents[index]!);
          }
          let path = join(source, 'vm.ovf');
          let signed = false;
          for (const [index, [archive, change]] of steps.entries()) {
            const opened = await openOvf(path);
            const target = join(folder, `${turn}-${index}${archive ? '.ova' : ''}`);
            await (archive ? saveArchive(opened, target, change) : saveFolder(opened, target, change));
            await opened.close();
            path = archive ? target : join(target, 'vm.ovf');
            signed = change.signer !== undefined;
          }
          const opened = await openOvf(path, { rules: 'strict' });
          const verdict = await verifyPackage(opened);
          assert.equal(verdict.result, 'good', JSON.stringify(verdict));
          if (signed) assert.equal(verdict.signature.status, 'untrusted-issuer');
          for (const [index, name] of files.entries()) {
            const content = await collect(opened.open(encodeURI(name)));
            assert.deepEqual(content, Buffer.from(contents[index]!), name);
          }
          await opened.close();
          if (!path.endsWith('.ova')) return;
          const streamed = await readOva(pieces(await readFile(path), 1111), { rules: 'strict' });
          for await (const { reference, content } of streamed.contents()) {
            const index = files.indexOf(decodeURI(reference.href));
            assert.deepEqual(await collect(content), Buffer.from(contents[index]!));
          }
        },
      ),
      { numRuns: 25 },
    );
  } finally {
    await rm(folder, { recursive: true });
  }
});
