import assert from 'node:assert/strict';
import { chmod, copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { inspect } from 'node:util';
import type { Store, StoreWrite } from '@hypostyle/contracts';
import { type OpenPostgresStoreOptions, openPostgresStore, StoreError, type StoreErrorCode } from '../index.ts';
import { PostgresServer } from '../testing/postgres-server.ts';

const server = await PostgresServer.start();
after(() => server.remove());

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'store-'));
});
after(() => rm(folder, { recursive: true, force: true }));

const open = (namespace: string, options: Partial<OpenPostgresStoreOptions> = {}): Promise<Store> =>
  openPostgresStore({ connection: server.url, namespace, ...options });
const put = (key: string, value: unknown): StoreWrite => ({ put: { collection: 'vm', key, value } });

function failsWith(code: StoreErrorCode, text: string) {
  return (error: unknown): boolean => {
    assert.ok(error instanceof StoreError, String(error));
    assert.equal(error.code, code, error.message);
    assert.ok(error.message.includes(text), error.message);
    return true;
  };
}

test('namespaces of one database know nothing of each other, and have an owner each', async () => {
  const [left, right] = await Promise.all([open('left'), open('right')]);
  await left.transact([put('k', 'left')]);
  assert.equal(await right.get('vm', 'k'), undefined);
  await assert.rejects(open('left', { waitForOwner: 0 }), failsWith('inUse', 'left'));
  const reader = await open('left', { readOnly: true });
  assert.equal(await reader.get('vm', 'k'), 'left');
  await assert.rejects(reader.transact([put('k', 1)]), failsWith('readOnly', 'left'));
  await Promise.all([left.close(), right.close(), reader.close()]);
});

test('what is not a namespace of ours, or a newer one, is refused and left as it is', async () => {
  await assert.rejects(open('absent', { readOnly: true }), failsWith('missing', 'absent'));
  await server.query('CREATE SCHEMA songs; CREATE TABLE songs.song (title text)');
  await assert.rejects(open('songs'), failsWith('foreign', 'songs'));
  await server.query('CREATE SCHEMA shop; CREATE TABLE shop.store (town text)');
  await assert.rejects(open('shop'), failsWith('foreign', 'shop'));
  await (await open('newer')).close();
  await server.query('UPDATE newer.store SET version = 99');
  for (const readOnly of [false, true]) await assert.rejects(open('newer', { readOnly }), failsWith('newer', '99'));
  for (const namespace of ['', 'Upper', 'pg_catalog', 'a"b', 'x'.repeat(64)]) {
    await assert.rejects(open(namespace), failsWith('invalid', 'namespace'));
  }
  const tables = await server.query("SELECT count(*) FROM pg_tables WHERE schemaname IN ('songs', 'shop', 'absent')");
  assert.deepEqual(tables, [['2']]);
});

test('keys longer than an index takes are found, ordered and deleted as others are', async () => {
  const store = await open('long');
  const middle = 'm'.repeat(5000);
  const keys = ['a', middle, `${middle}\0`, `${middle}\u{10000}`, `${middle}\ue000`, `${'m'.repeat(900)}é`, 'z'];
  const name = 'collection '.repeat(500);
  await store.transact(keys.map((key) => ({ put: { collection: name, key, value: key.length } })));
  for (const key of keys) assert.equal(await store.get(name, key), key.length);
  const listed = async (): Promise<string[]> => (await store.list(name)).map((entry) => entry.key);
  assert.deepEqual(await listed(), keys.toSorted());
  const between = await store.list(name, { from: `${middle}\0`, to: `${middle}\ue000`, reverse: true });
  assert.deepEqual(
    between.map((entry) => entry.key),
    [`${middle}\u{10000}`, `${middle}\0`],
  );
  await store.transact([{ deleteRange: { collection: name, from: middle, to: `${middle}\u{10000}` } }]);
  assert.deepEqual(await listed(), keys.filter((key) => key !== middle && key !== `${middle}\0`).toSorted());
  await store.close();
});

