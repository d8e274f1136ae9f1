import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, it } from 'node:test';
import { QmpClient, QmpError } from './qmp-client.ts';
import { isObject } from './qmp-message.ts';

const greeting = '{"QMP":{"version":{"qemu":{"micro":22,"minor":2,"major":7}},"capabilities":[]}}\r\n';
let folder: string;
let path: string;
let server: Server | undefined;
const sockets: Socket[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qmp-'));
  path = join(folder, 's');
});

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  server?.close();
  await rm(folder, { recursive: true, force: true });
});

/** An engine that answers each command with what `answer` gives; undefined is silence. */
async function serve(answer: (command: string, id: unknown) => string | undefined, hello = greeting): Promise<void> {
  server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    socket.write(hello);
    socket.setEncoding('utf8').on('data', (text: string) => {
      for (const line of text.split('\n').filter(Boolean)) {
        const { execute, id } = JSON.parse(line) as { execute: string; id: unknown };
        const reply = execute === 'qmp_capabilities' ? JSON.stringify({ return: {}, id }) : answer(execute, id);
        if (reply !== undefined) socket.write(`${reply}\r\n`);
      }
    });
  });
  server.listen(path);
  await once(server, 'listening');
}

const connect = () => QmpClient.connect({ path, timeoutMs: 500 });

async function fails(promise: Promise<unknown>, kind: QmpError['kind']): Promise<QmpError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof QmpError, String(error));
  assert.equal(error.kind, kind);
  return error;
}

it('waits for a socket that is not there yet', async () => {
  const connecting = connect();
  await serve(() => undefined);
  const client = await connecting;
  assert.equal(client.version, '7.2.22');
  client.close();
});

it('matches answers by id, in any order, and hands out events', async () => {
  const kept: unknown[] = [];
  await serve((command, id) => {
    kept.push(id);
    if (command !== 'second') return undefined;
    return [
      JSON.stringify({ event: 'STOP', data: {} }),
      JSON.stringify({ return: 'two', id: kept[1] }),
      JSON.stringify({ return: 'none', id: 999 }),
      JSON.stringify({ error: { class: 'GenericError', desc: 'no' }, id: kept[0] }),
    ].join('\n');
  });
  const client = await connect();
  const events: string[] = [];
  client.onEvent(({ name, data }) => {
    assert.ok(isObject(data));
    events.push(name);
  });
  const first = fails(client.execute('first'), 'command');
  assert.equal(await client.execute('second'), 'two');
  assert.equal((await first).errorClass, 'GenericError');
  assert.deepEqual(events, ['STOP']);
  client.close();
});

it('tells silence, a lost connection, rubbish and a monitor that does not greet', async () => {
  await serve(() => undefined);
  const client = await connect();
  await fails(client.execute('x', undefined, { timeoutMs: 20 }), 'timeout');
  const waiting = fails(client.execute('y'), 'closed');
  let closed = 0;
  client.onClose(() => {
    closed += 1;
  });
  sockets[0]?.destroy();
  await waiting;
  assert.equal(closed, 1);
  await fails(client.execute('z'), 'closed');
  const second = await connect();
  const rubbish = fails(second.execute('y'), 'protocol');
  sockets[1]?.write('rubbish\n');
  await rubbish;
  server?.close();
  await serve(() => undefined, '');
  await fails(connect(), 'timeout');
});

it('waits for an answer as long as the connection lasts, where that is wanted', async (t) => {
  const asked: unknown[] = [];
  await serve((_command, id) => {
    asked.push(id);
    return undefined;
  });
  const client = await connect();
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const late = fails(client.execute('late'), 'timeout');
  const patient = client.execute('patient', undefined, { timeoutMs: Number.POSITIVE_INFINITY });
  t.mock.timers.tick(86_400_000);
  await late;
  t.mock.timers.reset();
  while (asked.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  sockets[0]?.write(`${JSON.stringify({ return: 'at last', id: asked[1] })}\r\n`);
  assert.equal(await patient, 'at last');
  client.close();
});

it('gives up when told to', async () => {
  const giveUp = new AbortController();
  const waiting = QmpClient.connect({ path, timeoutMs: 10_000, signal: giveUp.signal });
  setTimeout(() => giveUp.abort(), 20);
  await fails(waiting, 'closed');
});
