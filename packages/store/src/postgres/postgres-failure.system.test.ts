import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after, afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Store, StoreWrite } from '@hypostyle/contracts';
import { type OpenPostgresStoreOptions, openPostgresStore, StoreError, type StoreErrorCode } from '../index.ts';
import { PostgresServer } from '../testing/postgres-server.ts';
import { SeverableProxy } from '../testing/severable-proxy.ts';

const server = await PostgresServer.start();
const proxy = await SeverableProxy.start(server);
const opened: Store[] = [];
let count = 0;
let namespace = '';

afterEach(async () => {
  proxy.restore();
  await Promise.all(opened.splice(0).map((store) => store.close()));
  namespace = '';
});
after(async () => {
  await proxy.close();
  await server.remove();
});

async function open(options: Partial<OpenPostgresStoreOptions> = {}): Promise<Store> {
  if (namespace === '') namespace = `failure_${++count}`;
  const store = await openPostgresStore({ connection: server.url, namespace, ...options });
  opened.push(store);
  return store;
}

const put = (key: string, value: unknown): StoreWrite => ({ put: { collection: 'vm', key, value } });
const absent = (key: string): StoreWrite => ({ check: { collection: 'vm', key, exists: false } });

const failsWith = (code: StoreErrorCode) => (error: unknown) => {
  assert.ok(error instanceof StoreError, String(error));
  assert.equal(error.code, code, error.message);
  return true;
};

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await sleep(10);
}

const storedKeys = async (): Promise<unknown[]> =>
  (await server.query(`SELECT convert_from(head, 'UTF8') FROM ${namespace}.document ORDER BY head`)).flat();

