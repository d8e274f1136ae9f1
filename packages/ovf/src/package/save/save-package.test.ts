import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { after, before, test } from 'node:test';
import {
  indexOva,
  manifestSigner,
  OvfError,
  type OvfErrorCode,
  openOvf,
  type PackageChanges,
  readOva,
  saveArchive,
  saveFolder,
  signFolder,
  streamArchive,
  unpackStream,
  verifyPackage,
} from '../../index.ts';
import { collect, descriptorOf, pieces, sha256 } from '../../testing/packages.ts';
import { certificateOf, pemOf, signatureFixture } from '../../testing/signature-fixtures.ts';

const disk = createHash('shake256', { outputLength: 70_000 }).update('disk').digest();
const notes = Buffer.from('read me');
const descriptor = descriptorOf(
  '<File ovf:id="f" ovf:href="disk%201.vmdk" ovf:size="70000"/><File ovf:id="n" ovf:href="doc/notes.txt"/>',
  '<DiskSection><Info/><Disk ovf:diskId="d" ovf:fileRef="f" ovf:capacity="80000" ovf:format="x"/></DiskSection>',
);
const trusted = [certificateOf('root')];
const rsa = manifestSigner({ key: signatureFixture('signer.key'), certificates: pemOf('signer', 'issuer') });
const ecdsa = manifestSigner({ key: signatureFixture('ec.key'), certificates: pemOf('ec', 'issuer') });

let folder: string;
let source: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ovf-save-'));
  await mkdir(join(folder, 'source', 'doc'), { recursive: true });
  source = join(folder, 'source', 'vm.ovf');
  await writeFile(source, descriptor);
  await writeFile(join(folder, 'source', 'disk 1.vmdk'), disk);
  await writeFile(join(folder, 'source', 'doc', 'notes.txt'), notes);
});
after(async () => rm(folder, { recursive: true }));

let turn = 0;
function fresh(extension = ''): string {
  turn += 1;
  return join(folder, `target-${turn}${extension}`);
}

function refuses(code: OvfErrorCode, words: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof OvfError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, words);
    return true;
  };
}

async function saved(from: string, to: string, changes: PackageChanges = {}): Promise<string> {
  const opened = await openOvf(from);
  try {
    await (to.endsWith('.ova') ? saveArchive(opened, to, changes) : saveFolder(opened, to, changes));
  } finally {
    await opened.close();
  }
  return to.endsWith('.ova') ? to : join(to, 'vm.ovf');
}

/** Opens and reads the whole, and verifies it. */
async function check(path: string) {
  const opened = await openOvf(path, { rules: 'strict' });
  try {
    assert.deepEqual(await collect(opened.open('disk%201.vmdk')), disk);
    assert.deepEqual(await collect(opened.open('doc/notes.txt')), notes);
    const { result, signature, files } = await verifyPackage(opened, { trusted });
    return { result, signature: signature.status, files: files.map(({ file }) => file), manifest: opened.manifest };
  } finally {
    await opened.close();
  }
}

test('a folder becomes an OVA in order, and an OVA a folder', async () => {
  const ova = await saved(source, fresh('.ova'));
  const names = (await indexOva(ova)).map(({ name }) => name);
  assert.deepEqual(names, ['vm.ovf', 'vm.mf', 'disk 1.vmdk', 'doc/notes.txt']);
  assert.equal((await check(ova)).result, 'good');
  const back = await saved(ova, fresh());
  assert.equal((await check(back)).result, 'good');
  assert.equal((await readFile(back)).toString(), descriptor, 'the descriptor stays as it was');
});

for (const digest of ['SHA1', 'SHA512', false] as const) {
  test(`the manifest is by the digest that is asked for: ${digest}`, async () => {
    for (const target of ['.ova', '']) {
      const { result, manifest } = await check(await saved(source, fresh(target), { digest }));
      assert.equal(result, digest ? 'good' : 'unproven');
      assert.equal(manifest?.entries[1]?.algorithm, digest || undefined);
    }
  });
}

for (const [name, signer] of [
  ['RSA', rsa],
  ['ECDSA', ecdsa],
] as const) {
  test(`a package is signed by ${name}, and stays signed where nothing changes`, async () => {
    const ova = await saved(source, fresh('.ova'), { signer });
    assert.equal((await check(ova)).signature, 'trusted');
    assert.deepEqual(
      (await indexOva(ova)).map((entry) => entry.name),
      ['vm.ovf', 'vm.mf', 'vm.cert', 'disk 1.vmdk', 'doc/notes.txt'],
    );
    const back = await saved(ova, fresh());
    assert.equal((await check(back)).signature, 'trusted');
    assert.equal((await check(await saved(back, fresh('.ova')))).signature, 'trusted');
    assert.equal((await check(await saved(back, fresh('.ova'), { digest: 'SHA512' }))).signature, 'unsigned');
  });
}

