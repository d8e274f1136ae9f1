import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { VmdkError } from '../errors.ts';
import { collect } from '../testing.ts';
import { openNbdDisk } from './open-nbd-disk.ts';
import { scriptedServer } from './testing.ts';

const u16 = (value: number) => [value >> 8, value & 255];
const u32 = (value: number) => [...u16(value >>> 16), ...u16(value & 0xffff)];
const text = (words: string) => [...Buffer.from(words)];
const requestMagic = Buffer.from([0x25, 0x60, 0x95, 0x13]);
const greeting = [...text('NBDMAGICIHAVEOPT'), ...u16(3)];
const optionReply = (option: number, type: number, data: readonly number[] = []) => [
  ...[0x00, 0x03, 0xe8, 0x89, 0x04, 0x55, 0x65, 0xa9],
  ...[...u32(option), ...u32(type), ...u32(data.length), ...data],
];
/** What a good server of 1 MiB says before the first request: structured replies, `base:allocation` as 7. */
const negotiation = [
  ...greeting,
  ...optionReply(8, 1),
  ...optionReply(10, 4, [...u32(7), ...text('base:allocation')]),
  ...optionReply(10, 1),
  ...optionReply(7, 3, [...u16(0), ...u32(0), ...u32(2 ** 20), ...u16(1)]),
  ...optionReply(7, 1),
];
const chunk = (type: number, cookie: number, payload: readonly number[], flags = 1) => [
  ...[...u32(0x668e33ef), ...u16(flags), ...u16(type), ...u32(0), ...u32(cookie)],
  ...[...u32(payload.length), ...payload],
];
const at = (offset: number) => [...u32(0), ...u32(offset)];

/**
 * Opens a disk of a server that says `first` at once and `then` when it has got two requests, and ends. Reads 8 bytes
 * at 4096 (request 0) and the map (request 1).
 */
async function useServer(t: Parameters<typeof scriptedServer>[0], first: readonly number[], then?: readonly number[]) {
  const socketPath = await scriptedServer(t, (socket) => {
    let heard = Buffer.alloc(0);
    socket.write(Buffer.from(first));
    if (then === undefined) socket.end();
    // A client that was told of no contexts asks once only.
    socket.setTimeout(100, () => socket.end());
    socket.on('data', (bytes) => {
      heard = Buffer.concat([heard, bytes]);
      const requests = heard.indexOf(requestMagic);
      if (requests >= 0 && heard.length >= requests + 56) socket.end(Buffer.from(then ?? []));
    });
  });
  const disk = await openNbdDisk({ socketPath }, '', { handshakeSeconds: 0.2 });
  try {
    const [read, map] = await Promise.all([disk.read(4096, 8), collect(disk.map())]);
    return { read, map };
  } finally {
    await disk.close();
  }
}

const goodRead = [...chunk(1, 0, [...at(4100), ...text('next')], 0), ...chunk(1, 0, [...at(4096), ...text('this')])];
const goodMap = chunk(5, 1, [...u32(7), ...u32(65536), ...u32(0), ...u32(2 ** 20), ...u32(3)]);

test('takes chunks in any order, and states beyond the end', async (t) => {
  const { read, map } = await useServer(t, negotiation, [...goodRead, ...goodMap]);
  assert.equal(read.toString(), 'thisnext');
  assert.deepEqual(map, [
    { offset: 0, length: 65536, state: 'data' },
    { offset: 65536, length: 2 ** 20 - 65536, state: 'unallocated' },
  ]);
});

const badNegotiations: readonly (readonly [string, readonly number[], string])[] = [
  ['no NBD at all', text('SSH-2.0-OpenSSH_9.2p1 Debian'), 'nbd-protocol'],
  ['the old style', [...text('NBDMAGIC'), 0, 0, 0x42, 2, 0x81, 0x86, 0x12, 0x53, 0, 3], 'nbd-protocol'],
  ['an answer of 4 GB', [...greeting, ...optionReply(8, 1).slice(0, 16), ...u32(2 ** 32 - 1)], 'nbd-protocol'],
  ['an unknown export', [...greeting, ...optionReply(8, 0x80000001), ...optionReply(7, 0x80000006)], 'nbd-refused'],
  ['a demand of TLS', [...greeting, ...optionReply(8, 0x80000005)], 'nbd-refused'],
];

for (const [name, first, code] of badNegotiations) {
  test(`refuses ${name}`, async (t) => {
    await assert.rejects(useServer(t, first), { code });
  });
}

const badReplies: readonly (readonly [string, readonly number[], string])[] = [
  ['bytes before what was asked', chunk(1, 0, [...at(4095), ...text('thisnext')]), 'nbd-protocol'],
  ['bytes beyond what was asked', chunk(1, 0, [...at(4097), ...text('thisnext')]), 'nbd-protocol'],
  ['too few bytes', chunk(1, 0, [...at(4096), ...text('this')]), 'nbd-protocol'],
  ['a hole of 4 GB', chunk(2, 0, [...at(4096), ...u32(2 ** 32 - 1)]), 'nbd-protocol'],
  ['the same bytes twice', [...goodRead.slice(0, 32), ...goodRead], 'nbd-protocol'],
  ['a reply to nobody', chunk(0, 9, []), 'nbd-protocol'],
  ['a simple reply to a read', [...u32(0x67446698), ...u32(0), ...at(0), ...text('thisnext')], 'nbd-protocol'],
  ['an error', chunk(0x8001, 0, [...u32(5), ...u16(4), ...text('oops')]), 'io-failed'],
  ['an end within a reply', goodRead.slice(0, 25), 'nbd-closed'],
  [
    'an empty state',
    [...goodRead, ...goodMap.slice(0, -16), ...u32(0), ...u32(0), ...u32(5), ...u32(0)],
    'nbd-protocol',
  ],
];

for (const [name, replies, code] of badReplies) {
  test(`refuses ${name}`, async (t) => {
    await assert.rejects(useServer(t, negotiation, replies), { code });
  });
}

test('a server that says nothing is given up', async (t) => {
  const socketPath = await scriptedServer(t, (socket) => socket.resume());
  await assert.rejects(openNbdDisk({ socketPath }, '', { handshakeSeconds: 0.05 }), {
    code: 'nbd-unreachable',
    message: /no answer within 0\.05 seconds/,
  });
  const stop = new AbortController();
  const opening = openNbdDisk({ socketPath }, '', { signal: stop.signal });
  stop.abort(new Error('enough'));
  await assert.rejects(opening, /enough/);
});

test('whatever a server says ends in an answer or in an error of this package', async (t) => {
  const mutation = fc.record({ where: fc.nat(), bytes: fc.uint8Array({ minLength: 1, maxLength: 9 }) });
  const mutated = (bytes: readonly number[]) =>
    fc.array(mutation, { maxLength: 3 }).map((mutations) => {
      const changed = [...bytes];
      for (const { where, bytes: others } of mutations) changed.splice(where % bytes.length, others.length, ...others);
      return changed;
    });
  const replies = fc.oneof(mutated([...goodRead, ...goodMap]), fc.uint8Array({ maxLength: 200 }));
  await fc.assert(
    fc.asyncProperty(
      fc.oneof({ weight: 3, arbitrary: fc.constant(negotiation) }, mutated(negotiation)),
      replies,
      async (first, then) => {
        try {
          await useServer(t, first, [...then]);
        } catch (error) {
          assert.ok(error instanceof VmdkError, String(error));
        }
      },
    ),
    { numRuns: 100 },
  );
});