/** What the server does when it notices that a client is gone: by itself, or by keep-alives. */
async function endSessions(): Promise<void> {
  const name = `hypostyle ${namespace}`;
  await server.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '${name}'`);
}

test('a server that is killed in the middle of batches and started again has each of them once', async () => {
  const store = await open({ patience: 120_000 });
  let writing = true;
  const resolved: string[] = [];
  const write = async (writer: number): Promise<void> => {
    for (let round = 0; writing; round++) {
      const batch = `${writer}-${round}`;
      // Applied a second time, the batch would be a conflict.
      await store.transact([absent(`${batch}/left`), put(`${batch}/left`, round), put(`${batch}/right`, round)]);
      resolved.push(batch);
    }
  };
  const writers = Promise.all(Array.from({ length: 16 }, (_, writer) => write(writer))).finally(() => {
    writing = false;
  });
  writers.catch(() => {});
  for (let kill = 1; kill <= 3; kill++) {
    const before = resolved.length;
    await until(async () => !writing || resolved.length > before + 200);
    await server.kill();
    await server.resume();
  }
  writing = false;
  await writers;
  const found = new Set((await store.list('vm')).map((entry) => entry.key));
  assert.equal(found.size, 2 * resolved.length);
  for (const batch of resolved) for (const half of ['left', 'right']) assert.ok(found.has(`${batch}/${half}`));
});

test('a batch whose answer was lost on the way is applied once, and resolves', async () => {
  const store = await open({ connection: proxy.url });
  proxy.holdsAnswers = true;
  const batch = store.transact([put('in doubt', 1)]);
  await until(async () => (await storedKeys()).length === 1);
  // Applied a second time, the batch would undo this.
  await server.query(`UPDATE ${namespace}.document SET json = '"marked"'`);
  const next = store.transact([{ check: { collection: 'vm', key: 'in doubt', exists: true } }, put('next', 2)]);
  proxy.restore();
  proxy.cutClients();
  await Promise.all([batch, next]);
  assert.equal(await store.get('vm', 'in doubt'), 'marked');
  assert.deepEqual(await storedKeys(), ['in doubt', 'next']);
  const [row] = await server.query(`SELECT sequence FROM ${namespace}.owner WHERE NOT ended`);
  assert.deepEqual(row, ['2'], 'two groups were committed, not three');
});

test('a batch that was lost on the way to the server is sent again', async () => {
  const store = await open({ connection: proxy.url });
  proxy.holdsRequests = true;
  const batch = store.transact([put('lost', 1)]);
  proxy.cutClients();
  proxy.restore();
  await batch;
  assert.deepEqual(await storedKeys(), ['lost']);
});

test('an owner that is killed leaves what it was told is written, to the next that waits', async () => {
  await (await open()).close();
  const script = fileURLToPath(new URL('../testing/postgres-owner.ts', import.meta.url));
  const child = spawn(process.execPath, [script, server.url, namespace], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  let last = -1;
  let standby: Promise<Store> | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    last = Number(line);
    if (last === 20) {
      await assert.rejects(open({ waitForOwner: 0 }), (error: unknown) => {
        failsWith('inUse')(error);
        assert.ok(String(error).includes(`process ${child.pid}`), String(error));
        assert.ok(String(error).includes(namespace), String(error));
        return true;
      });
      standby = open({ waitForOwner: Number.POSITIVE_INFINITY });
    }
    if (last === 60) child.kill('SIGKILL');
  }
  await exited;
  const store = await standby;
  assert.ok(store !== undefined);
  const values = (await store.list<number>('vm')).map((entry) => entry.value).sort((left, right) => left - right);
  assert.ok(values.length > last, 'everything that was told is there');
  assert.deepEqual(
    values,
    values.map((_, index) => index),
    'without a gap',
  );
});

test('an owner that was cut off and replaced writes nothing more, and says so', async () => {
  const told: StoreError[] = [];
  const first = await open({ connection: proxy.url, onLost: (error) => told.push(error), patience: 120_000 });
  await first.transact([put('first', 1)]);
  proxy.refuses = true;
  proxy.holdsRequests = true;
  const cut = first.transact([put('after the cut', 1)]);
  proxy.cutClients();
  await endSessions();
  const second = await open({ waitForOwner: 60_000 });
  await second.transact([put('second', 2)]);
  await second.close();
  proxy.restore();
  await assert.rejects(cut, failsWith('lost'));
  await assert.rejects(first.transact([put('later', 1)]), failsWith('lost'));
  await assert.rejects(first.get('vm', 'first'), failsWith('lost'));
  assert.equal(told.length, 1);
  assert.deepEqual(await storedKeys(), ['first', 'second']);
});

test('an owner that was replaced hears that its last batch was written, when it was', async () => {
  const first = await open({ connection: proxy.url, patience: 120_000 });
  proxy.holdsAnswers = true;
  const batch = first.transact([put('in doubt', 1)]);
  await until(async () => (await storedKeys()).length === 1);
  proxy.refuses = true;
  proxy.cutClients();
  await endSessions();
  const second = await open({ waitForOwner: 60_000 });
  assert.equal(await second.get('vm', 'in doubt'), 1);
  proxy.restore();
  await batch;
  await assert.rejects(first.transact([put('later', 1)]), failsWith('lost'));
});

test('a claim that has ended fences its session, though it still has the lock', async () => {
  const store = await open();
  await store.transact([put('before', 1)]);
  await server.query(`UPDATE ${namespace}.owner SET ended = true`);
  await assert.rejects(store.transact([put('late', 1)]), failsWith('lost'));
  const range: StoreWrite = { deleteRange: { collection: 'vm' } };
  await assert.rejects(store.transact([range]), failsWith('lost'));
  assert.deepEqual(await storedKeys(), ['before']);
});

test('a database that has gone back to an earlier state is not written', async () => {
  const store = await open();
  await store.transact([put('1', 1)]);
  await store.transact([put('2', 2)]);
  await server.query(`UPDATE ${namespace}.owner SET sequence = 1`);
  await endSessions();
  await assert.rejects(store.transact([put('3', 3)]), failsWith('lost'));
  assert.deepEqual(await storedKeys(), ['1', '2']);
});

test('calls wait for a server that is away, for as long as they have patience', async () => {
  const store = await open({ patience: 300 });
  await store.transact([put('before', 1)]);
  await server.stop();
  const outcomes = await Promise.allSettled([store.transact([put('away', 1)]), store.get('vm', 'before')]);
  await server.resume();
  for (const outcome of outcomes) assert.ok(outcome.status === 'rejected' && failsWith('unreachable')(outcome.reason));
  // It is taken up again without being opened again.
  await until(() =>
    store.transact([put('back', 2)]).then(
      () => true,
      (error: unknown) => !failsWith('unreachable')(error),
    ),
  );
  assert.equal(await store.get('vm', 'back'), 2);
  assert.deepEqual(await storedKeys(), ['back', 'before']);
});

test('closing while a batch is in doubt says that nobody knows', async () => {
  const store = await open({ connection: proxy.url, patience: 200 });
  proxy.holdsAnswers = true;
  const batch = store.transact([put('in doubt', 1)]);
  await until(async () => (await storedKeys()).includes('in doubt'));
  const queued = store.transact([put('queued', 1)]);
  proxy.refuses = true;
  proxy.cutClients();
  const settled = Promise.allSettled([batch, queued]);
  await store.close();
  const [first, second] = await settled;
  assert.ok(first?.status === 'rejected' && failsWith('unknown')(first.reason));
  assert.ok(second?.status === 'rejected' && failsWith('unreachable')(second.reason));
  assert.deepEqual(await storedKeys(), ['in doubt']);
});
