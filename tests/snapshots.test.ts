import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import type { GuestConsole } from '@hypostyle/contracts/testing';
import { type Client, data, type ManagedObjectReference, type VirtualMachineSnapshotInfo } from '@hypostyle/vim';
import { runClient } from './harness/client-script.ts';
import { Daemon } from './harness/daemon.ts';
import { endEngines } from './harness/engines.ts';
import { onConsole } from './harness/guest-console.ts';
import {
  added,
  createGuest,
  eventually,
  type Machine,
  powerOn,
  propertyOf,
  signedIn,
} from './harness/guest-machine.ts';

const run = promisify(execFile);

type Snapshot = ManagedObjectReference<'VirtualMachineSnapshot'>;

const dataMiB = 16;
/** The data disk in the guest, by its size: which disk is found first is chance. */
const device = `/dev/$(cd /sys/block; for d in sd*; do [ $(cat $d/size) = ${dataMiB * 2048} ] && echo $d; done)`;

let home: string;
let daemon: Daemon;
let client: Client;

before(async () => {
  home = await mkdtemp(join(tmpdir(), 'hypostyle-snapshots-'));
  daemon = await Daemon.start({ home });
  client = await signedIn(daemon);
});

after(async () => {
  await client?.[Symbol.asyncDispose]();
  await daemon?.remove();
  await endEngines(home);
  await rm(home, { recursive: true, force: true });
});

const property = <T>(object: ManagedObjectReference, path: string) => propertyOf<T>(client, object, path);

/** A guest with an agent and an empty disk of its own. */
async function guestWithDisk(name: string): Promise<Machine> {
  const machine = await createGuest(client, daemon, { name, agent: true });
  const spec = data('VirtualMachineConfigSpec', {
    deviceChange: [
      added(data('ParaVirtualSCSIController', { key: -10, busNumber: 0, sharedBus: 'noSharing' })),
      {
        ...added(
          data('VirtualDisk', {
            key: -11,
            controllerKey: -10,
            unitNumber: 0,
            capacityInKB: dataMiB * 1024,
            backing: data('VirtualDiskFlatVer2BackingInfo', {
              fileName: '',
              diskMode: 'persistent',
              thinProvisioned: true,
            }),
          }),
        ),
        fileOperation: 'create',
      },
    ],
  });
  await client.waitForTask(await client.call(machine, 'ReconfigVM_Task', { spec }));
  return machine;
}

const inGuest = <T>(use: (console: GuestConsole) => Promise<T>) => onConsole(daemon, undefined, use);

const booted = () => inGuest((console) => console.ready());
/** Writes a megabyte that nobody can guess, and answers what the disk is then. */
const write = (megabyte: number) =>
  inGuest(async (console) => {
    await console.run(
      `dd if=/dev/urandom of=${device} bs=1M count=1 seek=${megabyte} conv=notrunc 2>/dev/null && sync`,
      60_000,
    );
    return digest(console);
  });
const digest = async (console: GuestConsole) =>
  (await console.run(`sync; echo 3 >/proc/sys/vm/drop_caches; sha256sum ${device}`, 60_000)).split(' ')[0];
const read = () => inGuest(digest);

async function take(
  machine: Machine,
  name: string,
  { quiesce = false, memory = false }: { readonly quiesce?: boolean; readonly memory?: boolean } = {},
): Promise<Snapshot> {
  const task = await client.call(machine, 'CreateSnapshot_Task', { name, memory, quiesce });
  return (await client.waitForTask(task)) as Snapshot;
}

/** A count that the guest keeps in memory alone, one more at each call. */
const count = () => inGuest(async (console) => Number(await console.run('echo x >>/tmp/count && wc -l </tmp/count')));

/** The daemon is killed, and there is another one. */
async function restarted(): Promise<void> {
  await daemon.kill();
  await client[Symbol.asyncDispose]();
  daemon = await Daemon.start({ home });
  client = await signedIn(daemon);
}

async function diskFiles(name: string): Promise<string[]> {
  return (await readdir(join(daemon.datastore, name)))
    .filter((file) => /\.(vmdk|qcow2|vmsn|vmem|vmss|partial)$/.test(file))
    .sort();
}

