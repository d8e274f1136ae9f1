import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { references } from '../../inventory/references.ts';
import { Computer, smallMachine, vmFolder } from '../../testing/host-fixture.ts';
import { deaths, isWhole, killedAt, killLimit } from '../../testing/killed.ts';
import { gateFiles } from '../../testing/mortal-files.ts';
import {
  ModelMachine,
  modelAfter,
  newModel,
  type SnapshotAction,
  type SnapshotModel,
} from '../../testing/snapshot-model.ts';

const write = (block: number, value: number): SnapshotAction => ({ kind: 'write', block, value });
const take = (name: string, memory = false): SnapshotAction => ({ kind: 'take', name, memory });
const remember = (text: string): SnapshotAction => ({ kind: 'remember', text: `words ${text}` });
const remove = (name: string, more: { readonly withChildren?: boolean; readonly consolidate?: boolean } = {}) =>
  ({ kind: 'remove', name, withChildren: false, consolidate: true, ...more }) satisfies SnapshotAction;
const revert = (name: string): SnapshotAction => ({ kind: 'revert', name });
const powerOff: SnapshotAction = { kind: 'powerOff' };
const suspend: SnapshotAction = { kind: 'suspend' };
const removeAll: SnapshotAction = { kind: 'removeAll' };
const consolidate: SnapshotAction = { kind: 'consolidate' };

/** Two snapshots, of which the first has a branch beside: a ← b, and a ← c, which is where the machine goes on. */
const tree: readonly SnapshotAction[] = [
  take('a'),
  write(0, 1),
  take('b', true),
  write(0, 2),
  revert('a'),
  { kind: 'powerOn' },
  write(1, 3),
  take('c'),
  write(2, 4),
];
const left = [
  take('a', true),
  write(0, 1),
  take('b'),
  write(1, 2),
  remove('a', { withChildren: true, consolidate: false }),
];

/** What is done before, and what the process is killed in; a machine that runs, without snapshots, begins each. */
const scenarios: Readonly<
  Record<string, { readonly before: readonly SnapshotAction[]; readonly killed: SnapshotAction }>
> = {
  'a snapshot taken': { before: [write(0, 1)], killed: take('a') },
  'one of a guest that holds its file systems': {
    before: [write(0, 1)],
    killed: { kind: 'take', name: 'a', quiesce: true },
  },
  'one of a machine that is off': { before: [write(0, 1), powerOff], killed: take('a') },
  'one of a machine that is suspended': { before: [write(0, 1), remember('one'), suspend], killed: take('a') },
  'one with memory': { before: [write(0, 1), remember('one')], killed: take('a', true) },
  'one whose memory cannot be kept': {
    before: [write(0, 1), remember('one')],
    killed: { kind: 'take', name: 'a', memory: true, fails: 'memory' },
  },
  'one whose engine ends amid its memory': {
    before: [write(0, 1), take('a'), write(0, 2)],
    killed: { kind: 'take', name: 'b', memory: true, fails: 'engine' },
  },
  'a revert': { before: [write(0, 1), take('a'), write(0, 2)], killed: revert('a') },
  'a revert to the current one': { before: [write(0, 1), take('a'), write(0, 2)], killed: { kind: 'revertToCurrent' } },
  'a revert with memory': {
    before: [write(0, 1), remember('one'), take('a', true), write(0, 2), remember('two')],
    killed: revert('a'),
  },
  'a revert of a machine that is off': {
    before: [write(0, 1), remember('one'), take('a', true), write(0, 2), powerOff],
    killed: revert('a'),
  },
  'a revert of a machine that is suspended': {
    before: [write(0, 1), take('a'), write(0, 2), remember('two'), suspend],
    killed: revert('a'),
  },
  'the last snapshot removed': { before: [write(0, 1), take('a'), write(0, 2), write(1, 2)], killed: remove('a') },
  'an inner one removed': { before: [take('a'), write(0, 1), take('b'), write(0, 2)], killed: remove('a') },
  'one removed from a machine that is off': { before: [take('a'), write(0, 1), powerOff], killed: remove('a') },
  'one removed with its children': { before: tree, killed: remove('a', { withChildren: true }) },
  'all removed': { before: [take('a', true), write(0, 1), take('b', true), write(1, 2)], killed: removeAll },
  'all of a tree removed': { before: tree, killed: removeAll },
  'all removed from a machine that is off': { before: [...tree, powerOff], killed: removeAll },
  'all removed from a machine that is suspended': { before: [...tree, remember('one'), suspend], killed: removeAll },
  'what was left consolidated': { before: left, killed: consolidate },
  'what was left consolidated, off': { before: [...left, powerOff], killed: consolidate },
};

