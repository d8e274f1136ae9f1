import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { TextPool } from './text-pool.ts';

test('a text that is kept does not keep what it was cut out of', () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const pool = new TextPool();
  const kept: string[] = [];
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let number = 0; number < 100; number += 1) {
    const received = `${'x'.repeat(100_000)}a text of number ${number}${'y'.repeat(100_000)}`;
    // Flat, as it comes from a socket.
    const text = Buffer.from(received).toString();
    kept.push(pool.own(text.slice(100_000, -100_000)), pool.own(text.slice(99_900, -100_000)));
  }
  collect();
  const bytes = process.memoryUsage().heapUsed - before;
  assert.ok(bytes < 2_000_000, `${bytes} bytes are held`);
  assert.equal(kept[2], 'a text of number 1');
  assert.equal(kept[3]?.length, 118);
});

test('texts come out as they went in, however many', () => {
  const pool = new TextPool();
  for (let round = 0; round < 2; round += 1)
    for (let number = 0; number < 10_000; number += 1) assert.equal(pool.own(`é${number}`), `é${number}`);
  assert.equal(pool.own(''), '');
});
