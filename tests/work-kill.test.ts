import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  data,
  type HostConfigManager,
  type ManagedObjectReference,
  type TaskInfo,
  type VirtualDevice,
  type VirtualMachineConfigInfo,
  type VirtualMachineSnapshotTree,
} from '@hypostyle/vim';
import { type Center, centerOf } from './harness/center.ts';
import { Daemon } from './harness/daemon.ts';
import { nothingIsStray } from './harness/datastore-owners.ts';
import { endEngines } from './harness/engines.ts';
import { added, type Machine } from './harness/guest-machine.ts';
import { randomNumbers } from './harness/random-numbers.ts';
import { DatastoreFiles } from './harness/web-files.ts';
import {
  createWrittenGuest,
  guestLimit,
  inGuest,
  isConnected,
  setRunning,
  writtenByGuest,
} from './harness/written-guest.ts';

// A center and its host are killed at random moments of what is done to a machine with a real guest. Afterwards the data
// is the old or the new, no file is orphaned, and the task says which. HYPOSTYLE_RUNS gives more rounds, HYPOSTYLE_WHOLE
// snapshots, moves and linked clones as well, and a start of each clone; HYPOSTYLE_SEED the same again.
type Task = ManagedObjectReference<'Task'>;

const whole = process.env.HYPOSTYLE_WHOLE !== undefined;
const rounds = Number(process.env.HYPOSTYLE_RUNS ?? 1);
const seed = Number(process.env.HYPOSTYLE_SEED ?? Date.now() % 2 ** 31);
const random = randomNumbers(seed);
/** Key of the disk that is added. */
const addedKey = 2001;
/** Waits in the guest until it has so many disks. */
const sees = (disks: number) =>
  `n=0; until [ $(ls -d /sys/block/sd* | wc -l) = ${disks} ]; do n=$((n + 1)); [ $n -gt 60 ] && break; sleep 1; done; [ $n -le 60 ]`;
const urandom = (megabyte: number) =>
  `dd if=/dev/urandom of=$disk bs=1M seek=${megabyte} count=1 conv=notrunc 2>/dev/null`;

let home: string;
let daemon: Daemon;
let center: Center;
let machine: Machine;
/** What the guest's disk is, and what it was at the snapshot. */
let now: string;
let then: string;
let snapshot: ManagedObjectReference<'VirtualMachineSnapshot'>;

before(async () => {
  home = await mkdtemp(join(tmpdir(), 'hypostyle-work-kill-'));
  await start();
  if (whole) {
    const { reference } = await center.localHost();
    const { datastoreSystem } = await center.property<HostConfigManager>(reference, 'configManager');
    assert.ok(datastoreSystem);
    const path = join(home, 'datastores', 'other');
    await center.client.call(datastoreSystem, 'CreateLocalDatastore', { name: 'other', path });
  }
  machine = await createWrittenGuest(center, 'web', false);
  await setRunning(center, machine, true);
  then = await writtenByGuest(center, machine, urandom(0));
  const take = { name: 'then', description: '', memory: false, quiesce: false };
  snapshot = (await ended(await center.client.call(machine, 'CreateSnapshot_Task', take))) as typeof snapshot;
  now = await writtenByGuest(center, machine, urandom(3));
});

after(async () => {
  await center?.[Symbol.asyncDispose]();
  await daemon?.remove();
  await endEngines(home);
  await rm(home, { recursive: true, force: true });
});

async function start(): Promise<void> {
  daemon = await Daemon.start({ home, mode: 'center' });
  center = await centerOf(daemon);
}

const ended = (task: Task) => center.client.waitForTask(task);

/** Begins something, kills the service at a random moment, and answers how the task ended after the restart. */
async function killedAmidst(begin: () => Promise<Task>, withinMs: number): Promise<TaskInfo> {
  const task = await begin();
  const moment = random(withinMs);
  await sleep(moment);
  await daemon.kill();
  await center[Symbol.asyncDispose]();
  await start();
  await isConnected(center, machine);
  await ended(task).catch(() => {});
  const info = await center.property<TaskInfo>(task, 'info');
  assert.ok(info.state === 'success' || info.state === 'error', `the task is ${info.state}`);
  if (info.state === 'error') assert.ok(info.error?.localizedMessage, 'the task says what happened');
  return info;
}

/** As `killedAmidst`, and in the end nothing is stray; the guest runs on, or runs again, with what it wrote last. */
async function staysWhole(begin: () => Promise<Task>, withinMs: number): Promise<TaskInfo> {
  const info = await killedAmidst(begin, withinMs);
  await nothingIsStray(daemon, center.client);
  assert.equal(await center.property(machine, 'runtime.powerState'), 'poweredOn');
  assert.equal(await writtenByGuest(center, machine), now, `${info.name}: ${info.error?.localizedMessage}`);
  return info;
}

