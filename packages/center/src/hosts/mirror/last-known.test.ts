import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MortalStore } from '@hypostyle/host/testing';
import { LastKnown } from './last-known.ts';

test('what could not be written is written once the store takes it again', async () => {
  const store = new MortalStore();
  const defects: unknown[] = [];
  const known = new LastKnown({ store, onDefect: (error) => defects.push(error) });
  known.keep('vm-1', () => ({ name: 'one' }));
  known.keep('vm-2', () => ({ name: 'two' }));
  store.failing = new Error('the disk is full');
  await assert.rejects(known.flush(), /disk is full/);
  known.keep('vm-1', () => ({ name: 'one again' }));
  store.failing = undefined;
  await known.flush();
  assert.deepEqual(Object.fromEntries(await known.load()), {
    'vm-1': { name: 'one again' },
    'vm-2': { name: 'two' },
  });
  assert.deepEqual(defects, []);
});