test('compression and chunks come and go', async () => {
  const chunked = await saved(source, fresh('.ova'), { compression: 'gzip', chunkBytes: 30_000, signer: rsa });
  assert.deepEqual((await check(chunked)).files, [
    'vm.ovf',
    'disk 1.vmdk.000000000',
    'disk 1.vmdk.000000001',
    'disk 1.vmdk.000000002',
    'doc/notes.txt',
  ]);
  const compressed = await saved(chunked, fresh(), { chunkBytes: 0 });
  assert.deepEqual((await check(compressed)).files, ['vm.ovf', 'disk 1.vmdk', 'doc/notes.txt']);
  const plain = await saved(chunked, fresh('.ova'), { compression: 'none', chunkBytes: 0 });
  assert.equal((await check(plain)).result, 'good');
  const again = await saved(plain, fresh(), { chunkBytes: 40_000 });
  assert.equal((await readFile(join(again, '..', 'disk 1.vmdk.000000001'))).length, 30_000);
  assert.equal((await check(again)).result, 'good');
  await assert.rejects(saved(source, fresh('.ova'), { chunkBytes: 5 }), refuses('size-mismatch', /at least 1024/));
});

test('a stream is packed to and unpacked from', async () => {
  const opened = await openOvf(source);
  for (const signer of [undefined, rsa]) {
    const output = new PassThrough();
    const written = streamArchive(opened, output, {
      scratchFolder: folder,
      compression: 'gzip',
      ...(signer === undefined ? {} : { signer }),
    });
    const [bytes] = await Promise.all([collect(output), written]);
    const target = fresh();
    await unpackStream(await readOva(pieces(bytes, 999)), target);
    const { result, signature } = await check(join(target, 'vm.ovf'));
    assert.equal(result, 'good');
    assert.equal(signature, signer === undefined ? 'unsigned' : 'trusted');
  }
  await opened.close();
});

test('a folder is signed where it lies', async () => {
  const path = await saved(source, fresh(), { digest: false });
  const opened = await openOvf(path);
  await signFolder(opened, path, { signer: rsa, digest: 'SHA512' });
  await opened.close();
  assert.equal((await check(path)).signature, 'trusted');
});

test('nothing is overwritten unasked, and nothing half made has the name', async () => {
  const ova = await saved(source, fresh('.ova'));
  const before = sha256(await readFile(ova));
  await assert.rejects(saved(source, ova), refuses('target-exists', /\.ova is there already/));
  assert.equal(sha256(await readFile(ova)), before);
  const full = fresh();
  await mkdir(full);
  await saved(source, full);
  await assert.rejects(saved(source, full), refuses('target-exists', /not empty/));
  await assert.rejects(
    openOvf(source).then((opened) => saveFolder(opened, ova)),
    refuses('target-exists', /is a file/),
  );
  await assert.rejects(
    saved(source, join(folder, 'no', 'x.ova')),
    refuses('target-unwritable', /folder does not exist/),
  );
});

test('a package that is damaged is not written anew', async () => {
  const ova = await saved(source, fresh('.ova'));
  const bytes = await readFile(ova);
  bytes[bytes.indexOf(disk) + 60_000]! ^= 1;
  await writeFile(ova, bytes);
  const names = await readdir(folder);
  for (const changes of [{}, { digest: 'SHA1' }, { compression: 'gzip' }, { chunkBytes: 20_000 }] as const) {
    for (const target of [fresh('.ova'), fresh()]) {
      await assert.rejects(saved(ova, target, changes), refuses('digest-mismatch', /disk 1\.vmdk/));
    }
  }
  const target = fresh();
  await assert.rejects(unpackStream(await readOva(pieces(bytes, 999)), target), refuses('digest-mismatch', /disk 1/));
  assert.deepEqual(await readdir(folder), names, 'nothing is left');
});

test('a file that vanishes, shrinks or is a link out leaves no target', async () => {
  const path = await saved(source, fresh(), { digest: false });
  const file = join(path, '..', 'disk 1.vmdk');
  const opened = await openOvf(path);
  await rm(file);
  await assert.rejects(saveArchive(opened, fresh('.ova')), refuses('file-missing', /disk 1\.vmdk/));
  await writeFile(file, disk.subarray(1));
  await assert.rejects(saveArchive(opened, fresh('.ova')), refuses('size-mismatch', /disk/));
  await rm(file);
  await symlink('/etc/passwd', file);
  await assert.rejects(saveArchive(opened, fresh('.ova')), refuses('name-unsafe', /link/));
  await opened.close();
  assert.deepEqual(
    (await readdir(folder)).filter((name) => name.includes('partial')),
    [],
  );
});

test('a run that is stopped ends with the reason and leaves nothing', async () => {
  const names = await readdir(folder);
  const opened = await openOvf(source);
  const stop = new AbortController();
  const options = {
    signal: stop.signal,
    onProgress: () => stop.abort(new Error('enough')),
  };
  await assert.rejects(saveArchive(opened, fresh('.ova'), options), /enough/);
  await assert.rejects(saveFolder(opened, fresh(), options), /enough/);
  await opened.close();
  assert.deepEqual(await readdir(folder), names);
});

test('a partial file of a run that was killed is no hindrance', async () => {
  const target = fresh('.ova');
  await writeFile(`${target}.partial`, 'half');
  await saved(source, target);
  assert.equal((await check(target)).result, 'good');
  assert.ok(!(await readdir(folder)).some((name) => name.endsWith('.partial')));
});
