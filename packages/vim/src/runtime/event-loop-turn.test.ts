import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { nextTurn, requestTurn, turnEnd } from './event-loop-turn.ts';

test('works that begin together share the time of one', async () => {
  const begun = performance.now();
  const end = turnEnd();
  while (performance.now() < begun + 2);
  assert.equal(turnEnd(), end);
  await nextTurn();
  assert.ok(turnEnd() > end);
});

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

test('requests that come together are answered in order, and hold up nobody for long', async () => {
  const answered: number[] = [];
  let others = 0;
  const watch = setInterval(() => {
    others += 1;
  }, 1);
  const requests = Array.from({ length: 60 }, async (_, number) => {
    const turn = requestTurn();
    if (turn !== undefined) await turn;
    const end = performance.now() + 2;
    while (performance.now() < end);
    answered.push(number);
  });
  await Promise.all(requests);
  clearInterval(watch);
  assert.deepEqual(answered, [...answered.keys()]);
  assert.ok(others >= 8, `others had their turn ${others} times while 60 requests were answered`);
});