const methods: Readonly<Partial<Record<SnapshotAction['kind'], string>>> = {
  take: 'CreateSnapshot_Task',
  revert: 'RevertToSnapshot_Task',
  revertToCurrent: 'RevertToCurrentSnapshot_Task',
  remove: 'RemoveSnapshot_Task',
  removeAll: 'RemoveAllSnapshots_Task',
  consolidate: 'ConsolidateVMDisks_Task',
};

/** What the machine may be after a task, by how that ended; what made it fail may not come again after a restart. */
function allowed(
  model: SnapshotModel,
  action: SnapshotAction,
  state: 'success' | 'error' | 'unknown',
): SnapshotModel[] {
  const failed = modelAfter(model, action);
  if (action.kind !== 'take' || action.fails === undefined) return [state === 'success' ? failed : model];
  const { fails: _, ...taken } = action;
  return state === 'success' ? [modelAfter(model, taken)] : [model, failed];
}

/** Where the disk lies; a usual run has it beside the machine. */
const places = isWhole ? (['beside it', 'on another datastore'] as const) : (['beside it'] as const);

for (const [name, { before, killed }, place] of Object.entries(scenarios).flatMap(([name, scenario]) =>
  places.map((place) => [name, scenario, place] as const),
)) {
  test(
    `killed at any step of ${name}, its disk ${place}: the old or the new, as the task says, and no file for nothing`,
    killLimit,
    async (t) => {
      t.after(gateFiles());
      const computer = await Computer.make();
      t.after(() => computer.remove());
      computer.prepare = (hypervisor) => {
        hypervisor.agents = 'hold';
      };
      let daemon = await computer.start();
      const apart = place === 'on another datastore';
      const path = join(computer.directory, 'other');
      if (apart) await daemon.call(references.datastoreSystem, 'CreateLocalDatastore', { name: 'other', path });
      await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web', '[datastore1]', apart ? '[other]' : ''));
      const machine = new ModelMachine(computer, 'web', apart ? { disks: join(path, 'web') } : {});
      let model = newModel;
      const act = async (action: SnapshotAction) => {
        await machine.perform(daemon, action);
        model = modelAfter(model, action);
      };
      let steps = 0;
      for (const dies of deaths(17)) {
        if (Object.keys(model.snapshots).length > 0) await act(removeAll);
        if (model.power !== 'poweredOn') await act({ kind: 'powerOn' });
        for (const action of before) await act(action);
        const known = new Set(daemon.tasks().map(({ key }) => key));
        const end = await killedAt({ computer, daemon, dies }, (alive) => machine.perform(alive, killed));
        daemon = end.daemon;
        const [task, ...more] = daemon.tasks(methods[killed.kind]).filter(({ key }) => !known.has(key));
        assert.deepEqual(more, [], 'one task');
        const where = `killed at ${dies}, ${task?.state ?? 'no task'}: ${task?.error?.localizedMessage}`;
        if (task?.state === 'error') assert.match(task.error?.localizedMessage ?? '', /No snapshot was taken/, where);
        const seen = await machine.observe(daemon);
        const states = allowed(model, killed, task === undefined ? 'unknown' : (task.state as 'success' | 'error'));
        if (!states.some((state) => isDeepStrictEqual(state, seen))) assert.deepEqual(seen, states[0], where);
        model = seen;
        steps += 1;
        if (end.whole) break;
      }
      assert.ok(steps > 1, `${steps} steps`);
      assert.deepEqual(computer.defects, []);
    },
  );
}
