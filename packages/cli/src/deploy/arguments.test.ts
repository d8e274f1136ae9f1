import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseForward, parseProperty } from './arguments.ts';

test('a forward is two ports, with an address and a protocol where told', () => {
  assert.equal(parseForward('8080:80'), 'tcp:127.0.0.1:8080:80');
  assert.equal(parseForward('0.0.0.0:8080:80'), 'tcp:0.0.0.0:8080:80');
  assert.equal(parseForward('udp:5353:53'), 'udp:127.0.0.1:5353:53');
  for (const text of ['', '80', '0:80', '80:65536', '1.2.3:80:80', '256.0.0.1:80:80', '80:80:80:80', 'tcp:80']) {
    assert.equal(parseForward(text), undefined, text);
  }
});

test('a property keeps whatever its value holds', () => {
  assert.deepEqual(parseProperty('url=http://a/?b=c'), { key: 'url', value: 'http://a/?b=c' });
  assert.deepEqual(parseProperty('empty='), { key: 'empty', value: '' });
  for (const text of ['', 'key', '=value']) assert.equal(parseProperty(text), undefined);
});

test('no text is taken for a forward that the machine could not have', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[0-9:.tcpud]{0,24}$/), (text) => {
      const forward = parseForward(text);
      if (forward !== undefined) assert.match(forward, /^(tcp|udp):\d+\.\d+\.\d+\.\d+:\d{1,5}:\d{1,5}$/);
    }),
  );
});
