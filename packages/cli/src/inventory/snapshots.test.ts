import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { VirtualMachineSnapshotInfo } from '@hypostyle/vim';
import { CliError } from '../errors.ts';
import { findSnapshot, listSnapshots } from './snapshots.ts';

const tree = (id: number, name: string, childSnapshotList: unknown[] = []) => ({
  id,
  name,
  snapshot: { type: 'VirtualMachineSnapshot', value: `7-snapshot-${id}` },
  childSnapshotList,
});
const info = {
  currentSnapshot: { type: 'VirtualMachineSnapshot', value: '7-snapshot-3' },
  rootSnapshotList: [tree(1, 'first', [tree(2, 'second', [tree(3, '1')])]), tree(4, 'second')],
} as unknown as VirtualMachineSnapshotInfo;

test('snapshots are found by reference, path, name and id, in that order', () => {
  const id = (name: string) => findSnapshot(info, name).tree.id;
  assert.deepEqual(['7-snapshot-2', 'first/second', 'first', '1', '2', 'second'].map(id), [2, 2, 1, 3, 2, 4]);
  assert.deepEqual(
    listSnapshots(info).map(({ path, depth, current }) => [path, depth, current]),
    [
      ['first', 0, false],
      ['first/second', 1, false],
      ['first/second/1', 2, true],
      ['second', 0, false],
    ],
  );
});

test('a name that two have, or none, is told', () => {
  const twice = { rootSnapshotList: [tree(1, 'a', [tree(2, 'x')]), tree(3, 'b', [tree(4, 'x')])] };
  const kind = (wanted: string) => (error: unknown) => error instanceof CliError && error.kind === wanted;
  assert.throws(() => findSnapshot(twice as never, 'x'), kind('usage'));
  assert.throws(() => findSnapshot(info, 'third'), kind('not-found'));
  assert.throws(() => findSnapshot(undefined, 'third'), kind('not-found'));
});