/** SHA-256 of a machine's data disk, off or running, as the datastore's files have it. */
async function digestOfFiles(of: Machine): Promise<string> {
  const { fileName } = (await diskOf(of)).backing as { readonly fileName: string };
  const path = fileName.replace(/^\[[^\]]*\] */, '').replace(/\.vmdk$/, '-flat.vmdk');
  return createHash('sha256')
    .update(await new DatastoreFiles(center.client, daemon).read(path))
    .digest('hex');
}

async function diskOf(of: Machine): Promise<VirtualDevice> {
  const { hardware } = await center.property<VirtualMachineConfigInfo>(of, 'config');
  const disk = hardware.device?.find(({ key }) => key === 2000);
  assert.ok(disk);
  return disk;
}

async function round(number: number): Promise<void> {
  const device = data('VirtualDisk', {
    key: -1,
    controllerKey: 1000,
    unitNumber: 1,
    capacityInKB: 4096,
    backing: data('VirtualDiskFlatVer2BackingInfo', {
      fileName: '',
      diskMode: 'persistent',
      thinProvisioned: false,
      eagerlyScrub: true,
    }),
  });
  const spec = data('VirtualMachineConfigSpec', {
    annotation: `changed ${number}`,
    deviceChange: [{ ...added(device), fileOperation: 'create' }],
  });
  const changed = await killedAmidst(() => center.client.call(machine, 'ReconfigVM_Task', { spec }), 500);
  const config = await center.property<VirtualMachineConfigInfo>(machine, 'config');
  const there = config.hardware.device?.some(({ key }) => key === addedKey) ?? false;
  assert.equal(config.annotation === `changed ${number}`, changed.state === 'success');
  assert.equal(there, changed.state === 'success');
  await nothingIsStray(daemon, center.client);
  // The guest runs on, and has what the configuration has.
  await inGuest(center, machine, (console) => console.run(sees(2 + Number(there)), guestLimit));
  assert.equal(await writtenByGuest(center, machine), now);
  if (there) await removeDisk(addedKey);

  const folder = await center.machineFolder();
  const { pool } = await center.localHost();
  const clone = data('VirtualMachineCloneSpec', {
    location: data('VirtualMachineRelocateSpec', { pool }),
    powerOn: false,
    template: false,
  });
  const name = `copy-${number}`;
  const cloned = await killedAmidst(
    () => center.client.call(machine, 'CloneVM_Task', { folder, name, spec: clone }),
    800,
  );
  const copy = (await center.machines()).get(name);
  assert.equal(copy !== undefined, cloned.state === 'success', cloned.error?.localizedMessage);
  await nothingIsStray(daemon, center.client);
  if (copy !== undefined) {
    assert.equal(await digestOfFiles(copy), now);
    if (whole) {
      await setRunning(center, copy, true);
      assert.equal(await writtenByGuest(center, copy), now);
      await setRunning(center, copy, false);
    }
    await ended(await center.client.call(copy, 'Destroy_Task', {}));
  }
  assert.equal(await writtenByGuest(center, machine), now, 'the original goes on');

  const reverted = await killedAmidst(() => center.client.call(snapshot, 'RevertToSnapshot_Task', {}), 500);
  await nothingIsStray(daemon, center.client);
  await setRunning(center, machine, true);
  const digest = await writtenByGuest(center, machine);
  if (reverted.state === 'success') assert.equal(digest, then);
  else assert.ok([now, then].includes(digest), 'the data is the old or the new');
  now = await writtenByGuest(center, machine, urandom(1 + random(6)));
}

type Tree = VirtualMachineSnapshotTree;

async function snapshotNamed(name: string): Promise<ManagedObjectReference<'VirtualMachineSnapshot'> | undefined> {
  const info = await center.property<{ rootSnapshotList?: readonly Tree[] } | undefined>(machine, 'snapshot');
  const flat = (trees: readonly Tree[] = []): Tree[] =>
    trees.flatMap((tree) => [tree, ...flat(tree.childSnapshotList)]);
  return flat(info?.rootSnapshotList).find((tree) => tree.name === name)?.snapshot;
}

