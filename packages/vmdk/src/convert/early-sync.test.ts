import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EarlySync } from './early-sync.ts';

const step = 64 * 2 ** 20;

test('it is made durable on the way, one at a time, and once more at the end', async () => {
  const syncs: PromiseWithResolvers<void>[] = [];
  const early = new EarlySync(() => {
    syncs.push(Promise.withResolvers<void>());
    return (syncs.at(-1) as PromiseWithResolvers<void>).promise;
  });
  early.wrote(step - 1);
  assert.equal(syncs.length, 0);
  early.wrote(1);
  early.wrote(step);
  assert.equal(syncs.length, 1);
  const finished = early.finish();
  syncs[0]?.resolve();
  await early.settle();
  await new Promise(setImmediate);
  assert.equal(syncs.length, 2);
  syncs[1]?.resolve();
  await finished;
});

test('a medium that fails is told at the next write, and at the end', async () => {
  const early = new EarlySync(() => Promise.reject(new Error('no room')));
  early.wrote(step);
  await early.settle();
  assert.throws(() => early.wrote(1), /no room/);
  await assert.rejects(early.finish(), /no room/);
});
