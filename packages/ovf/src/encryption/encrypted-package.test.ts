import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import {
  isEncrypted,
  OvfError,
  type OvfErrorCode,
  openOvf,
  readOva,
  saveArchive,
  saveFolder,
  validatePackage,
  verifyPackage,
  withoutEncryption,
} from '../index.ts';
import {
  cipherReference,
  cipherValue,
  type Derived,
  derivedKey,
  encryptedData,
  keyOf,
  sealedBytes,
  xenc,
  xenc11,
} from '../testing/encryption.ts';
import { collect, descriptorOf, inputOf, ovaBytes, pieces } from '../testing/packages.ts';

const disk = Buffer.concat([
  Buffer.from('KDMV'),
  createHash('shake256', { outputLength: 5000 }).update('disk').digest(),
]);
const passphrase = 'correct horse battery staple';
const weak = { passphrase, iterations: 1000 };

function refuses(code: OvfErrorCode, words: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof OvfError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, words);
    return true;
  };
}

async function folderOf(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ovf-sealed-'));
  t.after(() => rm(folder, { recursive: true }));
  return folder;
}

const vmdk = 'http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized';
const diskSection = `<DiskSection><Info/><Disk ovf:diskId="d" ovf:fileRef="f" ovf:capacity="5000" ovf:format="${vmdk}"/></DiskSection>`;

/** A package that is encrypted by hand; its descriptor says how. */
async function handMade(
  folder: string,
  { file, section, sections = '', content }: { file: string; section: string; sections?: string; content: Buffer },
): Promise<string> {
  const descriptor = descriptorOf(
    `<File ovf:id="f" ovf:href="disk.vmdk" ovf:size="${content.length}">${file}</File>`,
    `${diskSection}<EncryptionSection><Info/>${section}</EncryptionSection>${sections}`,
  ).replaceAll('envelope/1', 'envelope/2');
  const path = join(folder, 'hand.ova');
  await writeFile(
    path,
    await ovaBytes({ descriptorName: 'vm.ovf', descriptor, files: [inputOf('disk.vmdk', content)] }),
  );
  return path;
}

test('a package is encrypted and read again, by every cipher, whole, in chunks and compressed', async (t) => {
  const folder = await folderOf(t);
  const plainBytes = await ovaBytes({
    descriptorName: 'vm.ovf',
    descriptor: descriptorOf(
      '<File ovf:id="f" ovf:href="disk.vmdk"/><File ovf:id="g" ovf:href="notes.txt"/>',
      diskSection,
    ),
    files: [inputOf('disk.vmdk', disk), inputOf('notes.txt', Buffer.from('read me'))],
  });
  const plainPath = join(folder, 'plain.ova');
  await writeFile(plainPath, plainBytes);
  const variants = [
    { cipher: 'aes256-cbc' },
    { cipher: 'aes128-cbc' },
    { cipher: 'aes192-gcm', compression: 'gzip' },
    { cipher: 'aes256-gcm', chunkBytes: 1024 },
  ] as const;
  for (const { cipher, ...changes } of variants) {
    const path = join(folder, `${cipher}.ova`);
    const plain = await openOvf(plainPath);
    await saveArchive(plain, path, { ...changes, encryption: { ...weak, cipher } });
    const stored = await readFile(path);
    assert.ok(!stored.includes(disk.subarray(100, 200)) && !stored.includes('read me'), 'nothing is in the clear');

    const opened = await openOvf(path, { passphrase, rules: 'strict' });
    assert.deepEqual(opened.warnings, []);
    assert.deepEqual(
      opened.envelope.files.map((file) => isEncrypted(opened.envelope, file)),
      [true, true],
    );
    assert.deepEqual(await collect(opened.open('disk.vmdk')), disk);
    assert.equal((await collect(opened.open('notes.txt'))).toString(), 'read me');
    const random = await opened.openRandom('disk.vmdk', { scratchFolder: folder });
    assert.deepEqual(Buffer.from(await random.read(4, 96)), disk.subarray(4, 100));
    await random.close();
    const passing = await readOva(pieces(stored, 700), { passphrase });
    const contents = new Map<string, Buffer>();
    for await (const { reference, content } of passing.contents()) contents.set(reference.href, await collect(content));
    assert.deepEqual(contents.get('disk.vmdk'), disk);
    assert.equal((await verifyPackage(opened)).result, 'good');
    assert.deepEqual(
      (await validatePackage(opened.source)).filter(({ severity }) => severity === 'error'),
      [],
    );

    const back = join(folder, `${cipher}-plain`);
    await saveFolder(opened, back, { encryption: 'none', compression: 'none', chunkBytes: 0 });
    assert.deepEqual(await readFile(join(back, 'disk.vmdk')), disk);
    assert.doesNotMatch(await readFile(join(back, 'vm.ovf'), 'utf8'), /Encrypt/);
    await opened.close();
    const again = await openOvf(join(back, 'vm.ovf'));
    assert.deepEqual(await collect(again.open('disk.vmdk')), disk);

    // As it is it can be copied without the passphrase, and no other way.
    const sealed = await openOvf(path);
    const copy = join(folder, `${cipher}-copy.ova`);
    await saveArchive(sealed, copy);
    const copied = await openOvf(copy, { passphrase });
    assert.deepEqual(await collect(copied.open('disk.vmdk')), disk);
    await copied.close();
    const target = join(folder, 'none.ova');
    await assert.rejects(
      saveArchive(sealed, target, { encryption: 'none' }),
      refuses('encrypted', /disk\.vmdk.*passphrase/),
    );
    await assert.rejects(saveArchive(sealed, target, { encryption: weak }), refuses('encryption-failed', /already/));
    await sealed.close();
    await plain.close();
  }
  assert.ok(!(await readdir(folder)).some((name) => /none|partial|inflated/.test(name)), 'nothing half-made is left');
});

