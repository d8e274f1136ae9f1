import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { run } from '../run.ts';
import { memoryContext } from '../testing/memory-terminal.ts';
import { type SmallPackage, writeSmallPackage } from '../testing/small-package.ts';

const signatures = fileURLToPath(new URL('../../../ovf/fixtures/signatures/', import.meta.url));
const key = join(signatures, 'signer.key');
const root = join(signatures, 'root.pem');

let folder: string;
let files: SmallPackage;
let chain: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hypostyle-ovf-'));
  files = await writeSmallPackage(folder, Buffer.from('the beginning of a disk'.padEnd(65_536, '.')));
  chain = join(folder, 'chain.pem');
  const parts = ['signer.pem', 'issuer.pem'].map((name) => readFile(join(signatures, name), 'utf8'));
  await writeFile(chain, (await Promise.all(parts)).join(''));
});
after(async () => rm(folder, { recursive: true }));

async function ovf(args: readonly string[], input?: Buffer) {
  const memory = memoryContext();
  const output = new PassThrough();
  const parts: Buffer[] = [];
  output.on('data', (part: Buffer) => void parts.push(part));
  const terminal = {
    ...memory.context.terminal,
    output,
    ...(input === undefined ? {} : { input: Readable.from([input.subarray(0, 700), input.subarray(700)]) }),
  };
  const code = await run(['ovf', ...args], { ...memory.context, terminal });
  const bytes = Buffer.concat(parts);
  return { code, bytes, output: bytes.toString('utf8'), errors: memory.errors() };
}

async function ok(args: readonly string[], input?: Buffer): Promise<string> {
  const { code, output, errors } = await ovf(args, input);
  assert.equal(code, 0, errors);
  return output;
}

test('inspect tells what a person wants to know, from a file, a folder and a pipe', async () => {
  const small = await readFile(files.ova);
  for (const [args, input] of [
    [['inspect', files.ova]],
    [['inspect', files.ovf]],
    [['inspect', '-'], small],
  ] as const) {
    const text = await ok(args, input);
    for (const word of ['name             small', '64 MiB', 'vmx-13', 'disk.vmdk', 'streamOptimized', 'not signed']) {
      assert.ok(text.includes(word), `${word} in ${text}`);
    }
  }
  const summary = JSON.parse(await ok(['inspect', files.ova, '--json'])) as {
    disks: { capacity: number }[];
    manifest: string[];
  };
  assert.equal(summary.disks[0]?.capacity, 4 * 2 ** 20);
  assert.deepEqual(summary.manifest, ['SHA256']);
});

