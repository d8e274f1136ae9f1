import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { openDisk } from '../disk/open-disk.ts';
import { createChild } from '../operations/chain/create-child.ts';
import { createSparseDisk } from '../sparse/create-sparse.ts';
import { imageOf, patterned, temporaryFolder } from '../testing.ts';
import { changeMapOf } from './change-map.ts';
import { NbdServer, type NbdServerTls } from './nbd-server.ts';
import { openNbdDisk } from './open-nbd-disk.ts';
import { foreignServer } from './testing.ts';

const run = promisify(execFile);
const missing = ['qemu-img', 'qemu-io', 'nbdinfo', 'nbdcopy', 'nbdkit', 'openssl'].filter(
  (command) => spawnSync(command, ['--version']).error !== undefined,
);
const skip =
  missing.length === 0 ? false : `${missing.join(', ')} not installed: node scripts/debian-packages.mjs run tests`;

const image = patterned(9 * 2 ** 20 + 512, 2 ** 20, [2, 1, 0, 0, 2, 0]);
const uriOf = (socketPath: string, name = 'disk') => `nbd+unix:///${name}?socket=${socketPath}`;

/** A server with the image in a sparse disk, or in a chain of two. */
async function serve(
  t: TestContext,
  options: { readonly writable?: boolean; readonly chained?: boolean; readonly tls?: NbdServerTls } = {},
) {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'disk.vmdk');
  await createSparseDisk({ path, virtualBytes: image.length });
  let disk = await openDisk(path, { writable: true });
  // What comes after 4 MiB is in a child of it.
  const below = options.chained ? 2 ** 22 : image.length;
  await disk.write(0, image.subarray(0, below));
  if (options.chained) {
    await disk.close();
    const child = join(folder, 'child.vmdk');
    await createChild({ path: child, parent: path });
    disk = await openDisk(child, { writable: true });
    await disk.write(below, image.subarray(below));
  }
  const changeMap = changeMapOf('monday', image.length, [{ offset: 2 ** 20, length: 65536 }]);
  const exported = { disk, writable: options.writable ?? false, changeMaps: [changeMap] };
  const { tls } = options;
  const server = new NbdServer({
    exports: { find: (name) => (name === 'disk' ? exported : undefined), list: () => ['disk'] },
    ...(tls === undefined ? {} : { tls: () => tls }),
  });
  const socketPath = join(folder, 'nbd');
  await server.listenUnix(socketPath);
  t.after(async () => {
    await server.close();
    await disk.close();
  });
  await writeFile(join(folder, 'raw'), image);
  return { folder, socketPath, server, disk };
}

test('nbdinfo tells size, states and changes', { skip }, async (t) => {
  const { socketPath } = await serve(t);
  const uri = uriOf(socketPath);
  const { stdout } = await run('nbdinfo', ['--json', uri]);
  const [told] = (JSON.parse(stdout) as { exports: Record<string, unknown>[] }).exports;
  assert.equal(told?.['export-size'], image.length);
  assert.deepEqual(told?.contexts, ['base:allocation', 'qemu:dirty-bitmap:monday']);
  assert.equal(told?.is_read_only, true);
  assert.equal(told?.can_multi_conn, true);
  const { stdout: map } = await run('nbdinfo', ['--map', '--json', uri]);
  const states = JSON.parse(map) as { offset: number; length: number; type: number }[];
  assert.deepEqual(
    states.slice(0, 3).map(({ offset, length, type }) => [offset, length, type]),
    [
      [0, 2 ** 21, 0],
      [2 ** 21, 2 ** 21, 3],
      [2 ** 22, 2 ** 20, 0],
    ],
  );
  const { stdout: changes } = await run('nbdinfo', ['--map=qemu:dirty-bitmap:monday', '--json', uri]);
  assert.deepEqual(
    (JSON.parse(changes) as { offset: number; length: number; type: number }[]).map((one) => [
      one.offset,
      one.length,
      one.type,
    ]),
    [
      [0, 2 ** 20, 0],
      [2 ** 20, 65536, 1],
      [2 ** 20 + 65536, image.length - 2 ** 20 - 65536, 0],
    ],
  );
  const { stdout: list } = await run('nbdinfo', ['--list', uriOf(socketPath, '')]);
  assert.match(list, /export="disk"/);
  await assert.rejects(run('nbdinfo', [uriOf(socketPath, 'nothing')]), /No such file or directory for export: nothing/);
});