test('a package without files has nothing to encrypt, and what it is read from is not touched', async (t) => {
  const folder = await folderOf(t);
  const path = join(folder, 'vm.ovf');
  await writeFile(path, descriptorOf(''));
  const opened = await openOvf(path);
  const target = join(folder, 'vm.ova');
  await assert.rejects(
    saveArchive(opened, target, { encryption: weak }),
    refuses('encryption-failed', /no file to encrypt/),
  );
  assert.deepEqual(await readdir(folder), ['vm.ovf']);
});

test('a wrong passphrase is refused before anything is read, and none at all when it is needed', async (t) => {
  const folder = await folderOf(t);
  const plain = join(folder, 'plain.ova');
  const sealed = join(folder, 'sealed.ova');
  await writeFile(
    plain,
    await ovaBytes({
      descriptorName: 'vm.ovf',
      descriptor: descriptorOf('<File ovf:id="f" ovf:href="disk.vmdk"/>', diskSection),
      files: [inputOf('disk.vmdk', disk)],
    }),
  );
  const opened = await openOvf(plain);
  await saveArchive(opened, sealed, { encryption: weak });
  await opened.close();
  const wrong = refuses(
    'passphrase-wrong',
    /^vm\.ovf, line \d+, EncryptionSection: the passphrase is not that of this package/,
  );
  await assert.rejects(openOvf(sealed, { passphrase: 'other' }), wrong);
  await assert.rejects(readOva(pieces(await readFile(sealed), 512), { passphrase: 'other' }), wrong);
  const locked = await openOvf(sealed);
  await assert.rejects(collect(locked.open('disk.vmdk')), refuses('encrypted', /disk\.vmdk.*takes the passphrase/));
  await assert.rejects(locked.openRandom('disk.vmdk'), refuses('encrypted', /disk\.vmdk/));
  assert.ok(
    (await collect(locked.open('disk.vmdk', { range: { start: 0 } }))).length > disk.length,
    'its stored bytes are to be had',
  );
  await locked.close();
});

