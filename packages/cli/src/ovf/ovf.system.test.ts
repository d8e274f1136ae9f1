import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { chmod, mkdir, mkdtemp, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { run } from '../run.ts';
import { memoryContext } from '../testing/memory-terminal.ts';
import { writeSmallPackage } from '../testing/small-package.ts';

const main = fileURLToPath(new URL('../main.ts', import.meta.url));
const schema = fileURLToPath(new URL('../../../ovf/fixtures/schemas/envelope.xsd', import.meta.url));
const signatures = fileURLToPath(new URL('../../../ovf/fixtures/signatures/', import.meta.url));
const mebibyte = 2 ** 20;

let folder: string;
let small: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hypostyle-ovf-'));
  small = join(folder, 'small');
  await mkdir(small);
  await writeSmallPackage(small, Buffer.from('the beginning of a disk'.padEnd(65_536, '.')));
  await rm(join(small, 'small.ova'));
  await rm(join(small, 'wrong-digest.ova'));
});
after(async () => rm(folder, { recursive: true }));

function tool(name: string, args: readonly string[], options: { cwd?: string; input?: string | Buffer } = {}): string {
  const { status, stdout, stderr, error } = spawnSync(name, args, { ...options, encoding: 'utf8', timeout: 60_000 });
  assert.equal(error, undefined, `${name}: ${error}`);
  assert.equal(status, 0, `${name} ${args.join(' ')}: ${stderr}${stdout}`);
  return stdout;
}

async function hypo(args: readonly string[], input?: Buffer) {
  const memory = memoryContext();
  const output = new PassThrough();
  const parts: Buffer[] = [];
  output.on('data', (part: Buffer) => void parts.push(part));
  const given = input === undefined ? {} : { input: Readable.from([input.subarray(0, 700), input.subarray(700)]) };
  const code = await run(['ovf', ...args], {
    ...memory.context,
    terminal: { ...memory.context.terminal, output, ...given },
  });
  return { code, output: Buffer.concat(parts).toString('utf8'), errors: memory.errors() };
}

async function ok(args: readonly string[], input?: Buffer): Promise<string> {
  const { code, output, errors } = await hypo(args, input);
  assert.equal(code, 0, `${args.join(' ')}: ${errors}`);
  return output;
}

test('tar, sha256sum, xmllint and openssl agree with what is packed and signed', async () => {
  const key = join(folder, 'key.pem');
  const certificate = join(folder, 'certificate.pem');
  const name = ['-subj', '/CN=Test Signer', '-days', '2'];
  tool('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', certificate, ...name]);
  const ova = join(folder, 'signed.ova');
  await ok(['pack', small, ova, '--key', key, '--certificate', certificate, '--chunk-size', '30000']);
  assert.deepEqual(tool('tar', ['tf', ova]).trim().split('\n'), [
    'small.ovf',
    'small.mf',
    'small.cert',
    'disk.vmdk.000000000',
    'disk.vmdk.000000001',
    'disk.vmdk.000000002',
  ]);
  const out = join(folder, 'by-tar');
  await mkdir(out);
  tool('tar', ['xf', ova, '-C', out]);
  tool('xmllint', ['--noout', '--nonet', '--schema', schema, join(out, 'small.ovf')]);
  const manifest = await readFile(join(out, 'small.mf'), 'utf8');
  const sums = manifest.replace(/^SHA256\((.*)\)= (.*)$/gm, '$2  $1');
  assert.match(tool('sha256sum', ['-c', '-'], { cwd: out, input: sums }), /disk\.vmdk\.000000002: OK/);
  const certificateFile = await readFile(join(out, 'small.cert'), 'utf8');
  const signature = Buffer.from(/= ([0-9a-f]+)/.exec(certificateFile)![1]!, 'hex');
  await writeFile(join(out, 'signature'), signature);
  await writeFile(
    join(out, 'key.pub'),
    tool('openssl', ['x509', '-in', 'small.cert', '-pubkey', '-noout'], { cwd: out }),
  );
  const verify = ['dgst', '-sha256', '-verify', 'key.pub', '-signature', 'signature', 'small.mf'];
  assert.match(tool('openssl', verify, { cwd: out }), /Verified OK/);
  await ok(['verify', ova, '--trust', certificate]);

  // The other way round: a CMS by openssl over the manifest of that folder.
  const cms = ['cms', '-sign', '-binary', '-in', 'small.mf', '-signer', certificate, '-inkey', key, '-outform', 'PEM'];
  await writeFile(join(out, 'small.cert'), tool('openssl', cms, { cwd: out }));
  await ok(['verify', out, '--trust', certificate]);
  await writeFile(join(out, 'small.mf'), `${manifest}\n`);
  const changed = await hypo(['verify', out, '--trust', certificate]);
  assert.equal(changed.code, 1);
  assert.match(changed.errors, /signed another manifest/);
});

