import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Turns } from './turns.ts';

test('work goes one at a time, in the order of asking, past what fails', async () => {
  const turns = new Turns();
  const told: string[] = [];
  const work = (name: string, ends: () => string) => async () => {
    told.push(`${name} begins`);
    await turn();
    told.push(`${name} ends`);
    return ends();
  };
  const first = turns.take(work('first', () => 'one'));
  const second = turns.take(
    work('second', () => {
      throw new Error('broken');
    }),
  );
  const third = turns.take(work('third', () => 'three'));
  await turns.over();
  assert.deepEqual(
    told,
    ['first', 'second', 'third'].flatMap((name) => [`${name} begins`, `${name} ends`]),
  );
  assert.equal(await first, 'one');
  await assert.rejects(second, /broken/);
  assert.equal(await third, 'three');
});
