import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import fc from 'fast-check';
import { GuestAgentError, withGuestAgent } from './guest-agent.ts';
import { askGuestFacts, parseGuestFacts } from './guest-facts.ts';

/** An agent that first says what an earlier session left, then answers. */
async function withAgent<T>(answers: Record<string, unknown>, use: (path: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'agent-'));
  const path = join(folder, 's');
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    socket.write('{"return": "of an earlier session"}\n{"half of');
    socket.setEncoding('latin1').on('data', (text: string) => {
      for (const line of text.replaceAll('\xff', '').split('\n').filter(Boolean)) {
        const { execute, arguments: args } = JSON.parse(line) as { execute: string; arguments?: { id: number } };
        if (execute === 'guest-sync-delimited') {
          socket.write(Buffer.concat([Buffer.from([0xff]), Buffer.from(`{"return":${args?.id}}\n`)]));
        } else if (execute in answers) socket.write(`${JSON.stringify({ return: answers[execute] })}\n`);
        else socket.write('{"error":{"class":"CommandNotFound","desc":"not here"}}\n');
      }
    });
  });
  server.listen(path);
  await once(server, 'listening');
  try {
    return await use(path);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
    await rm(folder, { recursive: true });
  }
}

it('asks an agent after the rests of an earlier session, and leaves out what it does not know', async () => {
  const info = { version: '7.2.22' };
  const os = { id: 'debian', 'pretty-name': 'Debian\n12' };
  const facts = await withAgent({ 'guest-info': info, 'guest-get-osinfo': os }, (path) =>
    withGuestAgent(path, askGuestFacts),
  );
  assert.deepEqual(facts, { agentVersion: '7.2.22', osId: 'debian', osPrettyName: 'Debian 12', interfaces: [] });
});

it('says so when there is no agent', async () => {
  await assert.rejects(withGuestAgent('/nowhere/at/all', askGuestFacts), GuestAgentError);
  await assert.rejects(
    withAgent({}, (path) => withGuestAgent(path, askGuestFacts)),
    GuestAgentError,
  );
});

it('tells file systems, name servers and routes', () => {
  const mounts = [
    { mountpoint: '/', type: 'ext4', 'total-bytes': 1000, 'used-bytes': 400, disk: [] },
    { mountpoint: '/boot', type: 'vfat', 'total-bytes': -1 },
    { mountpoint: 7, type: 'ext4' },
  ];
  const { fileSystems, resolver, routes } = parseGuestFacts({
    info: {},
    os: {},
    host: {},
    interfaces: [],
    fileSystems: mounts,
    resolver: '# of dhcp\nsearch lab.example old.example\nnameserver 10.0.2.3\nnameserver nonsense\n',
    routes:
      'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\n' +
      'eth0\t00000000\t0202000A\t0003\t0\t0\t0\t00000000\t0\neth0\t0002000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\nx\ty\n',
  });
  assert.deepEqual(fileSystems, [
    { mountPoint: '/', type: 'ext4', totalBytes: 1000, usedBytes: 400 },
    { mountPoint: '/boot', type: 'vfat' },
  ]);
  assert.deepEqual(resolver, { servers: ['10.0.2.3'], searchDomains: ['lab.example', 'old.example'] });
  assert.deepEqual(routes, [
    { network: '0.0.0.0', prefixLength: 0, device: 'eth0', gateway: '10.0.2.2' },
    { network: '10.0.2.0', prefixLength: 24, device: 'eth0' },
  ]);
  fc.assert(
    fc.property(fc.string(), fc.jsonValue(), (text, value) => {
      parseGuestFacts({
        info: 1,
        os: 1,
        host: 1,
        interfaces: [],
        fileSystems: [value],
        resolver: text,
        routes: `Iface\n${text}`,
      });
    }),
  );
});

it('takes from a guest nothing that is not checked', () => {
  const address = { 'ip-address': '10.0.2.15', prefix: 24, 'ip-address-type': 'ipv4' };
  const bad = { 'ip-address': '10.0.2.15', prefix: 99 };
  const interfaces = [
    { name: 'eth0', 'hardware-address': '52:54:00:AA:BB:CC', 'ip-addresses': [address, bad, { 'ip-address': 'x' }] },
    { 'ip-addresses': [address] },
  ];
  assert.deepEqual(parseGuestFacts({ info: {}, os: null, host: { 'host-name': '\u0007' }, interfaces }), {
    agentVersion: 'unknown',
    interfaces: [
      {
        name: 'eth0',
        mac: '52:54:00:aa:bb:cc',
        addresses: [{ address: '10.0.2.15', prefixLength: 24, family: 'ipv4' }],
      },
    ],
  });
  const many = Array.from({ length: 1000 }, (_, index) => ({ name: `e${index}` }));
  assert.equal(parseGuestFacts({ info: 1, os: 1, host: 1, interfaces: many }).interfaces.length, 64);
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), fc.jsonValue(), (info, host, value) => {
      parseGuestFacts({ info, os: info, host, interfaces: [value, { name: 'x', 'ip-addresses': [value] }] });
    }),
  );
});
