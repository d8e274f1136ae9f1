import assert from 'node:assert/strict';
import { test } from 'node:test';
import { data } from '@hypostyle/vim';
import { collect, faultOf } from '../testing/datastore-fixture.ts';
import { webServer } from '../testing/web-server.ts';
import { farLookup, isNearby, NearbyAddress } from './far-lookup.ts';
import { openWeb } from './web-request.ts';

test('addresses of the computer itself and of its link are known, however they are written', () => {
  for (const address of [
    ...['127.0.0.1', '127.255.255.254', '0.0.0.0', '169.254.169.254', '224.0.0.1', '255.255.255.255'],
    ...['::1', '::', 'fe80::1', 'fe80::1%eth0', 'febf::1', 'ff02::1'],
    ...['::ffff:127.0.0.1', '::ffff:7f00:1', '::127.0.0.1', '64:ff9b::7f00:1', '64:ff9b::169.254.169.254'],
    ...['2002:7f00:1::', '2002:a9fe:a9fe::1', '0:0:0:0:0:ffff:a9fe:a9fe'],
  ])
    assert.ok(isNearby(address), address);
  for (const address of [
    ...['10.0.0.1', '192.168.1.1', '172.16.0.1', '8.8.8.8', '128.0.0.1', '169.253.0.1'],
    ...['fd00::1', '2001:db8::1', 'fec0::1', '::ffff:10.0.0.1', '64:ff9b::a00:1', '2002:a00:1::'],
    ...['localhost', '', '127.0.0.1.example.org'],
  ])
    assert.ok(!isNearby(address), address);
});

test('a name that leads to them is not connected to', async () => {
  for (const all of [true, false]) {
    const error = await new Promise((resolve) => farLookup('localhost', { all }, resolve));
    assert.ok(error instanceof NearbyAddress, `${error}`);
  }
});

test('nothing near is asked, neither by its address nor by a name or a server that leads there', async (t) => {
  const seen: string[] = [];
  const { url } = await webServer(t, (request, answer) => {
    seen.push(request.url ?? '');
    answer.end('secret');
  });
  const { port } = new URL(url);
  const ask = (text: string) =>
    openWeb(data('HttpNfcLeaseSourceFile', { targetDeviceId: 'disk', url: text, create: false }), {
      signal: new AbortController().signal,
    });
  for (const host of [
    '127.0.0.1',
    'localhost',
    '127.1',
    '2130706433',
    '0x7f.1',
    '[::1]',
    '[::ffff:127.0.0.1]',
    '0.0.0.0',
  ])
    for (const scheme of ['http', 'https'])
      await assert.rejects(ask(`${scheme}://${host}:${port}/x`), faultOf('HttpFault'), host);
  assert.deepEqual(seen, []);
  const allowed = await openWeb(
    data('HttpNfcLeaseSourceFile', { targetDeviceId: 'disk', url: `${url}/x`, create: false }),
    { signal: new AbortController().signal, nearby: true },
  );
  assert.equal((await collect(allowed.body)).toString(), 'secret');
});