test('the form of the example in the text of OVF is read: a key that is derived, named by a file or by its EncryptedData', async (t) => {
  const folder = await folderOf(t);
  const cbc = (bits: number) => `${xenc}aes${bits}-cbc`;
  const forms: readonly (Derived & { algorithm: string; bytes: number; digest?: string })[] = [
    { algorithm: cbc(128), bytes: 16, keyBytes: 16, references: ['#first.vhd'] },
    { algorithm: cbc(256), bytes: 32, references: ['disk.vmdk'] },
    { algorithm: cbc(192), bytes: 24, references: ['first.vhd'], method: `${xenc11}pbkdf2` },
    {
      algorithm: `${xenc11}aes256-gcm`,
      bytes: 32,
      references: ['ovf:/file/f'],
      prf: 'http://www.w3.org/2001/04/xmldsig-more#hmac-sha512',
      digest: 'sha512',
    },
  ];
  for (const { algorithm, bytes, digest, ...derived } of forms) {
    const key = keyOf(passphrase, bytes, digest === undefined ? {} : { digest });
    const content = sealedBytes(disk, key, algorithm.endsWith('gcm') ? 'gcm' : 'cbc');
    const file = encryptedData('first.vhd', algorithm, cipherReference('disk.vmdk'));
    const path = await handMade(folder, { file, section: derivedKey(derived), content });
    const opened = await openOvf(path, { passphrase });
    assert.deepEqual(await collect(opened.open('disk.vmdk')), disk, algorithm);
    await opened.close();
    // Nothing in such a package proves the passphrase but that a VMDK begins like one.
    const other = await openOvf(path, { passphrase: 'other' });
    await assert.rejects(collect(other.open('disk.vmdk')), refuses('passphrase-wrong', /disk\.vmdk: the passphrase/));
    await other.close();
  }
  const zipped = gzipSync(disk);
  const path = await handMade(folder, {
    file: encryptedData('e', cbc(128), cipherReference('disk.vmdk')),
    section: derivedKey({ references: ['#e'] }),
    content: sealedBytes(zipped, keyOf(passphrase, 16), 'cbc'),
  });
  const opened = await openOvf(path, { passphrase });
  await assert.rejects(
    collect(opened.open('disk.vmdk')),
    refuses('passphrase-wrong', /disk\.vmdk/),
    'it says that it is no gzip',
  );
  await opened.close();
});