test('nbdcopy and qemu-img read it whole', { skip }, async (t) => {
  const { folder, socketPath } = await serve(t);
  const uri = uriOf(socketPath);
  const [raw, copy] = [join(folder, 'raw'), join(folder, 'copy')];
  await run('nbdcopy', [uri, copy]);
  assert.ok(image.equals(await readFile(copy)));
  await run('qemu-img', ['compare', '-f', 'raw', '-F', 'raw', raw, uri]);
  await run('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', uri, copy]);
  await run('qemu-img', ['compare', '-f', 'raw', '-F', 'qcow2', raw, copy]);
  const { stdout } = await run('qemu-img', ['map', '--output=json', '-f', 'raw', uri]);
  const [first, second] = JSON.parse(stdout) as { start: number; length: number; zero: boolean; data: boolean }[];
  assert.deepEqual([first?.length, first?.data, second?.length, second?.zero], [2 ** 21, true, 2 ** 21, true]);
  const { stdout: changed } = await run('qemu-img', [
    ...['map', '--output=json', '--image-opts'],
    `driver=nbd,server.type=unix,server.path=${socketPath},export=disk,x-dirty-bitmap=qemu:dirty-bitmap:monday`,
  ]);
  const dirty = (JSON.parse(changed) as { start: number; length: number; data: boolean }[]).filter(({ data }) => !data);
  assert.deepEqual(
    dirty.map(({ start, length }) => [start, length]),
    [[2 ** 20, 65536]],
  );
});

test('qemu-io writes, trims and zeroes; nbdcopy fills it', { skip }, async (t) => {
  const { folder, socketPath, disk } = await serve(t, { writable: true });
  const uri = uriOf(socketPath);
  await run('qemu-io', [
    ...['-f', 'raw', '-c', 'write -P 7 1M 3M', '-c', 'write -f -P 9 512 1k', '-c', 'write -z 4M 1M'],
    ...['-c', 'write -z -u 64k 128k', '-c', 'discard 5M 1M', '-c', 'flush', uri],
  ]);
  const expected = Buffer.from(image);
  expected
    .fill(7, 2 ** 20, 2 ** 22)
    .fill(9, 512, 1536)
    .fill(0, 2 ** 22, 5 * 2 ** 20)
    .fill(0, 65536, 65536 * 3);
  assert.ok(expected.equals(await disk.read(0, expected.length)));
  const other = patterned(image.length, 300_000, [0, 2, 1]);
  await writeFile(join(folder, 'other'), other);
  await run('nbdcopy', [join(folder, 'other'), uri]);
  assert.ok(other.equals(await disk.read(0, other.length)));
  await run('qemu-img', ['convert', '-n', '-f', 'raw', '-O', 'raw', join(folder, 'raw'), uri]);
  assert.ok(image.equals(await disk.read(0, image.length)));
});

test('a chain is one disk to qemu-img and nbdcopy, and its top alone is written', { skip }, async (t) => {
  const { folder, socketPath, disk } = await serve(t, { chained: true, writable: true });
  const uri = uriOf(socketPath);
  const base = await readFile(join(folder, 'disk.vmdk'));
  await run('qemu-img', ['compare', '-f', 'raw', '-F', 'raw', join(folder, 'raw'), uri]);
  const { stdout } = await run('qemu-img', ['map', '--output=json', '-f', 'raw', uri]);
  const [first] = JSON.parse(stdout) as { length: number; data: boolean }[];
  assert.deepEqual([first?.length, first?.data], [2 ** 21, true], 'what the parent has is data too');
  await run('nbdcopy', [uri, join(folder, 'copy')]);
  assert.ok(image.equals(await readFile(join(folder, 'copy'))));
  await run('qemu-io', ['-f', 'raw', '-c', 'write -P 7 100k 1M', '-c', 'flush', uri]);
  const expected = Buffer.from(image).fill(7, 102_400, 102_400 + 2 ** 20);
  assert.ok(expected.equals(await disk.read(0, expected.length)));
  assert.ok(base.equals(await readFile(join(folder, 'disk.vmdk'))));
});

test('a read-only export cannot be written', { skip }, async (t) => {
  const { socketPath, disk } = await serve(t);
  await assert.rejects(run('qemu-io', ['-f', 'raw', '-c', 'write 0 512', uriOf(socketPath)]));
  assert.ok(image.equals(await disk.read(0, image.length)));
});

test("nbdkit's nbd plugin passes it on, and our client reads it from there", { skip }, async (t) => {
  const { folder, socketPath } = await serve(t);
  const passed = join(folder, 'passed');
  const args = ['-f', '--exit-with-parent', '-U', passed, 'nbd', `socket=${socketPath}`, 'export=disk'];
  await foreignServer(t, passed, 'nbdkit', args);
  const disk = await openNbdDisk({ socketPath: passed }, '');
  assert.deepEqual(await imageOf(image.length, disk.blocks()), image);
  await disk.close();
});

