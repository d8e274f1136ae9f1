import assert from 'node:assert/strict';
import { test } from 'node:test';
import { privilegesNamed } from './role.ts';

const known = ['Datastore.Browse', 'VirtualMachine.Interact.PowerOff', 'VirtualMachine.Interact.PowerOn'];

test('privileges are named by themselves, or by their group', () => {
  assert.deepEqual(privilegesNamed(known, ['Datastore.Browse']), ['Datastore.Browse']);
  assert.deepEqual(privilegesNamed(known, ['VirtualMachine.Interact', 'VirtualMachine.Interact.PowerOn']), [
    'VirtualMachine.Interact.PowerOff',
    'VirtualMachine.Interact.PowerOn',
  ]);
  // A part of a word is no group.
  assert.throws(() => privilegesNamed(known, ['Virtual']), { kind: 'not-found' });
});
