import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Claims, claimOf } from './claims.ts';

test('who asks for one machine is not told of another whose id begins alike', () => {
  const task = { type: 'Task', value: 'task-1' } as const;
  for (const kind of ['machine', 'exporting', 'chains', 'copying', 'merging'] as const) {
    const claims = new Claims();
    claims.take([claimOf[kind]('12')], task, () => new Error(kind));
    assert.equal(claims.ask(claimOf[kind]('1')).holder, undefined, kind);
    assert.equal(claims.isWithin(claimOf[kind]('1')), false, kind);
    assert.equal(claims.ask(claimOf[kind]('12')).holder, task, kind);
  }
});
