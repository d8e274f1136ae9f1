import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CliError } from '../../errors.ts';
import { diskUse } from './vm-disk.ts';

test('what a disk may use is said as the interface has it, and what was not said is not in it', () => {
  const _typeName = 'StorageIOAllocationInfo';
  assert.equal(diskUse(undefined, undefined), undefined);
  assert.deepEqual(diskUse(-1, undefined), { _typeName, limit: -1 });
  assert.deepEqual(diskUse(500, 'low'), { _typeName, limit: 500, shares: { level: 'low', shares: 0 } });
  assert.deepEqual(diskUse(undefined, '750'), { _typeName, shares: { level: 'custom', shares: 750 } });
  assert.throws(() => diskUse(undefined, 'many'), CliError);
});
