import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ManagedObjectReference } from '@hypostyle/vim';
import { Computer, smallMachine, vmFolder } from '../../testing/host-fixture.ts';
import { deaths, killedAt, killLimit } from '../../testing/killed.ts';
import { gateFiles } from '../../testing/mortal-files.ts';
import { ModelMachine } from '../../testing/snapshot-model.ts';

test('killed at any step of going on: from its memory, once', killLimit, async (t) => {
  t.after(gateFiles());
  const computer = await Computer.make();
  t.after(() => computer.remove());
  let daemon = await computer.start();
  const created = await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'));
  await daemon.task(created as ManagedObjectReference, 'PowerOnVM_Task');
  const machine = new ModelMachine(computer, 'web');
  for (const dies of deaths(9)) {
    const words = `words ${dies}`;
    await machine.perform(daemon, { kind: 'remember', text: words });
    await machine.perform(daemon, { kind: 'suspend' });
    const end = await killedAt({ computer, daemon, dies }, (alive) => machine.perform(alive, { kind: 'powerOn' }));
    daemon = end.daemon;
    const seen = await machine.observe(daemon);
    assert.ok(['poweredOn', 'suspended'].includes(seen.power), seen.power);
    assert.equal(seen.memory, words);
    if (seen.power === 'suspended') await machine.perform(daemon, { kind: 'powerOn' });
    assert.equal((await machine.observe(daemon)).memory, words);
    if (end.whole) break;
  }
  assert.deepEqual(computer.defects, []);
});

test(
  'killed at any step of a suspend: the machine is suspended once, and no image is for nothing',
  killLimit,
  async (t) => {
    t.after(gateFiles());
    let cutOff = true;
    for (const dies of deaths(5)) {
      if (!cutOff) break;
      const computer = await Computer.make();
      try {
        let daemon = await computer.start();
        const created = await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'));
        await daemon.task(created as ManagedObjectReference, 'PowerOnVM_Task');
        const machine = new ModelMachine(computer, 'web');
        const end = await killedAt({ computer, daemon, dies }, (alive) => machine.perform(alive, { kind: 'suspend' }));
        daemon = end.daemon;
        cutOff = !end.whole;
        const { power } = await machine.observe(daemon);
        if (!cutOff || power !== 'poweredOn') assert.equal(power, 'suspended', `killed at ${dies}`);
        else await machine.perform(daemon, { kind: 'suspend' });
        await machine.observe(daemon);
        await daemon.host.close();
        assert.deepEqual(computer.defects, []);
      } finally {
        await computer.remove();
      }
    }
  },
);
