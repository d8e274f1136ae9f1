import { test } from 'node:test';
import { gateFiles } from '@hypostyle/host/testing';
import fc from 'fast-check';
import { ModelWorld } from './testing/model/model-world.ts';
import { anyStep, inTime, play } from './testing/model/operations.ts';

/** HYPOSTYLE_RUNS and HYPOSTYLE_SEED make it longer, or the same again. */
const runs = Number(process.env.HYPOSTYLE_RUNS ?? 5);
const seed = Number(process.env.HYPOSTYLE_SEED ?? Date.now() % 2 ** 31);

test('whatever is done at the center and behind its back, at rest it shows what the hosts have', {
  timeout: 30_000 + runs * 20_000,
}, async (t) => {
  t.after(gateFiles());
  t.diagnostic(`seed ${seed}`);
  const steps = fc.array(anyStep(), { minLength: 1, maxLength: 40, size: 'max' });
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 2, max: 4 }), steps, async (hosts, steps) => {
      const world = new ModelWorld(hosts);
      try {
        await world.open();
        for (const step of steps) {
          if (process.env.HYPOSTYLE_TRACE !== undefined) process.stderr.write(`${JSON.stringify(step)}\n`);
          await play(world, step);
        }
        await inTime(world, 'the last rest', world.rest());
      } finally {
        await world.remove();
      }
    }),
    { numRuns: runs, seed, endOnFailure: process.env.HYPOSTYLE_SHRINK === undefined },
  );
});
