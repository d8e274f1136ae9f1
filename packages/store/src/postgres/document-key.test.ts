import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { afterLastKey, encodeCollection, firstKey, joinKey, type SplitKey, splitKey } from './document-key.ts';

const compare = (left: SplitKey, right: SplitKey): number =>
  Buffer.compare(left.head, right.head) || Buffer.compare(left.tail, right.tail);

test('a key of any length is split and joined, and keeps its place', () => {
  const unit = fc.constantFrom('a', 'é', '\0', '\u{10000}', '\ue000', '\ud800', '\uffff');
  const key = fc
    .tuple(fc.constantFrom(0, 340, 341, 512, 1022, 1023, 1024), fc.string({ unit, maxLength: 4 }), unit)
    .map(([length, end, each]) => each.repeat(length) + end);
  fc.assert(
    fc.property(key, key, (left, right) => {
      assert.equal(joinKey(splitKey(left)), left);
      const order = left < right ? -1 : left > right ? 1 : 0;
      assert.equal(compare(splitKey(left), splitKey(right)), order);
      assert.ok(compare(firstKey, splitKey(left)) <= 0);
      assert.ok(compare(afterLastKey, splitKey(left)) > 0);
    }),
    { numRuns: 500 },
  );
});

test('long names of collections stay apart, and short enough for an index', () => {
  const names = ['x'.repeat(256), 'x'.repeat(257), 'x'.repeat(258), `${'x'.repeat(300)}y`];
  const encoded = names.map((name) => Buffer.from(encodeCollection(name)).toString('hex'));
  assert.equal(new Set(encoded).size, names.length);
  for (const each of encoded) assert.ok(each.length <= 512);
});
