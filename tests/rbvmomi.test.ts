import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runClient } from './harness/client-script.ts';
import { Daemon } from './harness/daemon.ts';

test("Debian's rbvmomi reads, and drives the power of a machine", async () => {
  await using daemon = await Daemon.start();
  assert.deepEqual(await runClient('rbvmomi.rb', daemon), [
    'wrong password: InvalidLogin',
    'signed in',
    'read the inventory',
    'created a machine',
    'property collector and view',
    'powered on',
    'again: InvalidPowerState',
    'reset, suspended, resumed, powered off',
    'counters of the host',
    'destroyed',
  ]);
});
