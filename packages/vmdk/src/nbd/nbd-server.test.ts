import assert from 'node:assert/strict';
import { readdir, rename, stat, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { openDisk } from '../disk/open-disk.ts';
import { VmdkError } from '../errors.ts';
import { createSparseDisk } from '../sparse/create-sparse.ts';
import { collect, temporaryFolder } from '../testing.ts';
import { changeMapOf } from './change-map.ts';
import type { NbdExport } from './nbd-export.ts';
import { NbdServer, type NbdServerOptions } from './nbd-server.ts';
import { listNbdExports, openNbdDisk } from './open-nbd-disk.ts';

const virtualBytes = 4 * 2 ** 20 + 512;

/** A server with a writable sparse disk of 4 MiB and a sector as `disk`, and a read-only view of it as `view`. */
async function serve(t: TestContext, options: Partial<NbdServerOptions> = {}) {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'disk.vmdk');
  await createSparseDisk({ path, virtualBytes });
  const disk = await openDisk(path, { writable: true });
  const changed = [
    { offset: 65536, length: 65536 },
    { offset: 2 ** 20, length: 512 },
  ];
  const exported: NbdExport = {
    disk,
    writable: true,
    description: 'a disk of a test',
    changeMaps: [changeMapOf('since', virtualBytes, changed)],
  };
  const exports = new Map([
    ['disk', exported],
    ['view', { disk }],
  ]);
  const failures: unknown[] = [];
  const server = new NbdServer({
    exports: { find: (name) => exports.get(name), list: () => ['disk', 'view'] },
    onFailure: (error) => failures.push(error),
    ...options,
  });
  const socketPath = join(folder, 'nbd');
  await server.listenUnix(socketPath);
  t.after(async () => {
    await server.close();
    await disk.close();
  });
  return { server, socketPath, disk, exported, failures };
}

test('shows its exports, with sizes, states and changes', async (t) => {
  const { socketPath, disk } = await serve(t);
  assert.deepEqual(await listNbdExports({ socketPath }), ['disk', 'view']);
  await disk.write(2 ** 20, Buffer.alloc(65536, 1));
  const client = await openNbdDisk({ socketPath }, 'disk', { changeMaps: ['since'] });
  assert.equal(client.virtualBytes, virtualBytes);
  assert.equal(client.description, 'a disk of a test');
  assert.equal(client.blockBytes, 65536);
  assert.deepEqual(await collect(client.map()), await collect(disk.map()));
  assert.deepEqual(
    (await collect(client.changes('since'))).map(({ offset, changed }) => [offset, changed]),
    [
      [0, false],
      [65536, true],
      [131072, false],
      [2 ** 20, true],
      [2 ** 20 + 512, false],
    ],
  );
  await client.close();
  await assert.rejects(openNbdDisk({ socketPath }, 'other'), { code: 'nbd-refused', message: /no such export/ });
  await assert.rejects(openNbdDisk({ socketPath }, 'view', { writable: true }), { code: 'read-only' });
});

