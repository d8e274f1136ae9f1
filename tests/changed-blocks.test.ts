import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { VimFault } from '@hypostyle/vim';
import type { NbdDisk } from '@hypostyle/vmdk';
import { endEngines } from './harness/engines.ts';
import { randomNumbers } from './harness/random-numbers.ts';
import { type Area, type Snapshot, TrackedMachine } from './harness/tracked-machine.ts';

// A backup tool at work: one full copy, then what changed, over whatever happens to a machine in between. HYPOSTYLE_RUNS
// and HYPOSTYLE_SEED make it longer, or the same again.
const cycles = Number(process.env.HYPOSTYLE_RUNS ?? 6);
const seed = Number(process.env.HYPOSTYLE_SEED ?? Date.now() % 2 ** 31);
const diskBytes = 8 << 20;
const blockBytes = 65_536;
const mostSnapshots = 4;

let home: string;
let machine: TrackedMachine;

before(async () => {
  home = await mkdtemp(join(tmpdir(), 'hypostyle-changes-'));
  machine = await TrackedMachine.create(home, diskBytes);
});

after(async () => {
  await machine?.remove();
  await endEngines(home);
  await rm(home, { recursive: true, force: true });
});

interface Kept {
  readonly snapshot: Snapshot;
  /** The disk as it was. */
  readonly bytes: Buffer;
}

interface Backup {
  readonly id: string;
  readonly bytes: Buffer;
}

const isFileFault = (error: unknown) => error instanceof VimFault && error.type === 'FileFault';

async function apply(bytes: Buffer, areas: readonly Area[], disk: NbdDisk): Promise<Buffer> {
  const restored = Buffer.from(bytes);
  for (const { offset, length } of areas) (await disk.read(offset, length)).copy(restored, offset);
  return restored;
}

/** Offset of the first byte that differs. */
function difference(left: Buffer, right: Buffer): number {
  for (let at = 0; at < left.length; at += blockBytes) {
    if (!left.subarray(at, at + blockBytes).equals(right.subarray(at, at + blockBytes))) return at;
  }
  return -1;
}

test('blocks that were written are told, and no others; an id that says nothing is a fault', async () => {
  await machine.powerOn();
  await machine.io(['write -P 1 1M 64k']);
  const first = await machine.take('first');
  const id = (await machine.changeId(first)) ?? '';
  assert.match(id, /^[0-9a-f-]{36}\/\d+$/);
  assert.deepEqual(await machine.changedAreas('*', first), [{ offset: 1 << 20, length: blockBytes }]);
  assert.deepEqual(await machine.changedAreas(id, first), []);
  // One sector, and two that lie in one block each.
  await machine.io(['write -P 2 3M 512', 'write -P 2 5242368 1024']);
  const told = [
    { offset: 3 << 20, length: blockBytes },
    { offset: (5 << 20) - blockBytes, length: 2 * blockBytes },
  ];
  assert.deepEqual(await machine.changedAreas(id), told, 'the disk as it is');
  const second = await machine.take('second');
  assert.deepEqual(await machine.changedAreas(id, second), told);
  assert.deepEqual(await machine.changedAreas(id, first), [], 'what came later is not in the first');
  await machine.removeSnapshot(first);
  assert.deepEqual(await machine.changedAreas(id, second), told, 'the snapshot of an id is not needed');
  await machine.removeAll();
  assert.deepEqual(await machine.changedAreas(id), told);
  const [epoch = '', generation] = id.split('/');
  const other = `${epoch[0] === '0' ? '1' : '0'}${epoch.slice(1)}`;
  for (const wrong of [
    '',
    'x',
    '**',
    epoch,
    `${epoch}/0`,
    `${epoch}/${Number(generation) + 9}`,
    `${other}/${generation}`,
  ]) {
    await assert.rejects(machine.changedAreas(wrong), isFileFault, wrong);
  }
  await machine.powerOff();
  assert.deepEqual(await machine.changedAreas(id), told, 'after a clean end');
  assert.deepEqual(await machine.read((disk) => disk.read(3 << 20, 512)), Buffer.alloc(512, 2));
  await machine.writeFile(0, Buffer.from('foreign'));
  await assert.rejects(machine.changedAreas(id), isFileFault, 'a stranger wrote');
  await machine.writeFile(0, Buffer.alloc(diskBytes));
});