test('a package on the web is read where it is', async () => {
  const server = createServer((request, response) => {
    const name = decodeURIComponent((request.url ?? '').slice(1));
    readFile(join(folder, name)).then(
      (bytes) => {
        response.writeHead(200, { 'content-length': bytes.length });
        response.end(request.method === 'HEAD' ? undefined : bytes);
      },
      () => response.writeHead(404).end(),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    assert.match(await ok(['inspect', `${base}/small.ova`]), /name +small/);
    assert.match(await ok(['verify', `${base}/small.ova`]), /disk\.vmdk .* is as it should be/);
    assert.match(await ok(['verify', `${base}/small.ovf`]), /disk\.vmdk .* is as it should be/);
    const target = join(folder, 'from-web');
    await ok(['unpack', `${base}/small.ovf`, target]);
    await ok(['verify', target, '--require-manifest']);
    const packed = join(folder, 'from-web.ova');
    await ok(['pack', `${base}/small.ovf`, packed, '--digest', 'sha512']);
    await ok(['verify', packed, '--require-manifest']);
    const missing = await ovf(['inspect', `${base}/nothing.ova`]);
    assert.equal(missing.code, 4);
    const wrong = await ovf(['verify', `${base}/wrong-digest.ova`]);
    assert.equal(wrong.code, 1);
    await rm(target, { recursive: true });
    await rm(packed);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test('a descriptor alone is shown with what is missing', async () => {
  const lone = join(folder, 'lone.ovf');
  await writeFile(lone, (await readFile(files.ovf, 'utf8')).replaceAll('disk.vmdk', 'elsewhere.vmdk'));
  assert.match(
    await ok(['inspect', lone]),
    /elsewhere\.vmdk, line 5, References: the file is in References but not in the package/,
  );
  await rm(lone);
});

test('verify is 0 for good, 1 for bad and 2 for what cannot be decided', async () => {
  assert.match(await ok(['verify', files.ova]), /disk\.vmdk .* is as it should be/);
  assert.match(await ok(['verify', '-'], await readFile(files.ova)), /disk\.vmdk .* is as it should be/);
  const bad = await ovf(['verify', files.wrongDigest, '--json']);
  assert.equal(bad.code, 1);
  assert.match(bad.errors, /wrong-digest\.ova is bad: disk\.vmdk is not what the manifest says/);
  assert.equal((JSON.parse(bad.output) as { good: boolean }).good, false);
  const cut = join(folder, 'cut.ova');
  await writeFile(cut, (await readFile(files.ova)).subarray(0, 5000));
  const truncated = await ovf(['verify', cut]);
  assert.equal(truncated.code, 1);
  assert.match(truncated.errors, /cut\.ova is bad: disk\.vmdk: the archive ends \d+ bytes early/);
  const missing = await ovf(['verify', join(folder, 'nothing.ova')]);
  assert.equal(missing.code, 2);
  assert.match(missing.errors, /nothing\.ova does not exist/);
  await rm(cut);
});

test('a package is signed, packed, unpacked, and trusted by those who trust the root', async () => {
  const signed = join(folder, 'signed.ova');
  await ok(['pack', files.ovf, signed, '--key', key, '--certificate', chain, '--digest', 'sha512']);
  assert.match(await ok(['verify', signed, '--trust', root, '--require-signature']), /SHA512.*[\s\S]*who is trusted/);
  assert.match(await ok(['verify', signed]), /who is not trusted/);
  const untrusted = await ovf(['verify', signed, '--trust', join(signatures, 'self.pem')]);
  assert.equal(untrusted.code, 1);
  assert.match(untrusted.errors, /who is not trusted/);
  const unsigned = await ovf(['verify', files.ova, '--require-signature']);
  assert.equal(unsigned.code, 1);
  assert.match(unsigned.errors, /not signed/);

  const unpacked = join(folder, 'unpacked');
  await ok(['unpack', '-', unpacked], await readFile(signed));
  assert.deepEqual(await readdir(unpacked), ['disk.vmdk', 'small.cert', 'small.mf', 'small.ovf']);
  await ok(['verify', unpacked, '--trust', root]);
  const again = await ovf(['unpack', signed, unpacked]);
  assert.equal(again.code, 1);
  assert.match(again.errors, /not empty[\s\S]*another target/);

  await ok(['sign', unpacked, '--key', join(signatures, 'self.key'), '--certificate', join(signatures, 'self.pem')]);
  assert.match(await ok(['verify', unpacked]), /Self Signer.*nobody vouches/);
  await ok(['sign', signed, '--key', key, '--certificate', chain]);
  assert.match(await ok(['verify', signed, '--trust', root]), /SHA256/);
});

test('pack compresses, cuts, joins, and writes into a pipe', async () => {
  const target = join(folder, 'cut.ova');
  await ok(['pack', files.ova, target, '--chunk-size', '20000']);
  const chunks = JSON.parse(await ok(['verify', target, '--json'])) as { files: { file: string }[] };
  assert.equal(chunks.files.filter(({ file }) => /^disk\.vmdk\.\d{9}$/.test(file)).length, 4);
  const refused = await ovf(['pack', files.ova, target]);
  assert.match(refused.errors, /is there already[\s\S]*--force/);
  assert.equal((await ovf(['pack', target, target, '--force', '--plain', '--gzip'])).code, 2);
  await ok(['pack', target, target, '--force', '--gzip', '--chunk-size', '0']);
  assert.match(await ok(['inspect', target]), /disk\.vmdk .* gzip/);
  const { bytes, code } = await ovf(['pack', target, '-', '--plain']);
  assert.equal(code, 0);
  assert.match(await ok(['verify', '-'], bytes), /disk\.vmdk +69\.5 KiB .* as it should be/);
  await rm(target);
});

test('validate tells each finding with its rule', async () => {
  assert.match(await ok(['validate', files.ova]), /small\.ova: valid/);
  const wrong = join(folder, 'wrong.ovf');
  const text = (await readFile(files.ovf, 'utf8')).replace('ovf:fileRef="file1"', 'ovf:fileRef="other"');
  await writeFile(wrong, text.replace('ovf:size="', 'ovf:size="1'));
  const { code, output } = await ovf(['validate', wrong]);
  assert.equal(code, 1);
  assert.match(output, /wrong\.ovf, line 8, DiskSection: error: .*"other".*\(DSP0243 1\.1 §9\.1\)/);
  assert.match(output, /disk\.vmdk, line 5, References: error: the file has \d+ bytes.*§7\.1/);
  await rm(wrong);
});

test('properties are listed, set, and shown as the guest gets them', async () => {
  const product = `<ProductSection ovf:class="net"><Info>Network</Info>
    <Property ovf:key="host" ovf:type="string" ovf:userConfigurable="true" ovf:qualifiers="MinLen(1)"><Label>Name</Label></Property>
    <Property ovf:key="secret" ovf:type="string" ovf:userConfigurable="true" ovf:password="true" ovf:value="hidden"/>
  </ProductSection>`;
  const path = join(folder, 'with.ovf');
  const text = await readFile(files.ovf, 'utf8');
  await writeFile(path, text.replace('</OperatingSystemSection>', `</OperatingSystemSection>${product}`));
  const list = await ok(['property', 'ls', path]);
  assert.match(list, /net\.host .* string MinLen\(1\) +\(needed\) +Name/);
  assert.ok(!list.includes('hidden'));
  const target = join(folder, 'set.ova');
  assert.equal((await ovf(['property', 'set', path, target, 'net.host='])).code, 1);
  await ok(['property', 'set', path, target, 'net.host=web', 'net.secret=other']);
  assert.match(await ok(['property', 'ls', target]), /net\.host .* web/);
  await ok(['verify', target, '--require-manifest']);
  const image = join(folder, 'env.iso');
  const environment = await ok(['property', 'environment', target, '--property', 'net.host=db', '--iso', image]);
  assert.match(environment, /oe:key="net\.host" oe:value="db"/);
  assert.ok((await readFile(image)).includes('oe:value="db"'));
  const descriptor = join(folder, 'set.ovf');
  await ok(['property', 'set', path, descriptor, 'net.host=web']);
  assert.match(await readFile(descriptor, 'utf8'), /ovf:value="web"/);
  for (const name of [path, target, image, descriptor]) await rm(name);
});

test('what is wrong in a command line says what to do', async () => {
  const empty = await mkdtemp(join(folder, 'empty-'));
  for (const [args, code, words] of [
    [['inspect', '/nonexistent.ova'], 4, /does not exist[\s\S]*Name an OVA/],
    [['inspect', empty], 2, /no descriptor/],
    [['pack', files.ovf, join(folder, 'x.ova'), '--key', key], 2, /--key and --certificate/],
    [['pack', files.ovf, join(folder, 'x.ova'), '--digest', 'md5'], 2, /sha1, sha256, sha512 or none/],
    [['pack', files.ovf, join(folder, 'x.ova'), '--chunk-size', 'much'], 2, /2GiB/],
    [['pack', files.ovf, join(folder, 'none', 'x.ova')], 1, /x\.ova cannot be written: its folder does not exist/],
    [['pack', files.wrongDigest, join(folder, 'x.ova')], 1, /disk\.vmdk[\s\S]*Get the package again/],
    [['sign', files.ova], 2, /takes a key and its certificate/],
    [['sign', files.ova, '--key', key, '--certificate', join(signatures, 'ec.pem')], 2, /belongs to the key/],
    [['property', 'set', files.ovf, join(folder, 'x.ova'), 'nothing'], 2, /KEY=VALUE/],
    [['property', 'set', files.ovf, join(folder, 'x.ova'), 'no=1'], 1, /no property "no"[\s\S]*property ls/],
  ] as const) {
    const result = await ovf(args);
    assert.equal(result.code, code, `${args.join(' ')}: ${result.errors}`);
    assert.match(result.errors, words);
  }
  assert.ok(!(await readdir(folder)).some((name) => name.startsWith('x.ova')));
});

test('a package is encrypted, looked into, verified and decrypted by a passphrase that no argument shows', async () => {
  const secret = join(folder, 'passphrase.txt');
  const wrong = join(folder, 'wrong.txt');
  await writeFile(secret, 'correct horse battery staple\n');
  await writeFile(wrong, 'another one\n');
  const sealed = join(folder, 'sealed.ova');
  await ok(['pack', files.ova, sealed, '--encrypt', '--passphrase-file', secret]);
  assert.match(await ok(['inspect', sealed]), /disk\.vmdk +\S+ \S+ +encrypted/);
  await ok(['inspect', sealed, '--passphrase-file', secret]);
  await ok(['inspect', '-', '--passphrase-file', secret], await readFile(sealed));
  await ok(['verify', sealed]);
  await ok(['verify', sealed, '--passphrase-file', secret]);
  await ok(['validate', sealed, '--lax', '--passphrase-file', secret]);

  const plain = join(folder, 'decrypted.ova');
  const refused = [
    [['inspect', sealed, '--passphrase-file', wrong], 1],
    [['verify', sealed, '--passphrase-file', wrong], 1],
    [['pack', sealed, plain, '--decrypt', '--passphrase-file', wrong], 1],
    [['unpack', sealed, join(folder, 'decrypted'), '--decrypt', '--passphrase-file', wrong], 1],
  ] as const;
  for (const [args, expected] of refused) {
    const { code, errors } = await ovf(args);
    assert.equal(code, expected, errors);
    assert.match(errors, /the passphrase is not that of this package/, args.join(' '));
    assert.ok(!errors.includes('another one'));
  }
  const without = await ovf(['pack', sealed, plain, '--decrypt']);
  assert.match(without.errors, /passphrase-file/);
  assert.deepEqual(
    (await readdir(folder)).filter((name) => /^decrypted/.test(name)),
    [],
  );

  await ok(['pack', sealed, plain, '--decrypt', '--passphrase-file', secret]);
  await ok(['unpack', sealed, join(folder, 'decrypted'), '--decrypt', '--passphrase-file', secret]);
  await ok(['unpack', plain, join(folder, 'as-it-was')]);
  const disk = await readFile(join(folder, 'disk.vmdk'));
  for (const name of ['decrypted', 'as-it-was'])
    assert.deepEqual(await readFile(join(folder, name, 'disk.vmdk')), disk);
  for (const args of [
    ['pack', files.ova, join(folder, 'x.ova'), '--encrypt', '--decrypt'],
    ['pack', files.ova, join(folder, 'x.ova'), '--cipher', 'aes128-gcm'],
    ['pack', files.ova, join(folder, 'x.ova'), '--encrypt', '--cipher', 'rot13'],
  ])
    assert.equal((await ovf(args)).code, 2, args.join(' '));
});
