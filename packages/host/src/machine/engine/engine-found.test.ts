import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { HypervisorError } from '@hypostyle/contracts';
import { filesAtRest } from '../../testing/files-at-rest.ts';
import { Computer, smallMachine, vmFolder } from '../../testing/host-fixture.ts';
import { deaths, killLimit } from '../../testing/killed.ts';
import { gateFiles } from '../../testing/mortal-files.ts';
import { ModelMachine, modelAfter, newModel, type SnapshotAction } from '../../testing/snapshot-model.ts';

const actions: Readonly<
  Record<string, { readonly before: readonly SnapshotAction[]; readonly killed: SnapshotAction }>
> = {
  'a snapshot': { before: [{ kind: 'write', block: 0, value: 1 }], killed: { kind: 'take', name: 'a' } },
  'a removal': {
    before: [
      { kind: 'take', name: 'a' },
      { kind: 'write', block: 0, value: 2 },
    ],
    killed: { kind: 'removeAll' },
  },
  'a revert': {
    before: [
      { kind: 'take', name: 'a', memory: true },
      { kind: 'write', block: 0, value: 3 },
    ],
    killed: { kind: 'revert', name: 'a' },
  },
};

for (const [name, { before, killed }] of Object.entries(actions)) {
  test(`${name} that was cut off waits for an engine that does not answer yet`, killLimit, async (t) => {
    t.after(gateFiles());
    const computer = await Computer.make();
    t.after(() => computer.remove());
    let daemon = await computer.start();
    await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'));
    const machine = new ModelMachine(computer, 'web');
    let model = newModel;
    const act = async (action: SnapshotAction) => {
      await machine.perform(daemon, action);
      model = modelAfter(model, action);
    };
    // Engines are looked for again when the test says so.
    t.mock.timers.enable({ apis: ['setInterval'] });
    for (const dies of deaths(19)) {
      if (Object.keys(model.snapshots).length > 0) await act({ kind: 'removeAll' });
      if (model.power !== 'poweredOn') await act({ kind: 'powerOn' });
      for (const action of before) await act(action);
      daemon.store.stepsLeft = dies;
      const whole = await daemon.store.outlives(machine.perform(daemon, killed));
      if (!whole) {
        await filesAtRest();
        daemon.bury();
        const lost = new HypervisorError('engine-lost', 'it does not answer');
        daemon = await computer.start((hypervisor) => hypervisor.failures.set('adopt', lost));
        const rest = daemon.idle();
        await Promise.race([rest, sleep(30)]);
        t.mock.timers.tick(10_000);
        await rest;
        while (daemon.read(daemon.machines()[0] as never, 'runtime')?.connectionState !== 'connected') await sleep(5);
      }
      const seen = await machine.observe(daemon);
      model = JSON.stringify(seen) === JSON.stringify(model) ? model : modelAfter(model, killed);
      assert.deepEqual(seen, model, `killed at ${dies}`);
      if (whole) break;
    }
    assert.deepEqual(
      computer.defects.filter((defect) => !/adoption of an engine/.test(String((defect as string[])[0]))),
      [],
    );
  });
}
