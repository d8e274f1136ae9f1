import assert from 'node:assert/strict';
import { test } from 'node:test';
import { centerOf } from './harness/center.ts';
import { rubySteps, runAtCenter, targetOf } from './harness/center-scripts.ts';
import { Daemon } from './harness/daemon.ts';

test("Debian's rbvmomi makes an inventory at a center, and drives a machine of it", async () => {
  await using daemon = await Daemon.start({ mode: 'center' });
  await using center = await centerOf(daemon);
  const target = await targetOf(center, await center.localHost(), daemon);
  assert.deepEqual(await runAtCenter('rbvmomi_center.rb', center, target), rubySteps);
});
