import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, watch } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type RunningServer, startServer } from '@hypostyle/server';
import { findServer } from '../connection/server-address.ts';
import { type ServerSession, withSession } from '../connection/server-session.ts';
import { findMachine } from '../inventory/find-object.ts';
import { findSnapshot, readSnapshots } from '../inventory/snapshots.ts';
import { run } from '../run.ts';
import { memoryContext } from '../testing/memory-terminal.ts';
import { writeSmallPackage } from '../testing/small-package.ts';

/** Without a small file system of its own nothing can be filled. */
const mountsRefused = 'no file system may be mounted here: it runs as root, with unshare of util-linux';

const main = fileURLToPath(new URL('../main.ts', import.meta.url));
const schema = fileURLToPath(new URL('../../../ovf/fixtures/schemas/envelope.xsd', import.meta.url));
const content = createHash('shake256', { outputLength: 65_536 }).update('disk').digest();
let folder: string;
let out: string;
let server: RunningServer;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hypostyle-export-'));
  out = join(folder, 'out');
  await mkdir(out);
  server = await startServer({ home: join(folder, 'home'), listen: { host: '127.0.0.1', port: 0 }, mode: 'host' });
  const { ova } = await writeSmallPackage(folder, content);
  await ok('deploy', ova, '--name', 'web');
});

after(async () => {
  await server.close();
  await rm(folder, { recursive: true });
});

function tool(name: string, ...args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(name, args, { encoding: 'utf8', timeout: 60_000 });
  assert.equal(error, undefined, `${name}: ${error}`);
  assert.equal(status, 0, `${name} ${args.join(' ')}: ${stderr}${stdout}`);
  return stdout;
}

async function hypo(signal: AbortSignal | undefined, ...args: string[]) {
  const memory = memoryContext({ HYPOSTYLE_HOME: server.home.directory });
  const code = await run(args, signal === undefined ? memory.context : { ...memory.context, signal });
  return { code, output: memory.output(), errors: memory.errors() };
}

async function ok(...args: string[]): Promise<string> {
  const { code, output, errors } = await hypo(undefined, ...args);
  assert.equal(code, 0, `${args.join(' ')}: ${errors}`);
  return output;
}

async function asClient<T>(work: (session: ServerSession) => Promise<T>): Promise<T> {
  return withSession(await findServer({}, { HYPOSTYLE_HOME: server.home.directory }), work);
}

/** Another size of memory for a machine; answers what it had. */
async function changed(name: string, memoryMB: number): Promise<{ readonly memoryMB: number }> {
  return asClient(async (session) => {
    const { ref } = await findMachine(session, name);
    const [found] = await session.client.retrieve(ref, ['config.hardware.memoryMB']);
    await session.client.waitForTask(await session.client.call(ref, 'ReconfigVM_Task', { spec: { memoryMB } }));
    return { memoryMB: Number(found?.values['config.hardware.memoryMB']) };
  });
}

/** The whole of a machine's disk, once it has settled. */
async function diskOf(name: string): Promise<Buffer> {
  const path = join(server.home.datastoreDirectory, name, `${name}-flat.vmdk`);
  for (const limit = Date.now() + 30_000; !existsSync(path) && Date.now() < limit; ) await sleep(20);
  return readFile(path);
}

