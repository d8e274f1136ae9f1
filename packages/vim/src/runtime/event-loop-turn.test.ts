import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { nextTurn } from './event-loop-turn.ts';

test('of all works that wait, one goes on in each round of the event loop, in the order they came', async () => {
  const order: string[] = [];
  const works = ['a', 'b', 'c'].map(async (name) => {
    for (let step = 0; step < 2; step += 1) {
      await nextTurn();
      order.push(name);
    }
  });
  for (let round = 1; round <= 6; round += 1) {
    await setImmediate();
    assert.ok(order.length <= round, `${order.length} steps in ${round} rounds`);
  }
  await Promise.all(works);
  assert.deepEqual(order, ['a', 'b', 'c', 'a', 'b', 'c']);
});
