import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ServerError } from '../errors.ts';
import { formatAddress, parseListenAddress } from './listen-address.ts';
import { isBelow } from './request-router.ts';

test('a listen address is a host and a port, either spelling', () => {
  assert.deepEqual(parseListenAddress('0.0.0.0:443'), { host: '0.0.0.0', port: 443 });
  assert.deepEqual(parseListenAddress('[::1]:8443'), { host: '::1', port: 8443 });
  assert.deepEqual(parseListenAddress(':8443'), { host: '127.0.0.1', port: 8443 });
  assert.deepEqual(parseListenAddress('8443'), { host: '127.0.0.1', port: 8443 });
  assert.deepEqual(parseListenAddress('host.example:0'), { host: 'host.example', port: 0 });
  for (const text of ['', 'host', 'host:', 'host:65536', '::1:8443', 'a b:1', '[x]:1']) {
    assert.throws(() => parseListenAddress(text), { code: 'address-invalid' }, text);
  }
});

test('any text is an address or a typed refusal', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        const { host, port } = parseListenAddress(text);
        assert.deepEqual(parseListenAddress(formatAddress(host, port)), { host, port });
      } catch (error) {
        assert.ok(error instanceof ServerError);
      }
    }),
  );
});

test('a path is below a prefix at its own name only', () => {
  for (const url of ['/sdk', '/sdk/', '/sdk?x', '/sdk/vimService']) assert.ok(isBelow(url, '/sdk'), url);
  for (const url of ['/', '/sd', '/sdkx', '/x/sdk']) assert.ok(!isBelow(url, '/sdk'), url);
});
