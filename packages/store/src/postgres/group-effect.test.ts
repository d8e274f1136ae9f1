import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { EncodedWrite } from '../encoded-write.ts';
import { checkedNames, effectOf } from './group-effect.ts';

type Documents = Map<string, string>;

const collection = 'vm';
const key: fc.Arbitrary<string> = fc.constantFrom('', 'a', 'b', 'c', '\u{10000}', '\ue000');
const bound = fc.option(key, { nil: undefined });
const write: fc.Arbitrary<EncodedWrite> = fc.oneof(
  key.chain((each) => fc.nat(9).map((n): EncodedWrite => ({ kind: 'put', collection, key: each, json: String(n) }))),
  key.map((each): EncodedWrite => ({ kind: 'delete', collection, key: each })),
  fc.tuple(bound, bound).map(([from, to]): EncodedWrite => ({ kind: 'deleteRange', collection, from, to })),
  fc.tuple(key, fc.boolean()).map(([each, exists]): EncodedWrite => ({ kind: 'check', collection, key: each, exists })),
);

/** One batch on its own, write by write; answers the key of the check that did not hold. */
function apply(documents: Documents, batch: readonly EncodedWrite[]): string | undefined {
  const draft = new Map(documents);
  for (const each of batch) {
    if (each.kind === 'put') draft.set(each.key, each.json);
    else if (each.kind === 'delete') draft.delete(each.key);
    else if (each.kind === 'deleteRange') deleteRange(draft, each);
    else if (draft.has(each.key) !== each.exists) return each.key;
  }
  documents.clear();
  for (const [name, json] of draft) documents.set(name, json);
  return undefined;
}

function deleteRange(documents: Documents, { from, to }: { from: string | undefined; to: string | undefined }): void {
  for (const name of [...documents.keys()]) {
    if ((from === undefined || name >= from) && (to === undefined || name < to)) documents.delete(name);
  }
}

test('a group comes to what its batches do one after the other', () => {
  const before = fc.uniqueArray(key).map((keys) => new Map(keys.map((each) => [each, 'old'])));
  fc.assert(
    fc.property(before, fc.array(fc.array(write, { maxLength: 5 }), { maxLength: 8 }), (stored, batches) => {
      const checked = new Set(checkedNames(batches).map((name) => name.key));
      const { conflicts, ranges, deletes, puts } = effectOf(batches, (name) => {
        assert.ok(checked.has(name.key), 'only what checkedNames tells is asked for');
        return stored.has(name.key);
      });
      const expected = new Map(stored);
      const expectedConflicts = batches.map((batch) => apply(expected, batch));
      const found = new Map(stored);
      for (const range of ranges) deleteRange(found, range);
      for (const name of deletes) found.delete(name.key);
      for (const put of puts) found.set(put.key, put.json);
      assert.deepEqual(
        conflicts.map((conflict) => conflict?.key),
        expectedConflicts,
      );
      assert.deepEqual(new Map([...found].sort()), new Map([...expected].sort()));
      const written = [...deletes, ...puts].map((name) => name.key);
      assert.equal(new Set(written).size, written.length, 'a document is written once');
    }),
    { numRuns: 1000 },
  );
});