test('an elliptic key with a password signs, and openssl verifies', async () => {
  const plain = tool('openssl', ['ecparam', '-name', 'secp384r1', '-genkey', '-noout']);
  const key = join(folder, 'ec.pem');
  const password = join(folder, 'password.txt');
  await writeFile(password, 'secret\n');
  await writeFile(key, tool('openssl', ['pkcs8', '-topk8', '-passout', 'pass:secret'], { input: plain }));
  const certificate = join(folder, 'ec-certificate.pem');
  const subject = ['-subj', '/CN=Elliptic', '-days', '2', '-passin', 'pass:secret'];
  tool('openssl', ['req', '-x509', '-new', '-key', key, '-out', certificate, ...subject]);
  const target = join(folder, 'ec.ova');
  const signing = ['--key', key, '--certificate', certificate, '--key-password-file', password];
  await ok(['pack', small, target, ...signing, '--digest', 'sha512']);
  await ok(['verify', target, '--trust', certificate]);
  const out = join(folder, 'ec-out');
  await ok(['unpack', target, out]);
  const cert = await readFile(join(out, 'small.cert'), 'utf8');
  await writeFile(join(out, 'signature'), Buffer.from(/= ([0-9a-f]+)/.exec(cert)![1]!, 'hex'));
  await writeFile(join(out, 'key.pub'), tool('openssl', ['x509', '-in', certificate, '-pubkey', '-noout']));
  const verify = ['dgst', '-sha256', '-verify', 'key.pub', '-signature', 'signature', 'small.mf'];
  assert.match(tool('openssl', verify, { cwd: out }), /Verified OK/);
  const without = await hypo(['pack', small, join(folder, 'x.ova'), '--key', key, '--certificate', certificate]);
  assert.equal(without.code, 2);
  assert.match(without.errors, /--key-password-file/);
});

