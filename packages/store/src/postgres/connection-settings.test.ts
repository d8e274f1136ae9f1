import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { StoreError } from '../errors.ts';
import { connectionSettings } from './connection-settings.ts';

test('a URL names everything that a connection needs', () => {
  const { host, port, database, user, password, tls, address } = connectionSettings(
    'postgresql://al%40ice:p%3Aw@db.example:6432/my%20data?connect_timeout=3',
  );
  assert.deepEqual([host, port, database, user, password], ['db.example', 6432, 'my data', 'al@ice', 'p:w']);
  assert.equal(tls, true, 'another machine is asked by TLS');
  assert.equal(address, 'postgres://al@ice@db.example:6432/my data');
});

test('a socket needs no TLS, wherever the URL names it', () => {
  for (const url of ['postgres://u@%2Frun%2Fpg/d', 'postgres:///d?host=/run/pg&user=u']) {
    const { host, port, database, user, tls } = connectionSettings(url);
    assert.deepEqual([host, port, database, user, tls], ['/run/pg', 5432, 'd', 'u', false]);
  }
  assert.equal(connectionSettings('postgres://u@[::1]/d').host, '::1');
  assert.equal(connectionSettings('postgres://u@[::1]/d').tls, false);
});

test('sslmode says what of the server is checked', () => {
  const tls = (mode: string) => connectionSettings(`postgres://u@localhost/d?sslmode=${mode}`).tls;
  assert.equal(tls('disable'), false);
  assert.deepEqual(tls('verify-full'), {});
  assert.deepEqual(tls('require'), { rejectUnauthorized: false });
  for (const mode of ['prefer', 'allow', 'none', '']) assert.throws(() => tls(mode), StoreError);
});

test('whatever cannot be read is refused, without the password', () => {
  const bad = [
    ...['', 'hunter2', 'mysql://u:hunter2@h/d', 'postgres://u:hunter2@h:99999999/d', 'postgres://u:hunter2@h/d%'],
    ...['postgres://u:hunter2@h/d?color=hunter2&hunter=1', 'postgres://u:hunter2@h/d?port=x'],
    ...['postgres://u:hunter2@h/d?sslrootcert=/not/there', 'postgres://u:hunter2@h/d?connect_timeout=-1'],
  ];
  for (const url of bad) {
    assert.throws(
      () => connectionSettings(url),
      (error: unknown) => error instanceof StoreError && error.code === 'invalid' && !String(error).includes('hunter2'),
      url,
    );
  }
});

test('no text makes it fail in another way', () => {
  const part = fc.oneof(fc.string(), fc.constantFrom('%', '@', ':', '/', '?', '[', 'sslmode=', 'host=', '&', '\0'));
  fc.assert(
    fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
      try {
        connectionSettings(`postgres://${parts.join('')}`);
      } catch (error) {
        assert.ok(error instanceof StoreError, String(error));
      }
    }),
    { numRuns: 1000 },
  );
});