test('a real guest writes, is taken, goes on and is brought back; removal under it keeps every byte', async () => {
  const machine = await guestWithDisk('written');
  await powerOn(client, machine);
  await booted();
  await eventually(
    async () => (await property(machine, 'guest.toolsRunningStatus')) === 'guestToolsRunning',
    'the agent',
  );
  await write(0);
  const first = await take(machine, 'first', { quiesce: true });
  const info = await property<VirtualMachineSnapshotInfo>(machine, 'snapshot');
  assert.equal(info.rootSnapshotList[0]?.quiesced, true);
  await write(1);
  const second = await take(machine, 'second');
  const atSecond = await read();
  const later = await write(0);
  assert.notEqual(later, atSecond);
  await client.waitForTask(
    await client.call(first, 'RemoveSnapshot_Task', { removeChildren: false, consolidate: true }),
  );
  assert.equal(await read(), later, 'a snapshot below was removed under the guest');
  await client.waitForTask(await client.call(second, 'RevertToSnapshot_Task', {}));
  assert.equal(await property(machine, 'runtime.powerState'), 'poweredOff');
  await powerOn(client, machine);
  await booted();
  assert.equal(await read(), atSecond, 'as at the snapshot');
  // With its memory: it runs on from there, on the disk of then, whatever was done to it since.
  assert.deepEqual([await count(), await count()], [1, 2]);
  const engine = (await daemon.engines())[0]?.pid;
  const asleep = await take(machine, 'with memory', { memory: true });
  assert.equal((await daemon.engines())[0]?.pid, engine, 'the guest ran meanwhile');
  assert.deepEqual([await count(), await read()], [3, atSecond]);
  await write(4);
  // The daemon is killed while memory is on its way: it is kept, or taken back, and the guest runs.
  const begun = await client.call(machine, 'CreateSnapshot_Task', { name: 'killed', memory: true, quiesce: false });
  await eventually(
    async () => (await readdir(join(daemon.datastore, 'written'))).some((name) => /Snapshot4\.vmem/.test(name)),
    'memory on its way',
  );
  await restarted();
  const end = await client.waitForTask(begun).then(
    () => 'kept',
    (error: unknown) => String((error as { readonly type?: string }).type),
  );
  assert.match(end, /^(kept|SnapshotFault)$/);
  assert.equal(await count(), 4);
  const revert = await client.call(asleep, 'RevertToSnapshot_Task', {});
  await client.waitForTask(revert);
  assert.equal(await property(machine, 'runtime.powerState'), 'poweredOn');
  assert.deepEqual([await count(), await read()], [3, atSecond], 'memory and disk of one moment');
  // What was going on when the daemon is killed goes on: the guest never notices.
  const before = await write(2);
  const task = await client.call(machine, 'RemoveAllSnapshots_Task', {});
  await restarted();
  await client.waitForTask(task);
  await eventually(async () => (await property(machine, 'runtime.powerState')) === 'poweredOn', 'it runs');
  assert.equal(await read(), before);
  assert.deepEqual(await diskFiles('written'), ['written-flat.vmdk', 'written.vmdk']);
  const last = await write(3);
  await client.waitForTask(await client.call(machine, 'PowerOffVM_Task', {}));
  const { stdout } = await run('sha256sum', [join(daemon.datastore, 'written', 'written-flat.vmdk')]);
  assert.equal(stdout.split(' ')[0], last, 'the bytes are in the plain disk');
  await client.waitForTask(await client.call(machine, 'Destroy_Task', {}));
});

test('a chain of 32 levels boots and is written', async () => {
  const machine = await guestWithDisk('deep');
  for (let level = 1; level <= 32; level += 1) await take(machine, `level ${level}`);
  await assert.rejects(take(machine, 'one more'), { type: 'TooManySnapshotLevels' });
  // Whatever the deltas are made of, their descriptors name their parents as VMDK does.
  const descriptor = (level: number) =>
    readFile(
      join(daemon.datastore, 'deep', level === 0 ? 'deep.vmdk' : `deep-${String(level).padStart(6, '0')}.vmdk`),
      'utf8',
    );
  const cidOf = (text: string) => /^CID=(.+)$/m.exec(text)?.[1];
  for (let level = 32; level > 0; level -= 1) {
    const [text, below] = await Promise.all([descriptor(level), descriptor(level - 1)]);
    assert.match(text, new RegExp(`^parentCID=${cidOf(below)}$`, 'm'), `level ${level}`);
    const parent = level === 1 ? 'deep' : `deep-${String(level - 1).padStart(6, '0')}`;
    assert.match(text, new RegExp(`^parentFileNameHint="${parent}\\.vmdk"$`, 'm'), `level ${level}`);
  }
  await powerOn(client, machine);
  await booted();
  const written = await write(1);
  assert.equal(await read(), written);
  await client.waitForTask(await client.call(machine, 'PowerOffVM_Task', {}));
  await client.waitForTask(await client.call(machine, 'Destroy_Task', {}));
  assert.ok(!(await readdir(daemon.datastore)).includes('deep'));
});

test("Debian's pyVmomi takes, reverts, renames and removes", async () => {
  assert.deepEqual(await runClient('pyvmomi_snapshots.py', daemon), [
    'taken',
    'the tree',
    'the configuration of a snapshot',
    'renamed',
    'reverted',
    'a branch',
    'removed with its children',
    'documented faults',
    'all removed',
    'changed blocks',
  ]);
});
