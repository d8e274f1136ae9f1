import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createSocketServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pino } from 'pino';
import WebSocket, { WebSocketServer } from 'ws';
import { bridgeConsole, connectToEngine } from './console-bridge.ts';
import { ConsoleFace } from './console-face.ts';

/** A console behind a ticket, with an engine that is a socket of this test. */
async function withConsole(run: (console: { url: string; engine: Promise<Socket> }) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'hypostyle-console-'));
  const socketPath = join(folder, 'serial');
  const engine = Promise.withResolvers<Socket>();
  const engines = createSocketServer((socket) => engine.resolve(socket)).listen(socketPath);
  await once(engines, 'listening');
  let tickets = 1;
  const face = new ConsoleFace({
    redeem: (ticket) => {
      if (ticket !== '0123456789abcdef' || tickets === 0) return undefined;
      tickets -= 1;
      return { kind: 'serial', socketPath, machineName: 'web' };
    },
    logger: pino({ level: 'silent' }),
  });
  const server = createServer().on('upgrade', (incoming, socket, head) => face.handleUpgrade(incoming, socket, head));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    await run({ url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`, engine: engine.promise });
  } finally {
    face.close();
    server.closeAllConnections();
    server.close();
    engines.close();
    await rm(folder, { recursive: true });
  }
}

test('bytes go both ways behind a ticket that is good once', async () => {
  await withConsole(async ({ url, engine }) => {
    const viewer = new WebSocket(`${url}/ticket/0123456789abcdef`, 'binary');
    await once(viewer, 'open');
    assert.equal(viewer.protocol, 'binary');
    const socket = await engine;
    socket.write(Buffer.from([0, 1, 255]));
    const [message] = (await once(viewer, 'message')) as [Buffer];
    assert.deepEqual(message, Buffer.from([0, 1, 255]));
    viewer.send('ls\r');
    const [typed] = (await once(socket, 'data')) as [Buffer];
    assert.equal(typed.toString(), 'ls\r');
    socket.end();
    await once(viewer, 'close');
    const again = new WebSocket(`${url}/ticket/0123456789abcdef`, 'binary');
    const [error] = (await once(again, 'error')) as [Error];
    assert.match(error.message, /403/);
  });
});

test('an unknown ticket opens nothing', async () => {
  await withConsole(async ({ url }) => {
    for (const [path, status] of [
      ['/ticket/ffffffffffffffff', /403/],
      ['/ticket/../x', /404/],
      ['/elsewhere', /404/],
    ] as const) {
      const viewer = new WebSocket(`${url}${path}`, 'binary');
      const [error] = (await once(viewer, 'error')) as [Error];
      assert.match(error.message, status);
    }
  });
});

test('a viewer that does not read is dropped, and what waits for it stays bounded', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hypostyle-console-'));
  const socketPath = join(folder, 'vnc');
  const engines = createSocketServer((socket) => {
    const chunk = Buffer.alloc(64 * 1024);
    const pour = () => {
      while (socket.writable && socket.write(chunk));
    };
    socket.on('drain', pour).on('error', () => {});
    pour();
  }).listen(socketPath);
  const viewers = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await Promise.all([once(engines, 'listening'), once(viewers, 'listening')]);
  try {
    const served = once(viewers, 'connection') as Promise<[WebSocket]>;
    const viewer = new WebSocket(`ws://127.0.0.1:${(viewers.address() as AddressInfo).port}`);
    viewer.on('error', () => {});
    await once(viewer, 'open');
    viewer.pause();
    const [face] = await served;
    const bridged = bridgeConsole(await connectToEngine(socketPath), face, { highWater: 256 * 1024, patience: 300 });
    let most = 0;
    const look = setInterval(() => {
      most = Math.max(most, face.bufferedAmount);
    }, 5);
    await bridged;
    clearInterval(look);
    assert.ok(most > 0 && most < 1 << 20, `${most} bytes waited`);
    viewer.terminate();
  } finally {
    viewers.close();
    engines.close();
    await rm(folder, { recursive: true });
  }
});