/** A snapshot with memory comes and goes, and what it leaves is merged. */
async function snapshotRound(number: number): Promise<void> {
  const name = `kept ${number}`;
  const take = () =>
    center.client.call(machine, 'CreateSnapshot_Task', { name, description: '', memory: true, quiesce: false });
  const taken = await staysWhole(take, 900);
  assert.equal((await snapshotNamed(name)) !== undefined, taken.state === 'success', taken.error?.localizedMessage);
  if (taken.state === 'error') await ended(await take());
  now = await writtenByGuest(center, machine, urandom(1 + random(6)));
  const kept = await snapshotNamed(name);
  assert.ok(kept);
  const remove = () =>
    center.client.call(kept, 'RemoveSnapshot_Task', { removeChildren: false, consolidate: number % 2 === 0 });
  const removed = await staysWhole(remove, 500);
  assert.equal((await snapshotNamed(name)) === undefined, removed.state === 'success', removed.error?.localizedMessage);
  if (removed.state === 'error') await ended(await remove());
  now = await writtenByGuest(center, machine, urandom(1 + random(6)));
  const consolidate = () => center.client.call(machine, 'ConsolidateVMDisks_Task', {});
  if ((await staysWhole(consolidate, 500)).state === 'error') await ended(await consolidate());
  assert.equal(await center.property(machine, 'runtime.consolidationNeeded'), false);
  assert.equal(await writtenByGuest(center, machine), now);
}

/** A linked clone of the snapshot: what it was then, and the machine goes on. */
async function linkedRound(number: number): Promise<void> {
  const [folder, { pool }] = [await center.machineFolder(), await center.localHost()];
  const location = data('VirtualMachineRelocateSpec', { pool, diskMoveType: 'createNewChildDiskBacking' });
  const spec = data('VirtualMachineCloneSpec', { location, snapshot, powerOn: false, template: false });
  const name = `linked-${number}`;
  const cloned = await staysWhole(() => center.client.call(machine, 'CloneVM_Task', { folder, name, spec }), 500);
  const copy = (await center.machines()).get(name);
  assert.equal(copy !== undefined, cloned.state === 'success', cloned.error?.localizedMessage);
  if (copy === undefined) return;
  await setRunning(center, copy, true);
  assert.equal(await writtenByGuest(center, copy), then);
  await setRunning(center, copy, false);
  await ended(await center.client.call(copy, 'Destroy_Task', {}));
}

/** To another datastore under the guest, and back while it is off. */
async function moveRound(): Promise<void> {
  const stores = new Map<string, ManagedObjectReference<'Datastore'>>();
  for (const one of await center.all('Datastore')) stores.set(await center.property<string>(one, 'name'), one);
  const place = async () =>
    /^\[(.*?)\]/.exec((await center.property<VirtualMachineConfigInfo>(machine, 'config')).files.vmPathName ?? '')?.[1];
  const move = (name: string) => () => {
    const spec = data('VirtualMachineRelocateSpec', { datastore: stores.get(name) as never });
    return center.client.call(machine, 'RelocateVM_Task', { spec });
  };
  const moved = await staysWhole(move('other'), 1200);
  assert.equal(await place(), moved.state === 'success' ? 'other' : 'datastore1', moved.error?.localizedMessage);
  if (moved.state === 'error') await ended(await move('other')());
  await setRunning(center, machine, false);
  const back = await killedAmidst(move('datastore1'), 800);
  assert.equal(await place(), back.state === 'success' ? 'datastore1' : 'other', back.error?.localizedMessage);
  if (back.state === 'error') await ended(await move('datastore1')());
  await nothingIsStray(daemon, center.client);
  await setRunning(center, machine, true);
  assert.equal(await writtenByGuest(center, machine), now, 'it boots with what it had');
}

async function removeDisk(key: number): Promise<void> {
  const { hardware } = await center.property<VirtualMachineConfigInfo>(machine, 'config');
  const device = hardware.device?.find((one) => one.key === key) as VirtualDevice;
  const spec = data('VirtualMachineConfigSpec', {
    deviceChange: [{ operation: 'remove', fileOperation: 'destroy', device }],
  });
  await ended(await center.client.call(machine, 'ReconfigVM_Task', { spec }));
}

test(`a machine that is changed amid kills has the old data or the new, seed ${seed}`, {
  timeout: 60_000 + rounds * (whole ? 12 : 4) * guestLimit,
}, async () => {
  for (let number = 1; number <= rounds; number += 1) {
    await (async () => {
      await round(number);
      if (!whole) return;
      await snapshotRound(number);
      await linkedRound(number);
      await moveRound();
    })().catch((error: unknown) => {
      throw new Error(`seed ${seed}, round ${number}`, { cause: error });
    });
  }
  await setRunning(center, machine, false);
  await ended(await center.client.call(machine, 'Destroy_Task', {}));
  await nothingIsStray(daemon, center.client);
});