test('a machine becomes an OVA that tar, xmllint and we read, and the same machine again', async () => {
  const ova = join(out, 'web.ova');
  const said = JSON.parse(await ok('export', 'web', ova, '--json')) as { package: string; files: number };
  assert.equal(said.package, ova);
  assert.equal(said.files, 1);
  assert.deepEqual(tool('tar', 'tf', ova).trim().split('\n'), ['web.ovf', 'web.mf', 'web-disk1.vmdk']);
  tool('tar', 'xf', ova, '-C', folder);
  tool('xmllint', '--noout', '--nonet', '--schema', schema, join(folder, 'web.ovf'));
  assert.match(await readFile(join(folder, 'web.mf'), 'utf8'), /^SHA256\(web\.ovf\)= /);
  tool('qemu-img', 'check', join(folder, 'web-disk1.vmdk'));
  await ok('ovf', 'verify', ova);
  await ok('ovf', 'validate', ova);
  await ok('deploy', ova, '--name', 'again');
  const disk = await diskOf('again');
  assert.ok(disk.equals(await diskOf('web')), 'the disks are equal');
  assert.ok(disk.subarray(0, content.length).equals(content));
  await ok('rm', 'again');
  assert.deepEqual(await readdir(out), ['web.ova']);
});

test('a machine becomes a folder, with digests that are asked for', async () => {
  const target = join(out, 'my web');
  await ok('export', 'web', target, '--digest', 'sha512', '--include', 'uuid');
  assert.match(await readFile(join(target, 'my web.ovf'), 'utf8'), /vmw:key="uuid" vmw:value="[0-9a-f-]{36}"/);
  const names = ['my web-disk1.vmdk', 'my web.mf', 'my web.ovf'];
  assert.deepEqual((await readdir(target)).sort(), names);
  assert.match(await readFile(join(target, 'my web.mf'), 'utf8'), /^SHA512\(my web-disk1\.vmdk\)= [0-9a-f]{128}$/m);
  await ok('ovf', 'verify', join(target, 'my web.ovf'));
  assert.equal((await hypo(undefined, 'export', 'web', target)).code, 1);
  await rm(target, { recursive: true });
});

test('what a snapshot has is exported while the machine goes on', async () => {
  await ok('snapshot', 'create', 'web', 'before');
  const ova = join(out, 'before.ova');
  // What comes after it is no part of it.
  const { memoryMB } = await changed('web', 96);
  await ok('export', 'web', ova, '--snapshot', 'before');
  await ok('ovf', 'validate', ova);
  const descriptor = tool('tar', 'xOf', ova, 'before.ovf');
  assert.match(descriptor, new RegExp(`${memoryMB}MB of memory`));
  await ok('ovf', 'verify', ova);
  await ok('deploy', ova, '--name', 'before');
  assert.ok((await diskOf('before')).subarray(0, content.length).equals(content));
  assert.equal((await hypo(undefined, 'export', 'web', join(out, 'x.ova'), '--snapshot', 'nope')).code, 4);
  // A descriptor is of a machine's own snapshot, and of no other's.
  await asClient(async (session) => {
    const [web, other] = [await findMachine(session, 'web'), await findMachine(session, 'before')];
    const { snapshot } = findSnapshot(await readSnapshots(session, web.ref), 'before').tree;
    const { ovfManager } = session.content;
    assert.ok(ovfManager);
    await assert.rejects(
      session.client.call(ovfManager, 'CreateDescriptor', { obj: other.ref, cdp: { snapshot } }),
      /not one of the machine/,
    );
  });
  await ok('snapshot', 'rm', 'web', 'before');
  await rm(ova);
});

test('nothing is overwritten unasked', async () => {
  const ova = join(out, 'taken.ova');
  await writeFile(ova, 'mine');
  const { code, errors } = await hypo(undefined, 'export', 'web', ova);
  assert.equal(code, 1);
  assert.match(errors, /taken\.ova is there already[\s\S]*--force/);
  assert.equal(await readFile(ova, 'utf8'), 'mine');
  await ok('export', 'web', ova, '--force');
  await ok('ovf', 'verify', ova);
  await rm(ova);
});

test('an export that is stopped leaves nothing, and the machine free', async () => {
  const names = (await readdir(out)).sort();
  for (const milliseconds of [20, 60, 120]) {
    const { code } = await hypo(AbortSignal.timeout(milliseconds), 'export', 'web', join(out, 'stopped.ova'));
    if (code === 0) await rm(join(out, 'stopped.ova'));
    assert.deepEqual((await readdir(out)).sort(), names);
  }
  await ok('export', 'web', join(out, 'stopped.ova'));
  await rm(join(out, 'stopped.ova'));
});

