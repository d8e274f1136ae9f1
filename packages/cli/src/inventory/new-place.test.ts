import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeName, encodeName } from './inventory.ts';
import { parseNewPlace } from './new-place.ts';

test('a path says where something new goes and what it is called', () => {
  const parts = (text: string) => Object.values(parseNewPlace(text)).slice(0, 2);
  assert.deepEqual(parts('web'), [undefined, 'web']);
  assert.deepEqual(parts('/Berlin'), ['/', 'Berlin']);
  assert.deepEqual(parts('/Berlin/vm/web/'), ['/Berlin/vm', 'web']);
  assert.deepEqual(parts('vm/a%2fb'), ['vm', 'a/b']);
  for (const text of ['', '/', '//']) assert.throws(() => parseNewPlace(text), { kind: 'usage' });
});

test('every name goes to the server and back', () => {
  fc.assert(
    fc.property(fc.string(), (name) => {
      const encoded = encodeName(name);
      assert.equal(decodeName(encoded), name);
      assert.ok(!/[/\\]/.test(encoded));
    }),
  );
});