test('what somebody else wrote where a guest had zeros is in the answer to *, and is what the guest reads', async () => {
  await machine.powerOn();
  await machine.io(['write -P 3 2M 64k', 'write -z 6M 64k', 'write -z -u 7M 64k']);
  await machine.powerOff();
  for (const at of [6, 7]) await machine.writeFile(at << 20, Buffer.alloc(blockBytes, at));
  const check = async (when: string) => {
    const areas = await machine.changedAreas('*');
    const restored = await machine.read((disk) => apply(Buffer.alloc(diskBytes), areas, disk));
    const found = [2, 6, 7].map((at) => restored.subarray(at << 20, (at << 20) + blockBytes));
    const expected = [3, 6, 7].map((value) => Buffer.alloc(blockBytes, value));
    assert.deepEqual(
      found.map((bytes, index) => bytes.equals(expected[index] ?? Buffer.alloc(0))),
      [true, true, true],
      when,
    );
  };
  await check('while it is off');
  await machine.powerOn();
  await check('while it runs');
  await machine.io(['read -P 6 6M 64k', 'read -P 7 7M 64k']);
  await machine.powerOff();
  await machine.writeFile(0, Buffer.alloc(diskBytes));
});

test(`restores are identical after ${cycles} cycles of whatever happens to a machine, seed ${seed}`, async (t) => {
  const random = randomNumbers(seed);
  const pick = <T>(all: readonly T[]): T => all[random(all.length)] as T;
  let bytes: Buffer = Buffer.alloc(diskBytes);
  let kept: Kept[] = [];
  /** Ids of this epoch with the disk as it was, and ids that are over. */
  let valid: Backup[] = [];
  const over: string[] = [];
  /** A tool that worked on the disk was killed: an id may be over or not, and is right as long as it is not. */
  let uncertain = false;
  const counts = { incremental: 0, full: 0, read: 0 };

  const endEpoch = () => {
    uncertain = false;
    over.push(...valid.map(({ id }) => id));
    valid = [];
  };
  const write = async () => {
    const commands: string[] = [];
    for (let left = 1 + random(4); left > 0; left -= 1) {
      const offset = random(diskBytes / 512 - 256) * 512;
      const length = (1 + random(255)) * 512;
      const value = random(3) === 0 ? 0 : 1 + random(255);
      const how = value === 0 ? pick(['-z', '-z -u']) : `-P ${value}`;
      commands.push(`write ${how} ${offset} ${length}`);
      bytes.fill(value, offset, offset + length);
    }
    await machine.io(commands);
  };
  const steps: Record<string, () => Promise<void>> = {
    write: async () => {
      if (!(await machine.runs())) await machine.powerOn();
      await write();
    },
    powerCycle: async () => {
      if (await machine.runs()) await machine.powerOff();
      await machine.powerOn();
    },
    powerOff: async () => {
      if (await machine.runs()) await machine.powerOff();
    },
    suspend: async () => {
      if (!(await machine.runs())) await machine.powerOn();
      await machine.suspend();
      if (random(2) === 0) await steps.take?.();
      await machine.powerOn();
    },
    take: async () => {
      if (kept.length === mostSnapshots) return;
      kept.push({ snapshot: await machine.take(`kept-${random(1000)}`), bytes: Buffer.from(bytes) });
    },
    remove: async () => {
      if (kept.length === 0) return;
      const one = pick(kept);
      await machine.removeSnapshot(one.snapshot);
      kept = kept.filter((other) => other !== one);
    },
    removeAll: async () => {
      await machine.removeAll();
      kept = [];
    },
    revert: async () => {
      if (kept.length === 0) {
        await steps.take?.();
        await steps.write?.();
      }
      const one = pick(kept);
      await machine.revert(one.snapshot);
      bytes = Buffer.from(one.bytes);
      endEpoch();
    },
    // To another datastore and, the next time, back: on or off, as it is.
    relocate: async () => {
      await machine.relocate();
      endEpoch();
    },
    killDaemon: () => machine.killDaemon(),
    killDaemonAmidstTake: async () => {
      if (kept.length === mostSnapshots) return;
      const take = `kept-${random(1_000_000)}`;
      const pause = random(60);
      uncertain ||= !(await machine.runs());
      await machine.amidst({ take }, async () => {
        await sleep(pause);
        await machine.killDaemon();
      });
      const snapshot = (await machine.snapshots()).get(take);
      if (snapshot !== undefined) kept.push({ snapshot, bytes: Buffer.from(bytes) });
    },
    killDaemonAmidstRemoval: async () => {
      const pause = random(60);
      uncertain ||= !(await machine.runs());
      await machine.amidst('removeAll', async () => {
        await sleep(pause);
        await machine.killDaemon();
      });
      await steps.removeAll?.();
    },
    killEngineAmidstRemoval: async () => {
      await steps.take?.();
      await steps.write?.();
      const pause = random(60);
      await machine.amidst('removeAll', async () => {
        await sleep(pause);
        await machine.killEngine();
      });
      endEpoch();
      await steps.removeAll?.();
    },
    killEngine: async () => {
      if (!(await machine.runs())) await machine.powerOn();
      await machine.killEngine();
      endEpoch();
    },
    foreignWrite: async () => {
      if (kept.length > 0) await steps.removeAll?.();
      if (await machine.runs()) await machine.powerOff();
      const offset = random(diskBytes / 512) * 512;
      const sector = Buffer.alloc(512, 1 + random(255));
      await machine.writeFile(offset, sector);
      sector.copy(bytes, offset);
      endEpoch();
    },
  };

  const backUp = async (number: number) => {
    const snapshot = await machine.take(`backup-${number}`);
    const id = await machine.changeId(snapshot);
    assert.ok(id, 'the snapshot has an id');
    let since = valid.length === 0 ? undefined : random(3) === 0 ? pick(valid) : valid.at(-1);
    for (const past of over.slice(-3)) await assert.rejects(machine.changedAreas(past, snapshot), isFileFault, past);
    let areas: Area[];
    try {
      areas = await machine.changedAreas(since?.id ?? '*', snapshot);
    } catch (error) {
      if (!(uncertain && isFileFault(error))) throw error;
      since = undefined;
      endEpoch();
      areas = await machine.changedAreas('*', snapshot);
    }
    uncertain = false;
    const [restored, whole] = await machine.read(
      async (disk) => [
        await apply(since?.bytes ?? Buffer.alloc(diskBytes), areas, disk),
        await disk.read(0, diskBytes),
      ],
      snapshot,
    );
    assert.equal(difference(whole, bytes), -1, 'the snapshot has what the guest wrote');
    assert.equal(difference(restored, bytes), -1, 'the restored disk has what the guest wrote');
    counts[since === undefined ? 'full' : 'incremental'] += 1;
    if (since !== undefined) counts.read += areas.reduce((sum, { length }) => sum + length, 0);
    valid.push({ id, bytes: Buffer.from(bytes) });
    if (random(4) > 0 || kept.length === mostSnapshots) await machine.removeSnapshot(snapshot);
    else kept.push({ snapshot, bytes: Buffer.from(bytes) });
  };

  await machine.powerOn();
  await write();
  await backUp(0);
  // Each kind at least once in a while: drawn without putting back, what ends an epoch half as often.
  const ends = ['relocate', 'revert', 'killEngine', 'killEngineAmidstRemoval', 'foreignWrite'];
  let bag: string[] = [];
  for (let cycle = 1; cycle <= cycles; cycle += 1) {
    const done: string[] = [];
    try {
      for (let left = 1 + random(3); left > 0; left -= 1) {
        if (bag.length === 0) bag = Object.keys(steps).flatMap((one) => (ends.includes(one) ? [one] : [one, one]));
        const step = bag.splice(random(bag.length), 1)[0] as string;
        done.push(step);
        await steps[step]?.();
        if (random(2) === 0) {
          done.push('write');
          await steps.write?.();
        }
      }
      done.push('backUp');
      await backUp(cycle);
    } catch (error) {
      throw new Error(`seed ${seed}, cycle ${cycle}: ${done.join(', ')}`, { cause: error });
    }
    t.diagnostic(`${cycle}: ${done.join(', ')}`);
  }
  t.diagnostic(
    `${counts.incremental} incremental, ${counts.full} full; ${counts.read / counts.incremental} bytes each`,
  );
});