test('TLS: qemu-img, nbdinfo and our client, each with its certificate; none without', { skip }, async (t) => {
  const pki = await temporaryFolder(t);
  await makePki(pki);
  const pem = (name: string) => readFile(join(pki, name), 'utf8');
  const ca = await pem('ca-cert.pem');
  const tls = { ca, cert: await pem('server-cert.pem'), key: await pem('server-key.pem'), requestCert: true };
  const { server, folder, socketPath, disk: served } = await serve(t, { tls, writable: true });
  const port = await server.listenTcp('0.0.0.0', 0);
  const address = { host: 'localhost', port };
  const client = { ca, cert: await pem('client-cert.pem'), key: await pem('client-key.pem') };
  const disk = await openNbdDisk({ ...address, tls: client }, 'disk');
  assert.ok(image.equals(await disk.read(0, image.length)));
  await disk.close();
  await assert.rejects(openNbdDisk(address, 'disk'), { code: 'nbd-refused', message: /demands TLS/ });
  await assert.rejects(openNbdDisk({ socketPath }, 'disk'), { code: 'nbd-refused', message: /demands TLS/ });
  await assert.rejects(openNbdDisk({ ...address, tls: {} }, 'disk'), { code: 'nbd-unreachable' });
  await assert.rejects(openNbdDisk({ ...address, tls: { ca } }, 'disk'), { name: 'VmdkError' });
  const { fingerprint } = new X509Certificate(tls.cert);
  const pinned = await openNbdDisk({ ...address, tls: { ...client, thumbprint: fingerprint } }, 'disk');
  await pinned.close();
  const other = { ...client, thumbprint: `00${fingerprint.slice(2)}` };
  await assert.rejects(openNbdDisk({ ...address, tls: other }, 'disk'), { code: 'nbd-unreachable' });
  const secret = ['--object', `tls-creds-x509,id=t,dir=${pki},endpoint=client`];
  await run('qemu-img', [
    ...['compare', ...secret, '--image-opts'],
    `driver=raw,file.driver=file,file.filename=${join(folder, 'raw')}`,
    `driver=nbd,server.type=inet,server.host=localhost,server.port=${port},export=disk,tls-creds=t`,
  ]);
  const uri = `nbds://localhost:${port}/disk`;
  await run('nbdinfo', [`${uri}?tls-certificates=${pki}`]);
  await run('nbdcopy', [`${uri}?tls-certificates=${pki}`, join(folder, 'copy')]);
  assert.ok(image.equals(await readFile(join(folder, 'copy'))));
  await assert.rejects(run('nbdinfo', [`nbd://localhost:${port}/disk`]));
  const { stdout } = await run('nbdinfo', [
    '--map=qemu:dirty-bitmap:monday',
    '--json',
    `${uri}?tls-certificates=${pki}`,
  ]);
  const changed = (JSON.parse(stdout) as { offset: number; length: number; type: number }[]).filter(({ type }) => type);
  assert.deepEqual(
    changed.map(({ offset, length }) => [offset, length]),
    [[2 ** 20, 65536]],
  );
  // nbdkit reads it by TLS, for those who cannot; libnbd writes it.
  const passed = join(folder, 'passed');
  const plugin = ['nbd', 'hostname=localhost', `port=${port}`, 'export=disk', 'tls=require', `tls-certificates=${pki}`];
  await foreignServer(t, passed, 'nbdkit', ['-f', '--exit-with-parent', '-U', passed, ...plugin]);
  const through = await openNbdDisk({ socketPath: passed }, '');
  assert.ok(image.equals(await through.read(0, image.length)));
  await through.close();
  const changes = patterned(image.length, 300_000, [0, 2, 1]);
  await writeFile(join(folder, 'changes'), changes);
  await run('nbdcopy', [join(folder, 'changes'), `${uri}?tls-certificates=${pki}`]);
  assert.ok(changes.equals(await served.read(0, changes.length)));
});

/** An authority, a server's and a client's certificate, with the names that QEMU expects. */
async function makePki(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const openssl = (...args: string[]) => run('openssl', args, { cwd: folder });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  await openssl(
    'req',
    '-x509',
    ...key,
    '-keyout',
    'ca-key.pem',
    '-out',
    'ca-cert.pem',
    '-subj',
    '/CN=authority',
    '-days',
    '2',
  );
  for (const [name, usage] of [
    ['server', 'serverAuth'],
    ['client', 'clientAuth'],
  ] as const) {
    const extensions = `subjectAltName=DNS:localhost\nextendedKeyUsage=${usage}\nkeyUsage=digitalSignature\n`;
    await writeFile(join(folder, 'extensions'), extensions);
    await openssl('req', ...key, '-keyout', `${name}-key.pem`, '-out', 'request.pem', '-subj', '/CN=localhost');
    const signed = [
      '-CA',
      'ca-cert.pem',
      '-CAkey',
      'ca-key.pem',
      '-CAcreateserial',
      '-extfile',
      'extensions',
      '-days',
      '2',
    ];
    await openssl('x509', '-req', '-in', 'request.pem', '-out', `${name}-cert.pem`, ...signed);
  }
}
