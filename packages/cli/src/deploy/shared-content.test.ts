import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { shared } from './shared-content.ts';

async function* partsOf(parts: readonly number[], failsAt = -1): AsyncGenerator<Uint8Array> {
  for (const [index, part] of parts.entries()) {
    if (index === failsAt) throw new Error('the source broke');
    yield Buffer.from([part]);
  }
  if (failsAt === parts.length) throw new Error('the source broke');
}

test('every reader gets all of it, and one that leaves early holds up nobody', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat(255), { maxLength: 20 }),
      fc.array(fc.nat(25), { minLength: 1, maxLength: 4 }),
      async (parts, limits) => {
        const readers = shared(partsOf(parts), limits.length);
        const got = await Promise.all(
          readers.map(async (reader, index) => {
            const taken: number[] = [];
            if (limits[index] === 0) {
              await reader.return?.();
              return taken;
            }
            for await (const [byte] of reader) {
              taken.push(byte ?? -1);
              if (taken.length >= (limits[index] ?? 0)) break;
            }
            return taken;
          }),
        );
        assert.deepEqual(
          got,
          limits.map((limit) => parts.slice(0, limit)),
        );
      },
    ),
    { numRuns: 60 },
  );
});

test('a failure of the source reaches every reader', async () => {
  const ends = await Promise.allSettled(
    shared(partsOf([1, 2], 1), 3).map(async (reader) => {
      for await (const _ of reader);
    }),
  );
  assert.deepEqual(
    ends.map(({ status }) => status),
    ['rejected', 'rejected', 'rejected'],
  );
});
