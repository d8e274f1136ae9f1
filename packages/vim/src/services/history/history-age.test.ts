import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ManualClock } from '../testing/manual-clock.ts';
import { firstKept, HistoryAges } from './history-age.ts';

const sourceOf = (times: readonly number[]) => ({
  read: async ({ from = 0, limit }: { readonly from?: number; readonly limit: number }) =>
    times
      .map((record, index) => ({ number: index * 2 + 1, record }))
      .filter(({ number }) => number >= from)
      .slice(0, limit),
});

test('the first item that is young enough ends the search, whatever the length of the history', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 700 }), async (times) => {
      const kept = times.findIndex((time) => time >= 1);
      const number = await firstKept(sourceOf(times), (time) => time < 1);
      assert.equal(number, kept >= 0 ? kept * 2 + 1 : times.length * 2);
    }),
    { numRuns: 50 },
  );
  const long = Array.from({ length: 1_000 }, (_, index) => (index < 700 ? 0 : 1));
  assert.equal(await firstKept(sourceOf(long), (time) => time < 1), 1_401);
});

test('histories expire once an hour by the days of their own, and not after the end', async () => {
  const clock = new ManualClock();
  const asked: [string, number][] = [];
  const history = (name: string) => ({
    expire: async (before: number) => {
      asked.push([name, clock.now() - before]);
    },
  });
  let days: number | undefined;
  const ages = new HistoryAges({
    clock,
    histories: [
      { history: history('events'), days: () => 2 },
      { history: history('tasks'), days: () => days },
    ],
    onDefect: (where, error) => assert.fail(`${where}: ${error}`),
  });
  clock.advance(3_599_999);
  await ages.apply();
  assert.deepEqual(asked.splice(0), [['events', 172_800_000]]);
  days = 1;
  clock.advance(1);
  await ages.apply();
  assert.deepEqual(asked.splice(0, 2), [
    ['events', 172_800_000],
    ['tasks', 86_400_000],
  ]);
  await ages.close();
  asked.splice(0);
  clock.advance(7_200_000);
  await ages.close();
  assert.deepEqual(asked, []);
});