test('archives and manifests of other tools are read', async () => {
  const files = ['small.ovf', 'small.mf', 'disk.vmdk'];
  // Manifests as OpenSSL 3, OpenSSL 1 and coreutils --tag write them.
  const digest = tool('openssl', ['dgst', '-sha256', 'small.ovf', 'disk.vmdk'], { cwd: small });
  const forms = [
    digest,
    digest.replace(/^SHA2-256/gm, 'SHA256'),
    tool('sha256sum', ['--tag', 'small.ovf', 'disk.vmdk'], { cwd: small }),
  ];
  for (const format of ['ustar', 'pax', 'gnu', 'oldgnu']) {
    const ova = join(folder, `${format}.ova`);
    tool('tar', ['cf', ova, `--format=${format}`, '--owner=someone', '-C', small, ...files.map((file) => `./${file}`)]);
    assert.match(await ok(['verify', ova]), /disk\.vmdk .* is as it should be/, format);
    assert.match(await ok(['verify', '-'], await readFile(ova)), /disk\.vmdk .* is as it should be/, format);
  }
  const original = await readFile(join(small, 'small.mf'));
  for (const form of forms) {
    await writeFile(join(small, 'small.mf'), form);
    assert.match(await ok(['verify', small, '--require-manifest']), /disk\.vmdk .* is as it should be/, form);
  }
  await writeFile(join(small, 'small.mf'), original);
  // As VirtualBox orders it: the manifest last.
  const last = join(folder, 'last.ova');
  tool('tar', ['cf', last, '--format=ustar', '-C', small, 'small.ovf', 'disk.vmdk', 'small.mf']);
  assert.doesNotMatch(await ok(['verify', last]), /Warning/);
  // A folder packed as it is: directories do no harm when they are to be passed over.
  const whole = join(folder, 'whole.ova');
  tool('tar', ['cf', whole, '--sort=name', '-C', folder, 'small']);
  assert.equal((await hypo(['inspect', whole])).code, 1);
  const sparse = join(folder, 'sparse');
  await mkdir(sparse);
  const file = await open(join(sparse, 'disk.vmdk'), 'w');
  await file.truncate(4 * mebibyte);
  await file.close();
  await writeFile(join(sparse, 'small.ovf'), await readFile(join(small, 'small.ovf')));
  const holes = join(folder, 'holes.ova');
  tool('tar', ['cSf', holes, '-C', sparse, 'small.ovf', 'disk.vmdk']);
  const refused = await hypo(['inspect', holes]);
  assert.equal(refused.code, 1);
  assert.match(refused.errors, /sparse file/);
});

test('a file over 8 GiB has its size in base-256 and in pax records', async () => {
  const huge = 9 * 2 ** 30;
  const source = join(folder, 'huge');
  await mkdir(source);
  const file = await open(join(source, 'disk.vmdk'), 'w');
  await file.truncate(huge);
  await file.close();
  const text = await readFile(join(small, 'small.ovf'), 'utf8');
  await writeFile(join(source, 'small.ovf'), text.replace(/ovf:size="\d+"/, `ovf:size="${huge}"`));
  for (const format of ['gnu', 'pax']) {
    const ova = join(folder, `huge-${format}.ova`);
    // The head of the archive, and the rest as a hole: what lies in the file is not read here.
    const shell = `tar cf - --format=${format} -C '${source}' small.ovf disk.vmdk 2>/dev/null | head -c 65536 > '${ova}'`;
    spawnSync('sh', ['-c', shell]);
    const archive = await open(ova, 'r+');
    const whole = Math.ceil(huge / mebibyte) * mebibyte + mebibyte;
    await archive.truncate(whole);
    await archive.close();
    assert.match(await ok(['inspect', ova]), /disk\.vmdk +9 GiB/, format);
  }
  await rm(source, { recursive: true });
});

async function bigPackage(name: string, bytes: number): Promise<string> {
  const source = join(folder, name);
  await mkdir(source);
  const file = createWriteStream(join(source, 'disk.vmdk'));
  for (let at = 0; at < bytes; at += mebibyte) {
    if (!file.write(Buffer.alloc(mebibyte, at / mebibyte + 1))) await once(file, 'drain');
  }
  file.end();
  await once(file, 'close');
  const text = await readFile(join(small, 'small.ovf'), 'utf8');
  await writeFile(join(source, 'small.ovf'), text.replace(/ovf:size="\d+"/, `ovf:size="${bytes}"`));
  return source;
}

