import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changeMapOf } from '@hypostyle/vmdk';
import fc from 'fast-check';
import { type ChangedStretch, changedStretches, storedStretches } from './changed-stretches.ts';

const block = 65_536;

/** A disk whose change maps are these. */
function diskOf(virtualBytes: number, maps: Readonly<Record<string, readonly ChangedStretch[]>>) {
  return {
    virtualBytes,
    changes: (name: string, options: { offset?: number; length?: number } = {}) =>
      changeMapOf(name, virtualBytes, maps[name] ?? []).changes(options) as AsyncGenerator<
        { offset: number; length: number; changed: boolean },
        void,
        undefined
      >,
  };
}

async function collect(stretches: AsyncIterable<ChangedStretch>): Promise<ChangedStretch[]> {
  const found: ChangedStretch[] = [];
  for await (const one of stretches) found.push(one);
  return found;
}

test('what several maps have is told once, in whole blocks, within the disk', async () => {
  const disk = diskOf(10 * block + 512, {
    g1: [{ offset: 5, length: 10 }],
    g2: [
      { offset: block, length: 1 },
      { offset: 10 * block, length: 512 },
    ],
    g3: [{ offset: 4 * block, length: 2 * block }],
  });
  assert.deepEqual(await collect(changedStretches(disk, ['g1', 'g2'])), [
    { offset: 0, length: 2 * block },
    { offset: 10 * block, length: 512 },
  ]);
  assert.deepEqual(await collect(changedStretches(disk, ['g3'], { offset: 5 * block + 100 })), [
    { offset: 5 * block + 100, length: block - 100 },
  ]);
  assert.deepEqual(await collect(changedStretches(disk, [])), []);
});

test('long disks are looked at in parts, and nothing is lost between them', async () => {
  const part = 16 * 2 ** 30;
  const disk = diskOf(3 * part, { g1: [{ offset: part - block, length: part + 2 * block }] });
  const found = await collect(changedStretches(disk, ['g1']));
  assert.deepEqual(
    found.map(({ offset, length }) => [offset, length]),
    [
      [part - block, block],
      [part, part],
      [2 * part, block],
    ],
  );
});

test('what is stored is told as blocks too, holes and zeros are not', async () => {
  const disk = {
    virtualBytes: 4 * block,
    async *map() {
      yield { offset: 0, length: 100, state: 'zero' as const };
      yield { offset: 100, length: 50, state: 'data' as const };
      yield { offset: 150, length: 4 * block - 150, state: 'unallocated' as const };
    },
  };
  assert.deepEqual(await collect(storedStretches(disk)), [{ offset: 0, length: block }]);
});

test('whatever changed is told, in order and apart, wherever one begins to ask', async () => {
  const blocks = 40;
  const changed = fc.uniqueArray(fc.nat({ max: blocks - 1 }), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(fc.array(changed, { maxLength: 4 }), fc.nat({ max: blocks * block - 1 }), async (maps, offset) => {
      const named = maps.map((one, index) => {
        const stretches = one.sort((left, right) => left - right).map((at) => ({ offset: at * block, length: block }));
        return [`g${index}`, stretches] as const;
      });
      const disk = diskOf(blocks * block, Object.fromEntries(named));
      const names = named.map(([name]) => name);
      const found = await collect(changedStretches(disk, names, { offset }));
      const told = new Set<number>();
      let reach = -1;
      for (const { offset: from, length } of found) {
        assert.ok(from > reach && from >= offset && length > 0 && from + length <= blocks * block);
        reach = from + length;
        for (let at = Math.floor(from / block); at * block < reach; at += 1) told.add(at);
      }
      const expected = new Set(maps.flat().filter((at) => (at + 1) * block > offset));
      assert.deepEqual(told, expected);
    }),
    { numRuns: 60 },
  );
});