test('random writes, trims and reads of two clients equal a model', async (t) => {
  const { socketPath } = await serve(t);
  const clients = [
    await openNbdDisk({ socketPath }, 'disk', { writable: true }),
    await openNbdDisk({ socketPath }, 'disk', { writable: true }),
  ] as const;
  const model = Buffer.alloc(virtualBytes);
  const step = fc.record({
    kind: fc.constantFrom('write', 'trim', 'read', 'map'),
    client: fc.nat(1),
    offset: fc.nat(virtualBytes - 1),
    length: fc.nat(2 ** 21),
    byte: fc.integer({ min: 1, max: 255 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
      for (const { kind, client, offset, length, byte } of steps) {
        const disk = clients[client as 0 | 1];
        const reach = Math.min(length, virtualBytes - offset);
        if (kind === 'write') {
          model.fill(byte, offset, offset + reach);
          await disk.write(offset, Buffer.alloc(reach, byte));
        } else if (kind === 'trim') {
          model.fill(0, offset, offset + reach);
          await disk.trim(offset, reach);
        } else if (kind === 'read') {
          assert.ok(model.subarray(offset, offset + reach).equals(await disk.read(offset, reach)));
        } else {
          for await (const range of disk.map({ offset, length: reach })) {
            const isZero = range.state !== 'data';
            if (isZero) assert.ok(model.subarray(range.offset, range.offset + range.length).every((one) => one === 0));
          }
        }
      }
      assert.ok(model.equals(await clients[0].read(0, virtualBytes)));
    }),
    { numRuns: 15 },
  );
  for (const client of clients) await client.close();
});

test('many requests at once are all answered', async (t) => {
  const { socketPath } = await serve(t);
  const client = await openNbdDisk({ socketPath }, 'disk', { writable: true });
  const places = Array.from({ length: 200 }, (_, index) => index * 20_000);
  await Promise.all(places.map((at, index) => client.write(at, Buffer.alloc(9000, index + 1))));
  const found = await Promise.all(places.map((at) => client.read(at, 9000)));
  for (const [index, bytes] of found.entries()) assert.ok(bytes.every((byte) => byte === (index + 1) % 256));
  await client.close();
});

test('a socket of its owner alone; one left over is replaced, a used one is not', async (t) => {
  const { socketPath, server } = await serve(t);
  assert.equal((await stat(socketPath)).mode & 0o777, 0o600);
  const other = new NbdServer({ exports: { find: () => undefined } });
  await assert.rejects(other.listenUnix(socketPath), { code: 'exists' });
  await server.close();
  await assert.rejects(stat(socketPath), { code: 'ENOENT' });
  await writeFile(socketPath, '');
  await assert.rejects(other.listenUnix(socketPath), { code: 'exists' });
  await other.close();
});

test('a socket that a killed server left is replaced', async (t) => {
  const { exported } = await serve(t);
  const socketPath = join(await temporaryFolder(t), 'nbd');
  const killed = createServer();
  await new Promise<void>((resolve) => killed.listen(`${socketPath}.first`, resolve));
  await rename(`${socketPath}.first`, socketPath);
  await new Promise((resolve) => killed.close(resolve));
  const server = new NbdServer({ exports: { find: () => exported } });
  await server.listenUnix(socketPath);
  assert.deepEqual(await readdir(dirname(socketPath)), ['nbd']);
  const client = await openNbdDisk({ socketPath }, '');
  await client.close();
  await server.close();
  assert.deepEqual(await readdir(dirname(socketPath)), []);
});

test('plain TCP is for loopback addresses only', async (t) => {
  const { exported } = await serve(t);
  const server = new NbdServer({ exports: { find: () => exported } });
  t.after(() => server.close());
  await assert.rejects(server.listenTcp('0.0.0.0', 0), { code: 'nbd-plain' });
  const port = await server.listenTcp('127.0.0.1', 0);
  const client = await openNbdDisk({ host: '127.0.0.1', port }, '');
  assert.equal(client.virtualBytes, virtualBytes);
  await client.close();
  await assert.rejects(server.listenTcp('127.0.0.1', port), { code: 'nbd-listen' });
});

test('an export that ends takes its clients along, and leaves the others', async (t) => {
  const { server, socketPath, exported } = await serve(t);
  const writer = await openNbdDisk({ socketPath }, 'disk');
  const viewer = await openNbdDisk({ socketPath }, 'view');
  await writer.read(0, 1);
  assert.equal(server.connections(exported), 1);
  await server.end(exported);
  assert.equal(server.connections(), 1);
  await assert.rejects(writer.read(0, 1), { code: 'nbd-closed' });
  assert.equal((await viewer.read(0, 1)).length, 1);
  await writer.close();
  await viewer.close();
});

test('clients over the limit are turned away, and those that choose nothing in time', async (t) => {
  const { socketPath, failures } = await serve(t, { maximumConnections: 1, handshakeSeconds: 0.1 });
  const idle = connect(socketPath);
  await new Promise((resolve) => idle.once('data', resolve));
  await assert.rejects(openNbdDisk({ socketPath }, 'view'), { code: 'nbd-closed' });
  await new Promise((resolve) => idle.once('close', resolve));
  while (failures.length === 0) await setImmediate();
  assert.match(String(failures[0]), /did not choose an export in time/);
  const client = await openNbdDisk({ socketPath }, 'view');
  await client.close();
});

test('a client that takes no answers holds up nobody else, and little memory', async (t) => {
  const { socketPath, disk } = await serve(t);
  await disk.write(0, Buffer.alloc(4 * 2 ** 20, 7));
  const slow = connect(socketPath);
  t.after(() => slow.destroy());
  const read = Buffer.alloc(28);
  read.writeUInt32BE(0x25609513);
  read.writeUInt32BE(4 * 2 ** 20, 24);
  slow.write(Buffer.concat([clientFlags, option(1, 'view'), ...Array.from({ length: 500 }, () => read)]));
  slow.pause();
  const before = process.memoryUsage().arrayBuffers;
  const quick = await openNbdDisk({ socketPath }, 'view');
  for (let turn = 0; turn < 20; turn += 1) assert.equal((await quick.read(turn * 1000, 2 ** 20))[0], 7);
  assert.ok(process.memoryUsage().arrayBuffers - before < 64 * 2 ** 20);
  await quick.close();
});

const clientFlags = Buffer.from([0, 0, 0, 3]);

function option(number: number, data: string | Buffer): Buffer {
  const header = Buffer.alloc(16);
  header.write('IHAVEOPT');
  header.writeUInt32BE(number, 8);
  header.writeUInt32BE(Buffer.byteLength(data), 12);
  return Buffer.concat([header, Buffer.from(data)]);
}

function counted(text: string): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(Buffer.byteLength(text));
  return Buffer.concat([length, Buffer.from(text)]);
}