test('a full disk is named, and leaves neither target nor part of one', async (t) => {
  const probe = spawnSync('unshare', ['-rm', 'true']);
  if (probe.status !== 0)
    return t.skip(
      'no mount namespace may be made here: it runs as root, or where users may make namespaces (unshare -rm true)',
    );
  const source = await bigPackage('fills', 24 * mebibyte);
  const full = join(folder, 'full');
  await mkdir(full);
  const script = `mount -t tmpfs -o size=8m none '${full}' && cd / || exit 99
for arguments in "pack '${source}' '${full}/x.ova'" "unpack '${source}' '${full}/x'" "pack '${source}' '${full}/x.ova' --gzip"; do
  eval "'${process.execPath}' '${main}' ovf $arguments" && echo "$arguments: done"
  echo "code $?, left: $(ls -A '${full}')"
done`;
  const { stdout, stderr, status } = spawnSync('unshare', ['-rm', 'sh', '-c', script], {
    encoding: 'utf8',
    timeout: 100_000,
  });
  assert.notEqual(status, 99, stderr);
  const lines = stdout.trim().split('\n');
  assert.deepEqual(lines.slice(0, 2), ['code 1, left: ', 'code 1, left: '], stderr);
  assert.equal(stderr.match(/x(\.ova)? cannot be written: there is no space left/g)?.length, 2, stderr);
  assert.deepEqual(await readdir(source), ['disk.vmdk', 'small.ovf'], 'the source is as it was');
});

test('a folder that may not be written is named', async (t) => {
  const locked = join(folder, 'locked');
  await mkdir(locked);
  await chmod(locked, 0o555);
  // Root may write everywhere: another user tries.
  const user = process.getuid?.() === 0 ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] : [];
  const [command, ...args] = [...user, process.execPath, main, 'ovf', 'pack', small, join(locked, 'x.ova')];
  await chmod(folder, 0o755);
  const { status, stderr, error } = spawnSync(command!, args, { encoding: 'utf8', timeout: 60_000 });
  if (error !== undefined)
    return t.skip(`another user cannot be become, who may not write the folder: ${error.message}`);
  assert.equal(status, 1, stderr);
  assert.match(stderr, /x\.ova cannot be written: permission denied/);
});

test('a kill at any moment leaves no target under its name, and the next run is not hindered', async () => {
  const source = await bigPackage('killed', 48 * mebibyte);
  for (const [index, command] of (['pack', 'unpack'] as const).entries()) {
    const target = join(folder, `killed-${index}${command === 'pack' ? '.ova' : ''}`);
    const child = spawn(process.execPath, [main, 'ovf', command, source, target], { stdio: 'ignore' });
    const ended = once(child, 'exit');
    // As soon as there is a part of it.
    const partial = `${target}.partial`;
    while ((await stat(partial).catch(() => undefined)) === undefined && child.exitCode === null) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    child.kill('SIGKILL');
    await ended;
    const finished = child.exitCode === 0;
    assert.equal((await stat(target).catch(() => undefined)) !== undefined, finished);
    if (finished) continue;
    await ok([command, source, target]);
    assert.ok(!(await readdir(folder)).includes(`${target}.partial`));
    await ok(['verify', target, '--require-manifest']);
  }
});

test('Ctrl-C ends with 130 and takes the part away', async () => {
  const source = join(folder, 'killed');
  const target = join(folder, 'interrupted.ova');
  const child = spawn(process.execPath, [main, 'ovf', 'pack', source, target], { stdio: 'ignore' });
  const ended = once(child, 'exit');
  while ((await stat(`${target}.partial`).catch(() => undefined)) === undefined && child.exitCode === null) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  child.kill('SIGINT');
  const [code] = (await ended) as [number];
  const names = await readdir(folder);
  assert.ok(!names.includes('interrupted.ova.partial'));
  assert.equal(names.includes('interrupted.ova'), code === 0);
  assert.ok(code === 130 || code === 0);
});

test('the signatures of the fixtures are those that OpenSSL verifies', () => {
  for (const [name, ...options] of [['attributes.cms'], ['pss-keyid.cms'], ['plain-ec.cms'], ['streamed.cms']]) {
    tool(
      'openssl',
      [
        'cms',
        '-verify',
        '-binary',
        '-inform',
        'PEM',
        '-in',
        name!,
        '-content',
        'package.mf',
        '-CAfile',
        'root.pem',
        '-purpose',
        'any',
        '-out',
        '/dev/null',
        ...options,
      ],
      { cwd: signatures },
    );
  }
});