test('what is not understood of an encryption is refused by its name', async (t) => {
  const folder = await folderOf(t);
  const content = sealedBytes(disk, keyOf(passphrase, 16), 'cbc');
  const aes = encryptedData('e', `${xenc}aes128-cbc`, cipherReference('disk.vmdk'));
  const certificate = `<xenc:EncryptedKey xmlns:xenc="${xenc}"><xenc:EncryptionMethod Algorithm="${xenc}rsa-oaep-mgf1p"/><xenc:CipherData>${cipherValue(content.subarray(0, 24))}</xenc:CipherData><xenc:ReferenceList><xenc:DataReference URI="#e"/></xenc:ReferenceList></xenc:EncryptedKey>`;
  const cases: readonly (readonly [file: string, section: string, words: RegExp])[] = [
    [
      encryptedData('e', `${xenc}tripledes-cbc`, cipherReference('disk.vmdk')),
      derivedKey({ references: ['#e'] }),
      /cipher ".*tripledes-cbc" is not known/,
    ],
    [
      encryptedData('e', `${xenc}aes128-cbc`, cipherReference('other.vmdk')),
      derivedKey({ references: ['#e'] }),
      /not the file itself but "other\.vmdk"/,
    ],
    [aes, derivedKey({ references: ['#other'] }), /no key of the EncryptionSection/],
    ['', derivedKey({ references: ['disk.vmdk'] }), /does not say by which cipher/],
    [aes, certificate, /encrypted by ".*rsa-oaep-mgf1p"/],
    [aes, derivedKey({ references: ['#e'], method: `${xenc11}ConcatKDF` }), /ConcatKDF" is not known/],
    [aes, derivedKey({ references: ['#e'], iterations: 10_000_001 }), /10000001 iterations/],
    [aes, derivedKey({ references: ['#e'], iterations: 0 }), /0 iterations/],
    [aes, derivedKey({ references: ['#e'], keyBytes: 32 }), /the key has 32 bytes, and its cipher takes 16/],
    [aes, derivedKey({ references: ['#e'], prf: 'urn:md5' }), /"urn:md5" is not known/],
    [aes, derivedKey({ references: ['#e'], salt: 'ovfpassword' }), /salt is not there in base64/],
    [
      aes,
      derivedKey({ references: ['#e'], salt: 'AAAA'.repeat(1000) }),
      /salt is not there in base64, with at most 1024/,
    ],
  ];
  for (const [file, section, words] of cases) {
    const path = await handMade(folder, { file, section, content });
    await assert.rejects(openOvf(path, { passphrase }), refuses('encrypted', words), String(words));
  }
});

test('encrypted parts of the descriptor are read where they stood, and written in the clear only when all is decrypted', async (t) => {
  const folder = await folderOf(t);
  const key = keyOf(passphrase, 16);
  const part = (id: string, text: string, type = 'Element') =>
    encryptedData(id, `${xenc}aes128-cbc`, cipherValue(sealedBytes(Buffer.from(text), key, 'cbc')), type);
  const annotation =
    '<ovf:AnnotationSection><ovf:Info/><ovf:Annotation>hidden</ovf:Annotation></ovf:AnnotationSection>';
  const product = `<ProductSection><Info/>${part('inner', '<Product>Secret</Product>')}</ProductSection>`;
  const eula = '<EulaSection><Info/><License>kept quiet</License></EulaSection>';
  const descriptor = descriptorOf('')
    .replaceAll('envelope/1', 'envelope/2')
    .replace(
      '<VirtualHardwareSection>',
      `${part('outer', `${annotation}${product}`)}${part('e', eula)}<VirtualHardwareSection>`,
    )
    .replace(
      '<VirtualSystem',
      `<EncryptionSection><Info/>${derivedKey({ references: ['#outer', '#inner', '#e'] })}</EncryptionSection><VirtualSystem`,
    );
  const path = join(folder, 'vm.ovf');
  await writeFile(path, descriptor);
  const opened = await openOvf(path, { passphrase });
  const { annotations, products, eulas } = opened.envelope.content;
  assert.deepEqual(
    [annotations[0]?.annotation.text, products[0]?.product?.text, eulas[0]?.license.text],
    ['hidden', 'Secret', 'kept quiet'],
  );
  const issues = await validatePackage(opened.source, { passphrase, mode: 'lax' });
  assert.deepEqual(
    issues.filter(({ severity }) => severity === 'error'),
    [],
  );
  await assert.rejects(
    saveArchive(opened, join(folder, 'open.ova'), { envelope: opened.envelope }),
    refuses('encryption-failed', /parts of the descriptor are encrypted/),
  );
  await saveFolder(opened, join(folder, 'open'), { encryption: 'none' });
  const text = await readFile(join(folder, 'open', 'vm.ovf'), 'utf8');
  assert.match(text, /hidden[\s\S]*Secret/);
  assert.doesNotMatch(text, /Encrypt/);
  await saveArchive(opened, join(folder, 'same.ova'));
  assert.ok((await readFile(join(folder, 'same.ova'))).includes('EncryptedData'));
  await opened.close();
  await assert.rejects(openOvf(path), refuses('encrypted', /a part of the descriptor is encrypted/));
  assert.match(
    (await validatePackage((await openOvf(path, { passphrase })).source)).map(({ detail }) => detail).join(),
    /a part of the descriptor is encrypted/,
  );
  await assert.rejects(openOvf(path, { passphrase: 'other' }), (error) => error instanceof OvfError);

  const bomb = part('e', '</part><part>');
  await writeFile(
    path,
    descriptor.replace(/<xenc:EncryptedData [^>]*Id="outer".*?<\/xenc:EncryptedData>/s, bomb.replace('"e"', '"outer"')),
  );
  await assert.rejects(openOvf(path, { passphrase }), refuses('xml-malformed', /./));
});

test('whatever is done to what says how a package is encrypted, it is read, or refused by an error of the package', async (t) => {
  const folder = await folderOf(t);
  const content = sealedBytes(disk, keyOf(passphrase, 16), 'cbc');
  const file = encryptedData('e', `${xenc}aes128-cbc`, cipherReference('disk.vmdk'));
  const section = derivedKey({ references: ['#e'], iterations: 10 });
  const descriptor = descriptorOf(
    `<File ovf:id="f" ovf:href="disk.vmdk">${file}</File>`,
    `${diskSection}<EncryptionSection><Info/>${section}</EncryptionSection>`,
  ).replaceAll('envelope/1', 'envelope/2');
  await writeFile(join(folder, 'disk.vmdk'), content);
  const path = join(folder, 'vm.ovf');
  await fc.assert(
    fc.asyncProperty(fc.nat(descriptor.length), fc.nat(40), fc.string({ maxLength: 12 }), async (at, length, text) => {
      await writeFile(path, descriptor.slice(0, at) + text + descriptor.slice(at + length));
      try {
        const opened = await openOvf(path, { passphrase });
        for (const { href } of opened.envelope.files) await collect(opened.open(href));
        withoutEncryption(opened.envelope);
        await opened.close();
      } catch (error) {
        assert.ok(error instanceof OvfError, String(error));
      }
    }),
    { numRuns: 80 },
  );
});
