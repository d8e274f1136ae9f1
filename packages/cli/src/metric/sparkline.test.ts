import assert from 'node:assert/strict';
import { test } from 'node:test';
import { intervalOf, whatIsAsked } from './metric-arguments.ts';
import { sparkline } from './sparkline.ts';

test('a line of bars goes from nothing to the most, with gaps, as long as there is room', () => {
  assert.equal(sparkline([0, 50, 100], 80), '▁▅█');
  assert.equal(sparkline([0, undefined, 0], 80), '▁ ▁');
  assert.equal(sparkline([1, 2, 3, 4], 2), '▇█');
  assert.equal(sparkline([], 10), '');
});

test('names of counters are told from names of objects', () => {
  assert.deepEqual(whatIsAsked(['web', 'cpu.usage.average', 'db.old', 'net.usage.average']), {
    objects: ['web', 'db.old'],
    counters: ['cpu.usage.average', 'net.usage.average'],
  });
  assert.throws(() => whatIsAsked(['web']), /counter/);
  assert.throws(() => whatIsAsked(['cpu.usage.average']), /whose/);
});

test('intervals have names', () => {
  assert.equal(intervalOf('real'), 20);
  assert.equal(intervalOf('day'), 300);
  assert.equal(intervalOf('7200'), 7_200);
  assert.throws(() => intervalOf('fortnight'), /is no interval/);
});
