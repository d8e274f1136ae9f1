import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { filesAtRest } from '../../testing/files-at-rest.ts';
import { Computer, smallMachine, vmFolder } from '../../testing/host-fixture.ts';
import { gateFiles } from '../../testing/mortal-files.ts';
import {
  ModelMachine,
  modelAfter,
  newModel,
  possibleActions,
  type SnapshotAction,
} from '../../testing/snapshot-model.ts';

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
    if (dies !== undefined) daemon.store.stepsLeft = dies;
    const done = machine.perform(daemon, action).then(() => true);
    const whole = await daemon.store.outlives(done);
    if (!whole) {
      // What it was doing to files comes to an end; nobody hears of it.
      await filesAtRest();
      daemon.bury();
      daemon = await computer.start();
      await daemon.idle();
    }
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

test('whatever is done with snapshots and wherever the process dies, every byte is where the model has it', async (t) => {
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
});

const write = (block: number, value: number): SnapshotAction => ({ kind: 'write', block, value });
const take = (name: string, memory = false): SnapshotAction => ({ kind: 'take', name, memory });
const remember = (text: string): SnapshotAction => ({ kind: 'remember', text: `words ${text}` });
const remove = (name: string): SnapshotAction => ({ kind: 'remove', name, withChildren: false, consolidate: true });

/** What is done before, and what the process is killed in; a machine that runs, without snapshots, begins each. */
const scenarios: readonly (readonly [name: string, before: readonly SnapshotAction[], killed: SnapshotAction])[] = [
  ['a snapshot taken', [write(0, 1)], take('a')],
  ['one with memory', [write(0, 1), remember('one')], take('a', true)],
  ['a revert', [write(0, 1), take('a'), write(0, 2)], { kind: 'revert', name: 'a' }],
  [
    'a revert with memory',
    [write(0, 1), remember('one'), take('a', true), write(0, 2), remember('two')],
    { kind: 'revert', name: 'a' },
  ],
  ['the last snapshot removed', [write(0, 1), take('a'), write(0, 2), write(1, 2)], remove('a')],
  ['an inner one removed', [take('a'), write(0, 1), take('b'), write(0, 2)], remove('a')],
  ['all removed', [take('a', true), write(0, 1), take('b', true), write(1, 2)], { kind: 'removeAll' }],
  [
    'what was left consolidated',
    [
      take('a', true),
      write(0, 1),
      take('b'),
      write(1, 2),
      { kind: 'remove', name: 'a', withChildren: true, consolidate: false },
    ],
    { kind: 'consolidate' },
  ],
  ['one removed from a machine that is off', [take('a'), write(0, 1), { kind: 'powerOff' }], remove('a')],
];
/** Of so many steps one is the last of the process; every one where a long run is asked for. */
const stride = process.env.HYPOSTYLE_RUNS === undefined ? 9 : 1;

for (const [name, before, killed] of scenarios) {
  test(`killed at any step of ${name}: the old or the new, and no file for nothing`, async (t) => {
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
    let steps = 0;
    for (let dies = Math.floor(Math.random() * stride); ; dies += stride) {
      if (Object.keys(model.snapshots).length > 0) await act({ kind: 'removeAll' });
      if (model.power !== 'poweredOn') await act({ kind: 'powerOn' });
      for (const action of before) await act(action);
      daemon.store.stepsLeft = dies;
      const done = machine.perform(daemon, killed).then(() => true);
      const whole = await daemon.store.outlives(done);
      if (!whole) {
        await filesAtRest();
        daemon.bury();
        daemon = await computer.start();
        await daemon.idle();
      }
      const seen = await machine.observe(daemon);
      const after = modelAfter(model, killed);
      if (whole || !isEqual(seen, model)) assert.deepEqual(seen, after, `killed at ${dies}`);
      model = seen;
      steps += 1;
      if (whole) break;
    }
    assert.ok(steps > 2, `${steps} steps`);
    assert.deepEqual(computer.defects, []);
    await daemon.host.close();
  });
}
