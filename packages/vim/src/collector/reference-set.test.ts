import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { ManagedObjectReference } from '../schema/values.ts';
import { ReferenceSets } from './reference-set.ts';

const reference = (value: string): ManagedObjectReference => ({
  _typeName: 'ManagedObjectReference',
  type: 'Task',
  value,
});

test('the difference of two sets is what came and what went', () => {
  const sets = new ReferenceSets();
  const before = sets.of([reference('a'), reference('b')]);
  const after = sets.of([reference('b'), reference('c')]);
  const { added, removed } = sets.difference(before, after);
  assert.deepEqual([added.map(({ value }) => value), removed.map(({ value }) => value)], [['c'], ['a']]);
  assert.equal(sets.difference(before, after), sets.difference(before, after), 'found once for all who ask');
});

test('a link that changes all the time leaves nothing of its past behind', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const sets = new ReferenceSets();
  const past: WeakRef<object>[] = [];
  let now = sets.of([reference('task-0')]);
  for (let number = 1; number <= 200; number += 1) {
    const next = sets.of([reference(`task-${number}`)]);
    sets.difference(now, next);
    past.push(new WeakRef(now));
    now = next;
  }
  // References that were looked at are kept until the turn is over.
  await sleep(1);
  collect();
  const held = past.filter((set) => set.deref() !== undefined).length;
  assert.ok(held <= 2, `${held} of ${past.length} old sets are held`);
  assert.equal(now.size, 1);
});