test('a batch that the server refuses takes none of its neighbours with it', async () => {
  const store = await open('refused');
  await server.query(`ALTER TABLE refused.document ADD CHECK (json <> '"bad"')`);
  const batches = ['1', '2', 'bad', '4'].map((value) => store.transact([put(`${value}/left`, 1), put(value, value)]));
  const settled = await Promise.allSettled(batches);
  assert.deepEqual(
    settled.map((each) => each.status),
    ['fulfilled', 'fulfilled', 'rejected', 'fulfilled'],
  );
  assert.ok(settled[2]?.status === 'rejected' && failsWith('failed', 'refused')(settled[2].reason));
  const found = (await store.list('vm')).map((entry) => entry.key);
  assert.deepEqual(found, ['1', '1/left', '2', '2/left', '4', '4/left']);
  await store.close();
});

test('batches that wait together share a commit', async () => {
  const store = await open('together');
  await Promise.all(Array.from({ length: 500 }, (_, index) => store.transact([put(`k${index}`, index)])));
  const [row] = await server.query('SELECT sequence FROM together.owner WHERE NOT ended');
  assert.ok(Number(row?.[0]) < 50, `${row?.[0]} commits`);
  await store.close();
});

test('a commit waits for the disk, whatever the database has set', async () => {
  await server.query('ALTER DATABASE postgres SET synchronous_commit = off');
  const store = await open('durable');
  await store.transact([put('k', 1)]);
  await store.transact([put('kept', 1)]);
  await server.kill();
  await server.resume();
  assert.equal(await store.get('vm', 'kept'), 1);
  await store.close();
  await server.query('ALTER DATABASE postgres RESET synchronous_commit');
});

test('passwords come from files by TLS, and are in no error', async () => {
  const certificate = await server.secure();
  const ca = join(folder, 'ca.crt');
  await copyFile(certificate, ca);
  const secret = 'sécret:with\\signs/';
  await server.query(`CREATE ROLE center LOGIN PASSWORD '${secret}'`);
  await server.query('CREATE DATABASE center OWNER center');
  const passfile = join(folder, 'passwords');
  await writeFile(passfile, `# ours\nlocalhost:${server.port}:center:center:sécret\\:with\\\\signs/\n`);
  await chmod(passfile, 0o600);
  const url = (parameters: Record<string, string>): string =>
    `postgres://center@localhost:${server.port}/center?${new URLSearchParams(parameters)}`;

  const store = await open('tls', { connection: url({ passfile, sslrootcert: ca, sslmode: 'verify-full' }) });
  await store.transact([put('k', 1)]);
  await store.close();
  await (await open('tls', { connection: url({ passfile, sslmode: 'require' }) })).close();

  // Without TLS, with an authority that did not sign, or with another name, nothing is told.
  const refused = (connection: OpenPostgresStoreOptions['connection'], text: string) =>
    assert.rejects(open('tls', { connection }), (error: unknown) => {
      failsWith('failed', text)(error);
      assert.ok(!inspect(error, { depth: 9, showHidden: true }).includes(secret), 'the password is in the error');
      return true;
    });
  await refused(url({ passfile, sslmode: 'disable' }), 'no encryption');
  await refused(url({ passfile, sslmode: 'verify-full' }), 'self-signed certificate');
  const authority = await readFile(ca);
  const parts = { port: server.port, user: 'center', database: 'center', password: secret };
  await refused({ ...parts, host: '127.0.0.1', tls: { ca: authority } }, 'altnames');
  await refused({ ...parts, password: `${secret}!`, tls: { ca: authority } }, 'password authentication');
  await chmod(passfile, 0o644);
  await refused(url({ passfile, sslmode: 'require' }), 'chmod 600');
  assert.ok(!(await server.log()).includes(secret), 'the server was not told in the clear');
});
