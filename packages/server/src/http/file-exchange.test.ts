import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener, request } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { exchangeFile } from './file-exchange.ts';
import { StallWatch } from './stall-watch.ts';

async function withServer(listener: RequestListener, run: (port: number) => Promise<void>): Promise<void> {
  const server = createServer({ requestTimeout: 0 }, listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    await run((server.address() as AddressInfo).port);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test('a sender sees why its body is refused before it has sent it', async () => {
  const refuse = async () => ({ status: 403, headers: { 'content-length': '3' }, body: Buffer.from('no\n') });
  await withServer(
    (incoming, outgoing) => void exchangeFile(incoming, outgoing, refuse),
    async (port) => {
      // A client that sends everything before it looks for an answer.
      const client = connect(port, '127.0.0.1').pause();
      const body = Buffer.alloc(16 << 20);
      client.write(`PUT /a HTTP/1.1\r\nhost: a\r\ncontent-length: ${body.length}\r\n\r\n`);
      await sleep(50);
      await new Promise<void>((resolve, reject) => client.write(body, (error) => (error ? reject(error) : resolve())));
      const answer = Buffer.concat((await client.toArray()) as Buffer[]).toString();
      assert.match(answer, /^HTTP\/1.1 403/);
      assert.match(answer, /x-content-type-options: nosniff/);
      assert.match(answer, /no\n$/);
    },
  );
});

test('a download ends its source when the client goes away', async () => {
  const ended = Promise.withResolvers<void>();
  async function* endless() {
    try {
      for (;;) {
        yield Buffer.alloc(64 * 1024);
        await sleep(1);
      }
    } finally {
      ended.resolve();
    }
  }
  await withServer(
    (incoming, outgoing) => {
      exchangeFile(incoming, outgoing, async () => ({ status: 200, headers: {}, body: endless() })).catch(() => {});
    },
    async (port) => {
      const outgoing = request({ port, host: '127.0.0.1' }).end();
      const [response] = (await once(outgoing, 'response')) as [import('node:http').IncomingMessage];
      await once(response, 'data');
      response.destroy();
      await ended.promise;
    },
  );
});

test('a body that stands still ends its connection, one that waits for its answer does not', async () => {
  const stalls = new StallWatch({ interval: 20, timeout: 100 });
  try {
    await withServer(
      (incoming, outgoing) => {
        stalls.begin(incoming, outgoing);
        incoming.resume().on('end', () => setTimeout(() => outgoing.end('late'), 400));
        incoming.on('error', () => {});
      },
      async (port) => {
        const stalled = connect(port, '127.0.0.1');
        stalled.on('error', () => {});
        stalled.write('PUT /a HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\npart');
        const patient = connect(port, '127.0.0.1');
        patient.write('PUT /a HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\nconnection: close\r\n\r\nbody');
        const answer = patient.toArray();
        await new Promise((resolve) => stalled.once('close', resolve));
        assert.match(Buffer.concat((await answer) as Buffer[]).toString(), /late/);
      },
    );
  } finally {
    stalls.close();
  }
});

test('a body that trickles has so long to be whole where that is told', async () => {
  const stalls = new StallWatch({ interval: 20, timeout: 10_000 });
  try {
    await withServer(
      (incoming, outgoing) => {
        stalls.begin(incoming, outgoing, 150);
        incoming.resume().on('error', () => {});
      },
      async (port) => {
        const trickling = connect(port, '127.0.0.1');
        trickling.on('error', () => {});
        trickling.write('PUT /a HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n');
        const drops = setInterval(() => trickling.write('x'), 10);
        // How it ends is all one: a drop on its way makes the end a reset.
        trickling.on('error', () => {});
        await new Promise((resolve) => trickling.once('close', resolve));
        clearInterval(drops);
      },
    );
  } finally {
    stalls.close();
  }
});
