import assert from 'node:assert/strict';
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type {
  DiskChangeInfo,
  ManagedObjectReference,
  VirtualMachineConfigInfo,
  VirtualMachineSnapshotTree,
} from '@hypostyle/vim';
import fc from 'fast-check';
import { references } from '../../inventory/references.ts';
import { blockStride } from '../../testing/disk-reading.ts';
import { filesAtRest } from '../../testing/files-at-rest.ts';
import { Computer, type Daemon, newDisk, smallMachine, vmFolder } from '../../testing/host-fixture.ts';
import { gateFiles } from '../../testing/mortal-files.ts';
import {
  ModelMachine,
  modelAfter,
  modelBlocks,
  newModel,
  possibleActions,
  type SnapshotAction,
  type SnapshotModel,
} from '../../testing/snapshot-model.ts';

/**
 * Whatever is done to a machine, and wherever its daemon or its engine dies: an id that is answered tells every block
 * that is not what it was when the id was given, and every one that was written since; one of before a revert, a crash
 * or a foreign write is a fault.
 */

const key = 2000;
const grain = 65_536;

interface Step {
  /** Which of the actions that are possible then. */
  readonly pick: number;
  /** The process dies after so many steps of it; undefined: it does not. */
  readonly dies: number | undefined;
}

const step = fc.record<Step>({
  pick: fc.nat({ max: 10_000 }),
  dies: fc.option(fc.nat({ max: 160 }), { nil: undefined, freq: 5 }),
});

interface Game {
  readonly steps: readonly Step[];
  /** The machine's disk is on another datastore. */
  readonly apart: boolean;
}

const game = fc.record<Game>({
  steps: fc.array(step, { minLength: 10, maxLength: 30, size: 'max' }),
  apart: fc.boolean(),
});

/** A machine of which the disk is made on a datastore. */
function machineOn(place: string): Record<string, unknown> {
  const { config, ...args } = smallMachine('web') as { readonly config: { readonly deviceChange: readonly object[] } };
  const [controller] = config.deviceChange;
  return { ...args, config: { ...config, deviceChange: [controller, newDisk(-1, place)] } };
}

/** Ends epochs without being an action of the model of snapshots. */
type Action = SnapshotAction | { readonly kind: 'foreign'; readonly block: number };

/** An id that was given, with what the disk was. */
interface Given {
  readonly id: string;
  readonly blocks: readonly number[];
  /** Written since on the disk as it is. */
  readonly written: Set<number>;
  /** Something came after it that nobody has seen all of. */
  over: boolean;
}

class Client {
  readonly #daemon: Daemon;
  readonly #machine: ManagedObjectReference<'VirtualMachine'>;

  constructor(daemon: Daemon) {
    this.#daemon = daemon;
    this.#machine = daemon.machine('web') as ManagedObjectReference<'VirtualMachine'>;
  }

