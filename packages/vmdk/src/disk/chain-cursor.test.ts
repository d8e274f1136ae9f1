import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ChainCursor } from './chain-cursor.ts';
import type { Run } from './extent.ts';
import type { ChainLayer } from './layer.ts';

type State = Run['state'];

/** A layer that says what `states` says, a unit each, and counts how often it is asked. */
function layer(states: readonly State[], unit = 1): ChainLayer & { asked: number } {
  const unused = () => assert.fail('not read');
  return {
    path: 'layer',
    bytes: states.length * unit,
    blockBytes: unit,
    blockBytesAt: () => unit,
    asked: 0,
    async locate(offset, limit) {
      this.asked += 1;
      const first = Math.floor(offset / unit);
      let end = first + 1;
      while (end < states.length && states[end] === states[first]) end += 1;
      return { length: Math.min(limit, end * unit - offset), state: states[first] as State };
    },
    read: unused,
    write: unused,
    trim: unused,
    flush: unused,
    close: unused,
  };
}

test('every offset gets the first layer that says something, walked in any steps', async () => {
  const states = fc.array(fc.constantFrom<State>('data', 'zero', 'absent', 'absent'), { minLength: 1, maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(fc.array(states, { minLength: 1, maxLength: 6 }), fc.nat(10), async (chain, skip) => {
      const end = chain[0]?.length ?? 0;
      const cursor = new ChainCursor(
        chain.map((of) => layer(of)),
        end,
      );
      for (let at = Math.min(skip, end); at < end; ) {
        const place = await cursor.locate(at);
        for (const offset of [at, at + place.length - 1]) {
          let expected: { layer: number | undefined; state: string } = { layer: undefined, state: 'unallocated' };
          for (const [index, of] of chain.entries()) {
            const state = of[offset];
            if (state === undefined) break;
            if (state === 'absent') continue;
            expected = { layer: index, state };
            break;
          }
          assert.deepEqual({ layer: place.layer, state: place.state }, expected);
        }
        at += place.length;
      }
    }),
    { numRuns: 300 },
  );
});

test('a long empty layer over a finely cut one is asked once, whatever the depth', async () => {
  const runs = 4096;
  const fine = layer(Array.from({ length: runs }, (_, index) => (index % 2 === 0 ? 'data' : 'absent')));
  const empty = Array.from({ length: 31 }, () => layer(Array.from({ length: runs }, () => 'absent' as const)));
  const cursor = new ChainCursor([...empty, fine], runs);
  for (let at = 0; at < runs; ) at += (await cursor.locate(at)).length;
  assert.deepEqual(new Set(empty.map(({ asked }) => asked)), new Set([1]));
  assert.equal(fine.asked, runs);
});
