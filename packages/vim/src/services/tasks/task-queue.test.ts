import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type QueuedWork, TaskQueue } from './task-queue.ts';

interface Work extends QueuedWork {
  readonly name: string;
  end(): void;
}

function works() {
  const going: string[] = [];
  const make = (name: string, more: Partial<QueuedWork> = {}): Work => {
    const ended = Promise.withResolvers<void>();
    const run = async () => {
      going.push(name);
      await ended.promise;
      going.splice(going.indexOf(name), 1);
    };
    return { lane: 'a', heavy: false, ...more, name, run, end: ended.resolve };
  };
  return { going, make };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('works that share their lane go together, in order with those that do not', async () => {
  const { going, make } = works();
  const queue = new TaskQueue(4);
  const [read, also, write, late] = [
    make('read', { shared: true }),
    make('also', { shared: true }),
    make('write'),
    make('late', { shared: true }),
  ] as const;
  for (const work of [read, also, write, late]) queue.add(work);
  assert.deepEqual(going, ['read', 'also']);
  read.end();
  await turn();
  assert.deepEqual(going, ['also'], 'who comes later does not overtake');
  also.end();
  await turn();
  assert.deepEqual(going, ['write']);
  write.end();
  await turn();
  assert.deepEqual(going, ['late']);
  late.end();
});

test('when one between them is taken back, those behind it go with those before', () => {
  const { going, make } = works();
  const queue = new TaskQueue(4);
  const [first, between, last] = [make('first', { shared: true }), make('between'), make('last', { shared: true })];
  for (const work of [first, between, last]) queue.add(work as Work);
  assert.equal(queue.remove(between as Work), true);
  assert.deepEqual(going, ['first', 'last']);
  assert.equal(queue.remove(first as Work), false, 'it has begun');
});

test('no work is lost, and none goes beside one that wants its lane alone', async () => {
  const kind = fc.record({ lane: fc.constantFrom('a', 'b', undefined), shared: fc.boolean(), heavy: fc.boolean() });
  const step = fc.oneof(fc.record({ add: kind }), fc.record({ end: fc.nat(9) }), fc.record({ remove: fc.nat(9) }));
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const { going, make } = works();
      const queue = new TaskQueue(2);
      const all = new Map<string, Work>();
      const ended = new Set<string>();
      const end = (name = '') => {
        all.get(name)?.end();
        ended.add(name);
      };
      const forget = () => {
        for (const name of ended) if (!going.includes(name)) all.delete(name);
      };
      const check = () => {
        const now = going.map((name) => all.get(name) as Work);
        assert.ok(now.filter(({ heavy }) => heavy).length <= 2);
        for (const { lane, shared } of now) {
          const beside = now.filter((other) => lane !== undefined && other.lane === lane);
          assert.ok(shared || beside.length <= 1, going.join(' '));
        }
      };
      for (const [index, one] of steps.entries()) {
        if ('add' in one) {
          const work = make(`${index}`, one.add);
          all.set(work.name, work);
          queue.add(work);
        } else if ('end' in one) end(going[one.end % Math.max(1, going.length)]);
        else {
          const waiting = [...all.values()].filter(({ name }) => !going.includes(name));
          const work = waiting[one.remove % Math.max(1, waiting.length)];
          if (work !== undefined && queue.remove(work)) all.delete(work.name);
        }
        await turn();
        check();
        forget();
      }
      for (let round = 0; all.size > 0 && round < 200; round += 1) {
        for (const name of [...going]) end(name);
        await turn();
        check();
        forget();
      }
      assert.deepEqual([...all.keys()], [], 'each of them went');
    }),
    { numRuns: 60 },
  );
});