  /** Ids of the disk now and of each snapshot, by name. */
  ids(): { readonly now: string | undefined; readonly snapshots: Map<string, string | undefined> } {
    const idOf = (config: VirtualMachineConfigInfo | undefined) => {
      const disk = config?.hardware.device?.find((device) => device.key === key);
      return (disk?.backing as { readonly changeId?: string } | undefined)?.changeId;
    };
    const { registry } = this.#daemon.host;
    const trees = [...this.#trees()].map((tree) => [tree.name, idOf(registry.read(tree.snapshot, 'config'))] as const);
    return { now: idOf(this.#daemon.read(this.#machine, 'config')), snapshots: new Map(trees) };
  }

  /** Blocks that changed; undefined for a fault. */
  async changed(changeId: string, snapshotName?: string): Promise<Set<number> | undefined> {
    const tree = [...this.#trees()].find(({ name }) => name === snapshotName);
    const snapshot = snapshotName === undefined ? {} : { snapshot: tree?.snapshot };
    const blocks = new Set<number>();
    try {
      const args = { ...snapshot, deviceKey: key, startOffset: 0, changeId };
      const info = (await this.#daemon.call(this.#machine, 'QueryChangedDiskAreas', args)) as DiskChangeInfo;
      assert.equal(Number(info.length), 1 << 20);
      for (const { start, length } of info.changedArea ?? [])
        for (let at = Number(start); at < Number(start) + Number(length); at += grain) blocks.add(at / grain);
      return blocks;
    } catch (error) {
      assert.equal((error as { type?: string }).type, 'FileFault', String(error));
      return undefined;
    }
  }

  *#trees(
    list = this.#daemon.read(this.#machine, 'snapshot')?.rootSnapshotList ?? [],
  ): Generator<VirtualMachineSnapshotTree> {
    for (const tree of list) {
      yield tree;
      yield* this.#trees(tree.childSnapshotList ?? []);
    }
  }
}

async function writeForeign(folder: string, block: number): Promise<void> {
  const name = (await readdir(folder)).find((one) => one.endsWith('-flat.vmdk'));
  const flat = await open(join(folder, name ?? ''), 'r+');
  try {
    await flat.write(Buffer.of(251), 0, 1, block * blockStride * 512);
  } finally {
    await flat.close();
  }
}

async function check(client: Client, given: readonly Given[], model: SnapshotModel, said: string): Promise<number> {
  let answered = 0;
  for (const { id, blocks, written, over } of given.slice(-6)) {
    const views = [
      { name: undefined, now: model.blocks, since: written },
      ...Object.entries(model.snapshots).map(([name, one]) => ({ name, now: one.blocks, since: new Set<number>() })),
    ];
    for (const { name, now, since } of views) {
      const changed = await client.changed(id, name);
      if (changed === undefined) continue;
      answered += 1;
      assert.ok(!over, `${said}: ${id} is over and answered for ${name ?? 'the machine'}`);
      const missing = now.flatMap((value, block) => {
        const differs = value !== blocks[block] || since.has(block);
        return differs && !changed.has(block) ? [block] : [];
      });
      assert.deepEqual(missing, [], `${said}: blocks that ${id} does not tell of ${name ?? 'the machine'}`);
    }
  }
  return answered;
}

async function play(computer: Computer, { steps, apart }: Game, told: (answered: number) => void): Promise<void> {
  let daemon = await computer.start();
  const path = join(computer.directory, 'other');
  if (apart) await daemon.call(references.datastoreSystem, 'CreateLocalDatastore', { name: 'other', path });
  const created = await daemon.task(vmFolder, 'CreateVM_Task', machineOn(apart ? '[other]' : ''));
  await daemon.task(created as ManagedObjectReference, 'ReconfigVM_Task', {
    spec: { _typeName: 'VirtualMachineConfigSpec', changeTrackingEnabled: true },
  });
  const machine = new ModelMachine(computer, 'web', apart ? { disks: join(path, 'web') } : {});
  let model = newModel;
  const given: Given[] = [];
  const endAll = () => {
    for (const one of given) one.over = true;
  };
  for (const [number, { pick, dies }] of steps.entries()) {
    const foreign = model.power === 'poweredOff' ? [{ kind: 'foreign' as const, block: number % modelBlocks }] : [];
    const actions: Action[] = [...possibleActions(model, number + 1), ...foreign];
    const action = actions[pick % actions.length];
    if (action === undefined) continue;
    const said = `${number}: ${JSON.stringify(action)}`;
    if (action.kind === 'foreign') {
      await writeForeign(machine.disks, action.block);
      endAll();
      model = await machine.observe(daemon);
    } else {
      if (dies !== undefined) daemon.store.stepsLeft = dies;
      const done = machine.perform(daemon, action).then(() => true);
      const whole = await daemon.store.outlives(done);
      if (!whole) {
        await filesAtRest();
        daemon.bury();
        daemon = await computer.start();
        await daemon.idle();
      }
      const seen = await machine.observe(daemon);
      const isDone = JSON.stringify(seen) === JSON.stringify(modelAfter(model, action));
      if (action.kind === 'write' && isDone) for (const { written } of given) written.add(action.block);
      // What was cut off and changed nothing to be seen may not have begun: its ids may be over, and need not be.
      const isCertain = whole || JSON.stringify(seen) !== JSON.stringify(model);
      if (isDone && isCertain && /^(crash|revert|revertToCurrent)$/.test(action.kind)) endAll();
      model = seen;
    }
    const client = new Client(daemon);
    told(await check(client, given, model, said));
    const { now, snapshots } = client.ids();
    const note = (id: string | undefined, blocks: readonly number[]) => {
      // What somebody else wrote is found when it is asked about, and at the next start.
      if (id === undefined || given.some((one) => one.id === id)) return;
      given.push({ id, blocks, written: new Set(), over: false });
    };
    for (const [name, id] of snapshots) note(id, model.snapshots[name]?.blocks ?? []);
    note(now, model.blocks);
  }
  await daemon.host.close();
}

test('whatever is done, and wherever a daemon or an engine dies: no change is left out', async (t) => {
  t.after(gateFiles());
  let answers = 0;
  await fc.assert(
    fc.asyncProperty(game, async (played) => {
      const computer = await Computer.make();
      try {
        await play(computer, played, (answered) => {
          answers += answered;
        });
        assert.deepEqual(computer.defects, []);
      } finally {
        await computer.remove();
      }
    }),
    { numRuns: Number(process.env.HYPOSTYLE_RUNS ?? 3), endOnFailure: true },
  );
  // A host that knows nothing leaves nothing out either.
  assert.ok(answers > 0, 'no id was ever answered');
});
