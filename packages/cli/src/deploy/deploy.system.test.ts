import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createReadStream, existsSync, statSync } from 'node:fs';
import { mkdtemp, open, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunningServer, startServer } from '@hypostyle/server';
import { run } from '../run.ts';
import { memoryContext } from '../testing/memory-terminal.ts';
import { type SmallPackage, writeSmallPackage } from '../testing/small-package.ts';

const content = Buffer.from('the beginning of a disk'.padEnd(65_536, '.'));
let folder: string;
let server: RunningServer;
let files: SmallPackage;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hypostyle-deploy-'));
  server = await startServer({ home: join(folder, 'home'), listen: { host: '127.0.0.1', port: 0 }, mode: 'host' });
  files = await writeSmallPackage(folder, content);
});

after(async () => {
  await server.close();
  await rm(folder, { recursive: true });
});

async function hypo(...args: string[]) {
  const memory = memoryContext({ HYPOSTYLE_HOME: server.home.directory });
  const code = await run(args, memory.context);
  return { code, output: memory.output(), errors: memory.errors() };
}

async function machineNames(): Promise<string[]> {
  const { output } = await hypo('ls', '--json');
  return (JSON.parse(output) as { name: string }[]).map(({ name }) => name);
}

/** Of a disk that may be settling still. */
async function diskBeginsWithContent(name: string): Promise<boolean> {
  const path = join(server.home.datastoreDirectory, name, `${name}-flat.vmdk`);
  for (const limit = Date.now() + 30_000; !existsSync(path) && Date.now() < limit; ) await sleep(20);
  await using file = await open(path);
  const { buffer } = await file.read(Buffer.alloc(content.length), 0, content.length, 0);
  return buffer.equals(content);
}

/** Serves the folder of the packages on a port of its own. */
async function withWeb(work: (url: string) => Promise<void>): Promise<void> {
  const web = createServer((incoming, outgoing) => {
    const path = join(folder, basename(incoming.url ?? ''));
    const size = statSync(path, { throwIfNoEntry: false })?.size;
    if (size === undefined) {
      outgoing.writeHead(404).end();
      return;
    }
    outgoing.writeHead(200, { 'content-length': size });
    if (incoming.method === 'HEAD') outgoing.end();
    else createReadStream(path).pipe(outgoing);
  });
  web.listen(0, '127.0.0.1');
  await once(web, 'listening');
  try {
    await work(`http://127.0.0.1:${(web.address() as AddressInfo).port}`);
  } finally {
    web.closeAllConnections();
    web.close();
  }
}

test('a package becomes a machine with its disk, from a file, a folder or the web', async () => {
  await withWeb(async (url) => {
    const sources = [files.ova, files.ovf, `${url}/small.ova`, `${url}/small.ovf`];
    for (const [index, source] of sources.entries()) {
      const name = `machine${index}`;
      const { code, output, errors } = await hypo('deploy', source, '--name', name);
      assert.equal(code, 0, `${source}: ${errors}`);
      assert.match(output, new RegExp(name));
      assert.ok(await diskBeginsWithContent(name), source);
    }
    assert.equal((await hypo('info', 'machine0')).code, 0);
    const removed = await hypo('rm', ...sources.map((_source, index) => `machine${index}`));
    assert.equal(removed.code, 0, removed.errors);
  });
});

test('content that the manifest contradicts leaves nothing behind', async () => {
  await withWeb(async (url) => {
    for (const source of [files.wrongDigest, `${url}/wrong-digest.ova`]) {
      const { code, errors } = await hypo('deploy', source, '--name', 'wrong');
      assert.equal(code, 1);
      assert.match(errors, /disk\.vmdk.*SHA256/);
      assert.ok(!(await machineNames()).includes('wrong'), source);
      assert.ok(!(await readdir(server.home.datastoreDirectory)).includes('wrong'), source);
    }
  });
});

