import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { data } from '@hypostyle/vim';
import { BackupTool, type KeptDisk } from './harness/backup-tool.ts';
import { type Center, centerOf } from './harness/center.ts';
import { Daemon } from './harness/daemon.ts';
import { nothingIsStray } from './harness/datastore-owners.ts';
import { endEngines } from './harness/engines.ts';
import { added, type Machine } from './harness/guest-machine.ts';
import { randomNumbers } from './harness/random-numbers.ts';
import {
  createWrittenGuest,
  dataBytes,
  dataDevice,
  guestLimit,
  inGuest,
  isConnected,
  setRunning,
  writtenByGuest,
} from './harness/written-guest.ts';

// A backup tool at a center, round after round, with a guest that writes in between: each round's copy is restored to a
// new machine and compared with the disk at the snapshot. HYPOSTYLE_RUNS gives more rounds, with
// kills; HYPOSTYLE_WHOLE boots the last copy; HYPOSTYLE_SEED has the same again.
const whole = process.env.HYPOSTYLE_WHOLE !== undefined;
const rounds = Math.max(3, Number(process.env.HYPOSTYLE_RUNS ?? 3));
const seed = Number(process.env.HYPOSTYLE_SEED ?? Date.now() % 2 ** 31);
const blockBytes = 65_536;

let home: string;
let daemon: Daemon;
let center: Center;
let tool: BackupTool;
let machine: Machine;
const random = randomNumbers(seed);

before(async () => {
  home = await mkdtemp(join(tmpdir(), 'hypostyle-backup-'));
  await start();
  machine = await createWrittenGuest(center, 'web', true);
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
  await isConnected(center, machine);
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
const writeInGuest = () => writtenByGuest(center, machine, stretches().map(ddOf).join('; '));
const run = (command: string) => inGuest(center, machine, (console) => console.run(command, guestLimit));

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
  `disk=${dataDevice}; rm -f /tmp/stop; (while [ ! -e /tmp/stop ]; do dd if=/dev/urandom of=$disk bs=64k count=2 seek=${random(100)} conv=notrunc 2>/dev/null; sync; done) >/dev/null 2>&1 & echo $! >/tmp/loop`;

async function round(kind: (typeof kinds)[number], before: readonly KeptDisk[] | undefined): Promise<KeptDisk[]> {
  await setRunning(center, machine, !kind.includes('off'));
  let digest: string | undefined;
  if (kind === 'written while off') await writeOffline();
  else if (kind !== 'off') digest = await writeInGuest();
  if (kind === 'killed') await killDaemon();
  if (kind === 'busy') {
    digest = undefined;
    await run(busyLoop());
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
    await run('touch /tmp/stop; wait $(cat /tmp/loop)');
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
      // Its bytes are right: that it starts as well takes seconds.
      if (number === rounds && whole) await boots(restored, kept);
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
  await nothingIsStray(daemon, center.client);
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
  await setRunning(center, restored, true);
  const digest = await writtenByGuest(center, restored);
  assert.equal(digest, digestOf(kept.find(({ key }) => key === 2000)?.bytes as Buffer));
  await center.client.waitForTask(await center.client.call(restored, 'PowerOffVM_Task', {}));
}
