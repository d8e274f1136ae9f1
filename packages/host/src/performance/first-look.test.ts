import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ManagedObjectReference } from '@hypostyle/vim';
import { Computer, smallMachine, vmFolder } from '../testing/host-fixture.ts';
import { SteppedClock } from '../testing/stepped-clock.ts';

/** The look soon after a start comes after a second, whatever the clock of the samples says. */
const afterFirstLook = 1_300;

test('what a machine used stays known when its first look comes after that at all of them', async (t) => {
  const computer = await Computer.make();
  t.after(() => computer.remove());
  const clock = new SteppedClock();
  computer.clock = clock;
  const daemon = await computer.start();
  t.after(() => daemon.host.close());
  const web = (await daemon.task(
    vmFolder,
    'CreateVM_Task',
    smallMachine('web'),
  )) as ManagedObjectReference<'VirtualMachine'>;
  await daemon.task(web, 'PowerOnVM_Task');
  for (const engine of computer.engines.engines.values())
    engine.usage = { ...engine.usage, cpuMilliseconds: engine.usage.cpuMilliseconds + 5_000 };
  await clock.step();
  const used = () => daemon.read(web, 'summary')?.quickStats.overallCpuUsage ?? 0;
  assert.ok(used() > 0);
  await sleep(afterFirstLook);
  assert.ok(used() > 0, 'a moment in which nothing was used is no look');
});