/** Sends bytes and gives what came until the server ended or nothing more came for a moment. */
async function exchange(socketPath: string, bytes: Uint8Array): Promise<Buffer> {
  const socket = connect(socketPath);
  const parts: Buffer[] = [];
  socket.on('data', (part) => parts.push(part));
  socket.on('error', () => undefined);
  socket.end(bytes);
  await new Promise((resolve) => socket.once('close', resolve));
  return Buffer.concat(parts);
}

test('what a client sends at random, or malformed, ends in answers or in the end of its connection', async (t) => {
  const { socketPath, failures, server } = await serve(t, { handshakeSeconds: 1 });
  const request = fc
    .record({
      flags: fc.constantFrom(0, 0, 0, 1, 4, 8, 255),
      command: fc.constantFrom(0, 0, 1, 3, 4, 6, 7, 7, 9),
      offset: fc.constantFrom(0n, 512n, BigInt(virtualBytes) - 1n, 2n ** 63n),
      length: fc.constantFrom(0, 1, 512, 100_000, virtualBytes, 2 ** 25, 2 ** 32 - 1),
    })
    .map(({ flags, command, offset, length }) => {
      const header = Buffer.alloc(28);
      header.writeUInt32BE(0x25609513);
      header.writeUInt16BE(flags, 4);
      header.writeUInt16BE(command, 6);
      header.writeBigUInt64BE(offset, 16);
      header.writeUInt32BE(length, 24);
      return command === 1 ? Buffer.concat([header, Buffer.alloc(Math.min(length, 2 ** 20), 3)]) : header;
    });
  const contexts = Buffer.concat([counted('disk'), Buffer.from([0, 0, 0, 1]), counted('base:allocation')]);
  const go = Buffer.concat([counted('disk'), Buffer.from([0, 1, 0, 3])]);
  const anyOption = fc.oneof(
    fc.constantFrom(
      option(8, ''),
      option(10, contexts),
      option(9, contexts),
      option(3, ''),
      option(6, go),
      option(5, ''),
    ),
    fc.tuple(fc.nat(12), fc.uint8Array({ maxLength: 40 })).map(([number, data]) => option(number, Buffer.from(data))),
  );
  const conversation = fc
    .tuple(
      fc.array(anyOption, { maxLength: 4 }),
      fc.constantFrom(option(7, go), option(1, 'disk')),
      fc.array(request, { maxLength: 6 }),
    )
    .map(([options, chosen, requests]) => Buffer.concat([clientFlags, ...options, chosen, ...requests]));
  const mutated = fc
    .tuple(conversation, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }))
    .map(([bytes, changes]) => {
      for (const [at, value] of changes) bytes[at % bytes.length] = value;
      return bytes;
    });
  await fc.assert(
    fc.asyncProperty(fc.oneof({ weight: 5, arbitrary: mutated }, fc.uint8Array({ maxLength: 300 })), async (bytes) => {
      await exchange(socketPath, bytes);
    }),
    { numRuns: 150 },
  );
  assert.equal(server.connections(), 0);
  for (const failure of failures) assert.ok(failure instanceof VmdkError, String(failure));
  const client = await openNbdDisk({ socketPath }, 'view');
  await client.close();
});

test('an old client is served: a name, simple replies, errors by number', async (t) => {
  const { socketPath, disk } = await serve(t);
  await disk.write(0, Buffer.from('first'));
  const requests = [
    [0, 0n, 5],
    [1, 0n, 5],
    [9, 0n, 5],
  ].map(([command, offset, length]) => {
    const header = Buffer.alloc(28);
    header.writeUInt32BE(0x25609513);
    header.writeUInt16BE(Number(command), 6);
    header.writeBigUInt64BE(BigInt(offset as bigint), 16);
    header.writeUInt32BE(Number(length), 24);
    return Number(command) === 1 ? Buffer.concat([header, Buffer.from('other')]) : header;
  });
  const answer = await exchange(socketPath, Buffer.concat([clientFlags, option(1, 'view'), ...requests]));
  assert.equal(answer.readBigUInt64BE(18), BigInt(virtualBytes));
  const replies = answer.subarray(28).toString('latin1');
  assert.ok(replies.includes('first'));
  // EPERM for the write, EINVAL for what is no command; in any order.
  const simple = (errno: number) => Buffer.from([0x67, 0x44, 0x66, 0x98, 0, 0, 0, errno]).toString('latin1');
  assert.ok(replies.includes(simple(1)) && replies.includes(simple(22)));
});
