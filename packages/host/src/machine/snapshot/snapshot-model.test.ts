import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Computer, smallMachine, vmFolder } from '../../testing/host-fixture.ts';
import { killedAt, killLimit } from '../../testing/killed.ts';
import { gateFiles } from '../../testing/mortal-files.ts';
import { ModelMachine, modelAfter, newModel, possibleActions } from '../../testing/snapshot-model.ts';

interface Step {
  /** Which of the actions that are possible then. */
  readonly pick: number;
  /** The process dies after so many steps of it; undefined: it does not. */
  readonly dies: number | undefined;
}

const step = fc.record<Step>({
  pick: fc.nat({ max: 10_000 }),
  dies: fc.option(fc.nat({ max: 160 }), { nil: undefined, freq: 3 }),
});

async function play(computer: Computer, steps: readonly Step[]): Promise<void> {
  let daemon = await computer.start();
  await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'));
  const machine = new ModelMachine(computer, 'web');
  let model = newModel;
  for (const [number, { pick, dies }] of steps.entries()) {
    const actions = possibleActions(model, number + 1);
    const action = actions[pick % actions.length];
    if (action === undefined) continue;
    const end = await killedAt({ computer, daemon, dies: dies ?? Number.POSITIVE_INFINITY }, (alive) =>
      machine.perform(alive, action),
    );
    const { whole } = end;
    daemon = end.daemon;
    const seen = await machine.observe(daemon);
    const after = modelAfter(model, action);
    const said = `${number}: ${JSON.stringify(action)} ${whole ? 'done' : `killed at ${dies}`}`;
    if (whole || !isEqual(seen, model)) assert.deepEqual(seen, after, said);
    model = seen;
  }
  await daemon.host.close();
}

function isEqual(one: unknown, other: unknown): boolean {
  try {
    assert.deepEqual(one, other);
    return true;
  } catch {
    return false;
  }
}

test(
  'whatever is done with snapshots and wherever the process dies, every byte is where the model has it',
  killLimit,
  async (t) => {
    t.after(gateFiles());
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25, size: 'max' }), async (steps) => {
        const computer = await Computer.make();
        try {
          await play(computer, steps);
          assert.deepEqual(computer.defects, []);
        } finally {
          await computer.remove();
        }
      }),
      { numRuns: Number(process.env.HYPOSTYLE_RUNS ?? 4), endOnFailure: false },
    );
  },
);
