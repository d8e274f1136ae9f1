import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseRange } from './byte-range.ts';

test('reads ranges as RFC 9110 says', () => {
  assert.deepEqual(parseRange('bytes=0-0', 10), { first: 0, last: 0 });
  assert.deepEqual(parseRange('bytes=3-', 10), { first: 3, last: 9 });
  assert.deepEqual(parseRange('bytes=-4', 10), { first: 6, last: 9 });
  assert.deepEqual(parseRange('bytes=-40', 10), { first: 0, last: 9 });
  assert.deepEqual(parseRange('bytes=3-400', 10), { first: 3, last: 9 });
  assert.equal(parseRange('bytes=10-', 10), 'unsatisfiable');
  assert.equal(parseRange('bytes=-0', 10), 'unsatisfiable');
  assert.equal(parseRange('bytes=0-', 0), 'unsatisfiable');
  for (const whole of [undefined, '', 'bytes=', 'bytes=-', 'bytes=5-3', 'bytes=0-1,3-4', 'lines=0-1', 'bytes=a-b']) {
    assert.equal(parseRange(whole, 10), undefined, String(whole));
  }
});

test('a range lies in the file, whatever is asked', () => {
  const numbers = fc.oneof(fc.nat(30), fc.constant(''), fc.constant('9'.repeat(40)), fc.bigInt({ min: 0n }));
  fc.assert(
    fc.property(
      fc.oneof(
        fc.tuple(numbers, numbers).map(([a, b]) => `bytes=${a}-${b}`),
        fc.string(),
      ),
      fc.nat(20),
      (header, size) => {
        const range = parseRange(header, size);
        if (range === undefined || range === 'unsatisfiable') return;
        assert.ok(0 <= range.first && range.first <= range.last && range.last < size);
      },
    ),
    { numRuns: 500 },
  );
});
