import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { GuestConsole } from '@hypostyle/contracts/testing';
import { data } from '@hypostyle/vim';
import { BackupTool, type KeptDisk } from './harness/backup-tool.ts';
import { type Center, centerOf } from './harness/center.ts';
import { Daemon } from './harness/daemon.ts';
import { strayFiles } from './harness/datastore-owners.ts';
import { type Engine, endEngines, serialSocketOf } from './harness/engines.ts';
import { added, eventually, guestSpec, type Machine, placeGuestDisk, powerOn } from './harness/guest-machine.ts';
import { randomNumbers } from './harness/random-numbers.ts';

// A backup tool at a center, round after round, with a guest that writes in between: each round's copy is restored to a
// new machine and compared with the disk at the snapshot. HYPOSTYLE_RUNS and HYPOSTYLE_SEED make it longer, or the same.
const rounds = Math.max(3, Number(process.env.HYPOSTYLE_RUNS ?? 3));
const seed = Number(process.env.HYPOSTYLE_SEED ?? Date.now() % 2 ** 31);
const dataBytes = 8 << 20;
const blockBytes = 65_536;
const guestLimit = 180_000;
/** The data disk in the guest, by its size: which disk is found first is chance. */
const device = `/dev/$(cd /sys/block; for d in sd*; do [ $(cat $d/size) = ${dataBytes / 512} ] && echo $d; done)`;

let home: string;
let daemon: Daemon;
let center: Center;
let tool: BackupTool;
let machine: Machine;
const random = randomNumbers(seed);