test('what cannot be exported is refused before anything is written', async () => {
  for (const [args, status, words] of [
    [['nobody', join(out, 'x.ova')], 4, /no machine or vApp 'nobody'/],
    [['web', join(out, 'no', 'x.ova')], 2, /There is no folder/],
    [['web', join(out, 'x.ova'), '--digest', 'md5'], 2, /sha256/],
  ] as const) {
    const { code, errors } = await hypo(undefined, 'export', ...args);
    assert.equal(code, status, errors);
    assert.match(errors, words);
  }
  assert.ok(!existsSync(join(out, 'x.ova')));
});

test('an export is signed, and verified by its certificate', async () => {
  const [key, certificate, ova] = ['key.pem', 'certificate.pem', 'signed.ova'].map((name) => join(folder, name));
  assert.ok(key && certificate && ova);
  const name = ['-subj', '/CN=Test Signer', '-days', '2'];
  tool('openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', certificate, ...name);
  await ok('export', 'web', ova, '--key', key, '--certificate', certificate);
  assert.deepEqual(tool('tar', 'tf', ova).trim().split('\n').slice(0, 3), ['signed.ovf', 'signed.mf', 'signed.cert']);
  await ok('ovf', 'verify', ova, '--trust', certificate);
});

test('a full disk is named, and leaves nothing', { timeout: 120_000 }, async (t) => {
  const whole = join(folder, 'whole.ova');
  await ok('export', 'web', whole);
  const { size } = await stat(whole);
  const small = join(folder, 'small-disk');
  await mkdir(small);
  // Too small for what is received, and for what is packed of it.
  for (const bytes of [Math.floor(size / 2), Math.floor(size * 1.5)]) {
    const script = `mount -t tmpfs -o size=${bytes} none "$1" || exit 77
      "$2" "$3" export web "$1/full.ova"; code=$?
      ls -A "$1"; exit $code`;
    const words = ['-m', '/bin/sh', '-c', script, 'sh', small, process.execPath, main];
    const environment = { ...process.env, HYPOSTYLE_HOME: server.home.directory };
    const { code, stdout, stderr } = await new Promise<{ code: unknown; stdout: string; stderr: string }>((resolve) =>
      execFile('unshare', words, { env: environment }, (error, output, errors) =>
        resolve({ code: error?.code ?? 0, stdout: output, stderr: errors }),
      ),
    );
    if (code === 77 || stderr.startsWith('unshare:')) return t.skip(mountsRefused);
    assert.equal(code, 1, stderr);
    assert.match(stderr, /full\.ova.*no space left/);
    assert.equal(stdout, '');
  }
  // The machine is free.
  await ok('export', 'web', whole, '--force');
});

test('an export that is killed has left nothing under the name', { timeout: 120_000 }, async () => {
  await ok('snapshot', 'create', 'web', 'kept');
  const place = join(folder, 'killed');
  await mkdir(place);
  const ova = join(place, 'web.ova');
  for (const sign of [/inflated/, /partial/]) {
    const child = spawn(process.execPath, [main, 'export', 'web', ova, '--snapshot', 'kept'], {
      env: { ...process.env, HYPOSTYLE_HOME: server.home.directory },
      stdio: 'ignore',
    });
    const ended = once(child, 'exit');
    const watcher = watch(place, (_event, name) => {
      if (sign.test(name ?? '')) child.kill('SIGKILL');
    });
    await ended;
    watcher.close();
    // It may have been done before the signal came: then it is whole.
    if (existsSync(ova)) await ok('ovf', 'verify', ova);
    await rm(ova, { force: true });
  }
  await ok('export', 'web', ova, '--snapshot', 'kept');
  await ok('ovf', 'verify', ova);
});