test('what is asked for and is not there is named', async () => {
  for (const [args, words] of [
    [['--datastore', 'nope'], /datastore 'nope'/],
    [['--network', 'nope'], /network 'nope'/],
    [['--network', 'other=VM Network'], /no network 'other'[\s\S]*'net'/],
  ] as const) {
    const { code, errors } = await hypo('deploy', files.ova, ...args);
    assert.equal(code, 4);
    assert.match(errors, words);
  }
  for (const args of [['info'], ['power', 'on'], ['rm'], ['console'], ['logs'], ['events']]) {
    const { code, errors } = await hypo(...args, 'nobody');
    assert.equal(code, 4, args.join(' '));
    assert.match(errors, /no machine 'nobody'/);
  }
});

test('a name that is taken is refused, and the machine that has it stays', async () => {
  assert.equal((await hypo('deploy', files.ova, '--name', 'taken')).code, 0);
  const { code, errors } = await hypo('deploy', files.ova, '--name', 'taken');
  assert.equal(code, 1);
  assert.match(errors, /taken[\s\S]*--name/);
  assert.equal((await machineNames()).filter((name) => name === 'taken').length, 1);
  assert.ok(await diskBeginsWithContent('taken'));
});

test('what scales out becomes several machines, each with its disk, or none of them', async () => {
  const { code, output, errors } = await hypo('deploy', files.scaled, '--name', 'farm', '--json');
  assert.equal(code, 0, errors);
  assert.deepEqual(
    (JSON.parse(output) as { name: string }[]).map(({ name }) => name),
    ['farm-1', 'farm-2'],
  );
  assert.ok((await diskBeginsWithContent('farm-1')) && (await diskBeginsWithContent('farm-2')));
  const farm = async () => (await machineNames()).filter((name) => /^farm|^small/.test(name)).sort();
  const many = await hypo('deploy', files.scaled, '--scale', 'small=4');
  assert.equal(many.code, 1);
  assert.match(many.errors, /"small" has 1 to 3 instances, not 4/);
  const other = await hypo('deploy', files.scaled, '--scale', 'web=1');
  assert.match(other.errors, /"web" does not scale out: only small can/);
  // The third has a name that is taken: the two before it go again.
  assert.equal((await hypo('deploy', files.ova, '--name', 'again-3')).code, 0);
  const taken = await hypo('deploy', files.scaled, '--name', 'again', '--scale', 'small=3');
  assert.equal(taken.code, 1);
  assert.deepEqual(
    (await machineNames()).filter((name) => name.startsWith('again')),
    ['again-3'],
  );
  assert.deepEqual(await farm(), ['farm-1', 'farm-2']);
  const one = await hypo('deploy', files.scaled, '--scale', 'small=1', '--name', 'farmer');
  assert.equal(one.code, 0, one.errors);
  assert.match(one.output, /farmer: deployed/);
});

test('an encrypted package is decrypted on its way, with its passphrase only', async () => {
  const secret = join(folder, 'passphrase.txt');
  await writeFile(secret, 'correct horse battery staple\n');
  const sealed = join(folder, 'sealed.ova');
  assert.equal((await hypo('ovf', 'pack', files.ova, sealed, '--encrypt', '--passphrase-file', secret)).code, 0);
  const { code, errors } = await hypo('deploy', sealed, '--name', 'sealed', '--passphrase-file', secret);
  assert.equal(code, 0, errors);
  assert.ok(await diskBeginsWithContent('sealed'));
  await withWeb(async (url) => {
    const streamed = await hypo('deploy', `${url}/sealed.ova`, '--name', 'streamed', '--passphrase-file', secret);
    assert.equal(streamed.code, 0, streamed.errors);
    assert.ok(await diskBeginsWithContent('streamed'));
  });
  await writeFile(secret, 'another one\n');
  for (const [args, words] of [
    [[], /disk\.vmdk: it takes the passphrase[\s\S]*HYPOSTYLE_OVF_PASSPHRASE/],
    [['--passphrase-file', secret], /the passphrase is not that of this package/],
  ] as const) {
    const refused = await hypo('deploy', sealed, '--name', 'locked', ...args);
    assert.equal(refused.code, 1);
    assert.match(refused.errors, words);
  }
  assert.ok(!(await machineNames()).includes('locked'));
});