before(async () => {
  home = await mkdtemp(join(tmpdir(), 'hypostyle-backup-'));
  await start();
  // A disk whose changes are told lies in the folder of its machine.
  await placeGuestDisk(daemon, 'web', false);
  const spec = guestSpec({ name: 'web' }, '[datastore1] web/boot.vmdk');
  machine = await center.create({
    ...spec,
    files: { _typeName: 'VirtualMachineFileInfo', vmPathName: '[datastore1] web/web.vmx' },
    changeTrackingEnabled: true,
    deviceChange: [
      ...(spec.deviceChange ?? []),
      added(data('ParaVirtualSCSIController', { key: -10, busNumber: 0, sharedBus: 'noSharing' })),
      {
        ...added(
          data('VirtualDisk', {
            key: -11,
            controllerKey: -10,
            unitNumber: 0,
            capacityInKB: dataBytes / 1024,
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
  tool = new BackupTool(center);
}

async function killDaemon(): Promise<void> {
  await daemon.kill();
  await center[Symbol.asyncDispose]();
  await start();
  await eventually(
    async () => (await center.property(machine, 'runtime.connectionState')) === 'connected',
    'the machine is there again',
    guestLimit,
  );
}

async function inGuest<T>(of: Machine, use: (console: GuestConsole) => Promise<T>): Promise<T> {
  const uuid = await center.property<string>(of, 'config.uuid');
  const engine = (await daemon.engines()).find((one: Engine) => one.arguments.some((word) => word.includes(uuid)));
  assert.ok(engine, 'its engine runs');
  const console = await GuestConsole.connect(serialSocketOf(engine));
  try {
    return await use(console);
  } finally {
    console.close();
  }
}

const runs = async () => (await center.property(machine, 'runtime.powerState')) === 'poweredOn';

async function setRunning(wanted: boolean): Promise<void> {
  if ((await runs()) === wanted) return;
  if (wanted) {
    await powerOn(center.client, machine);
    await inGuest(machine, (console) => console.ready(guestLimit));
  } else await center.client.waitForTask(await center.client.call(machine, 'PowerOffVM_Task', {}));
}

/** Stretches of the data disk, in sectors. */
function stretches(): { readonly sector: number; readonly count: number }[] {
  return Array.from({ length: 1 + random(4) }, () => ({
    sector: random(dataBytes / 512 - 512),
    count: 1 + random(512),
  }));
}

const ddOf = ({ sector, count }: { readonly sector: number; readonly count: number }) =>
  `dd if=/dev/${random(4) === 0 ? 'zero' : 'urandom'} of=$disk bs=512 seek=${sector} count=${count} conv=notrunc 2>/dev/null`;

/** Writes in the guest, and what the disk is then. */
function writeInGuest(): Promise<string> {
  const commands = stretches().map(ddOf).join('; ');
  const look = 'sync; echo 3 >/proc/sys/vm/drop_caches; sha256sum $disk';
  return inGuest(machine, async (console) =>
    (await console.run(`disk=${device}; ${commands}; ${look}`, guestLimit)).slice(0, 64),
  );
}

/** Writes to the disk of a machine that is off, as a restore of single files does. */
async function writeOffline(): Promise<void> {
  await tool.overNbd(machine, '2000:rw', async (disk) => {
    for (const { sector, count } of stretches()) {
      await disk.write(sector * 512, Buffer.alloc(count * 512, 1 + random(255)));
    }
    await disk.flush();
  });
}

/** Bytes of blocks that differ. */
function difference(left: Buffer, right: Buffer): number {
  let bytes = 0;
  for (let at = 0; at < left.length; at += blockBytes) {
    if (!left.subarray(at, at + blockBytes).equals(right.subarray(at, at + blockBytes))) bytes += blockBytes;
  }
  return bytes;
}

const digestOf = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const kinds = ['running', 'running', 'killed', 'killed while removing', 'busy', 'off', 'written while off'] as const;
const first: readonly (typeof kinds)[number][] = ['running', 'killed', 'written while off'];

/** What a guest does that goes on while it is backed up. */
const busyLoop = () =>
  `disk=${device}; (while :; do dd if=/dev/urandom of=$disk bs=64k count=2 seek=${random(100)} conv=notrunc 2>/dev/null; sync; done) >/dev/null 2>&1 & echo $! >/tmp/loop`;

async function round(kind: (typeof kinds)[number], before: readonly KeptDisk[] | undefined): Promise<KeptDisk[]> {
  await setRunning(!kind.includes('off'));
  let digest: string | undefined;
  if (kind === 'written while off') await writeOffline();
  else if (kind !== 'off') digest = await writeInGuest();
  if (kind === 'killed') await killDaemon();
  if (kind === 'busy') {
    digest = undefined;
    await inGuest(machine, (console) => console.run(busyLoop(), guestLimit));
  }
  const kept = await tool.backUp(machine, {
    before,
    streamed: [2000],
    // What the guest goes on to write is no part of it.
    ...(kind === 'running' ? { taken: () => writeInGuest().then(() => {}) } : {}),
    ...(kind === 'killed while removing'
      ? {
          removal: async (begin) => {
            const task = await begin();
            await killDaemon();
            await center.client.waitForTask(task);
          },
        }
      : {}),
  });
  if (kind === 'busy') {
    await inGuest(machine, (console) => console.run('kill $(cat /tmp/loop); wait; true', guestLimit));
  }
  const written = kept.find(({ key }) => key === 2000);
  assert.ok(written);
  if (digest !== undefined) assert.equal(digestOf(written.bytes), digest, 'as the guest read it before the snapshot');
  if (kind === 'written while off') assert.ok(written.full, 'an id of before says nothing any more');
  else if (before !== undefined) assert.ok(!written.full, 'what was kept is the base of it');
  return kept;
}

test(`${rounds} rounds of backup and restore give every byte, seed ${seed}`, async (t) => {
  let kept: KeptDisk[] | undefined;
  const sums = { told: 0, changed: 0, incremental: 0 };
  for (let number = 1; number <= rounds; number += 1) {
    const kind = first[number - 1] ?? kinds[random(kinds.length)] ?? 'running';
    const last = kept;
    try {
      kept = await round(kind, last);
      const restored = await tool.restore(`restored-${number}`, kept);
      for (const [index, bytes] of (await tool.files(restored)).entries()) {
        assert.ok(bytes.equals(kept[index]?.bytes as Buffer), `disk ${index} of the new machine`);
      }
      if (number === rounds) await boots(restored, kept);
      await center.client.waitForTask(await center.client.call(restored, 'Destroy_Task', {}));
    } catch (error) {
      throw new Error(`seed ${seed}, round ${number}: ${kind}`, { cause: error });
    }
    for (const { key, areas, full, bytes } of kept) {
      const base = last?.find((disk) => disk.key === key)?.bytes;
      const told = areas.reduce((sum, { length }) => sum + length, 0);
      const changed = base === undefined ? bytes.length : difference(base, bytes);
      if (key === 2000)
        t.diagnostic(`${number} ${kind}: ${full ? 'whole' : 'changes'}, ${told} bytes read, ${changed} differ`);
      if (full) continue;
      sums.told += told;
      sums.changed += changed;
      sums.incremental += 1;
    }
  }
  t.diagnostic(`${sums.incremental} incremental: ${sums.told} bytes read, ${sums.changed} of blocks that differ`);
  assert.deepEqual(await strayFiles(daemon, center.client), []);
});

/** A restored machine starts, and its guest reads what was kept. */
async function boots(restored: Machine, kept: readonly KeptDisk[]): Promise<void> {
  const port = data('VirtualSerialPort', {
    key: -9,
    yieldOnPoll: true,
    backing: data('VirtualSerialPortDeviceBackingInfo', { deviceName: '' }),
  });
  const spec = data('VirtualMachineConfigSpec', { deviceChange: [added(port)] });
  await center.client.waitForTask(await center.client.call(restored, 'ReconfigVM_Task', { spec }));
  await powerOn(center.client, restored);
  const digest = await inGuest(restored, async (console) => {
    await console.ready(guestLimit);
    return (await console.run(`sha256sum ${device}`, guestLimit)).slice(0, 64);
  });
  assert.equal(digest, digestOf(kept.find(({ key }) => key === 2000)?.bytes as Buffer));
  await center.client.waitForTask(await center.client.call(restored, 'PowerOffVM_Task', {}));
}
