/**
 * What is done to machines, beside plain QEMU in turns: power-on to the guest's first instruction, snapshots and
 * reverts, without memory and with it.
 *
 *     node bench/machines.ts [--rounds N] [--folder FOLDER] [--json]
 *
 * 20 rounds by default. Ours is measured from a client's call over HTTPS, with what is durable when it ends; theirs
 * from the start of QEMU with the same devices by hand, or from the monitor's command. A pair is both in one round.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Daemon } from '../tests/harness/daemon.ts';
import { signedIn } from '../tests/harness/guest-machine.ts';
import { percentile } from './api/percentile.ts';
import { writeBootSector } from './machines/boot-sector.ts';
import { OurMachine } from './machines/our-machine.ts';
import { PlainQemu } from './machines/plain-qemu.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '20' },
    folder: { type: 'string', default: tmpdir() },
    json: { type: 'boolean', default: false },
  },
});
const rounds = Number(values.rounds);
const memoryMiB = 256;
const diskBytes = 2 ** 30;

type Pair = readonly [ours: number, theirs: number];

const figures = new Map<string, Pair[]>();

/** Does both, the other one first each time, and keeps what they took. */
async function pair(name: string, ours: () => Promise<number>, theirs: () => Promise<number>): Promise<void> {
  const pairs = figures.get(name) ?? [];
  figures.set(name, pairs);
  if (pairs.length % 2 === 0) {
    const first = await ours();
    pairs.push([first, await theirs()]);
  } else {
    const first = await theirs();
    pairs.push([await ours(), first]);
  }
}

const folder = await mkdtemp(join(values.folder, 'bench-machines-'));
const daemon = await Daemon.start();
const client = await signedIn(daemon);
const machine = await OurMachine.create(client, daemon, { name: 'ours', memoryMiB, diskBytes });
let plain: PlainQemu | undefined;
try {
  const base = join(folder, 'base.raw');
  await writeBootSector(base, diskBytes);
  // The first one is not measured: it finds out what the machine is like, and reads QEMU from disk.
  await machine.powerOn();
  const [engine] = await daemon.engines();
  const accelerator = engine?.arguments.some((argument) => /\bkvm\b/.test(argument)) ? 'kvm' : 'tcg';
  await machine.powerOff();
  await mkdir(join(folder, 'plain'));
  const qemu = await PlainQemu.at({ folder: join(folder, 'plain'), accelerator, memoryMiB, base });
  plain = qemu;
  await qemu.powerOn();
  await qemu.powerOff();
  for (let round = 0; round < rounds; round += 1) {
    const ours = () => machine.powerOn();
    await pair('power-on, beside QEMU without its defaults', ours, () => qemu.powerOn({ bare: true }));
    await machine.powerOff();
    await qemu.powerOff();
    await pair('power-on to the first instruction', ours, () => qemu.powerOn());
    await pair(
      'snapshot without memory',
      () => machine.snapshot(false),
      () => qemu.snapshotDisk(),
    );
    await pair(
      'revert to it: off, the disk as it was',
      () => machine.revert(),
      () => qemu.revertDisk(),
    );
    await machine.removeSnapshots();
    await machine.powerOn();
    await qemu.powerOn();
    await pair(
      'snapshot without memory, beside QEMU with its files made durable',
      () => machine.snapshot(false),
      () => qemu.snapshotDurably(),
    );
    await pair(
      'revert to it, beside QEMU with its files made durable',
      () => machine.revert(),
      () => qemu.revertDurably(),
    );
    await machine.removeSnapshots();
    await machine.powerOn();
    await qemu.powerOff();
    // An image that has memory in itself, as QEMU's own command wants it.
    await qemu.renew();
    await qemu.powerOn();
    await pair(
      'snapshot with memory, beside savevm',
      () => machine.snapshot(true),
      () => qemu.monitor('savevm memory'),
    );
    await machine.powerOff();
    await qemu.powerOff();
    await pair(
      'revert to it: off, then running with its memory, beside loadvm at the start',
      () => machine.revert(),
      () => qemu.load('memory'),
    );
    await machine.powerOff();
    await qemu.powerOff();
    await machine.removeSnapshots();
    await qemu.renew();
  }
  report(accelerator);
} finally {
  await plain?.close();
  machine.close();
  await client[Symbol.asyncDispose]();
  await daemon.remove();
  await rm(folder, { recursive: true, force: true });
}

interface Figure {
  readonly name: string;
  /** Milliseconds. */
  readonly ours: { readonly median: number; readonly p95: number };
  readonly theirs: { readonly median: number; readonly p95: number };
  /** Ours by theirs, of pairs. */
  readonly ratio: { readonly median: number; readonly p95: number };
}

function report(accelerator: string): void {
  const spread = (all: readonly number[]) => ({ median: percentile(all, 0.5), p95: percentile(all, 0.95) });
  const rows = [...figures].map(
    ([name, pairs]): Figure => ({
      name,
      ours: spread(pairs.map(([ours]) => ours)),
      theirs: spread(pairs.map(([, theirs]) => theirs)),
      ratio: spread(pairs.map(([ours, theirs]) => ours / theirs)),
    }),
  );
  if (values.json) {
    console.log(JSON.stringify({ accelerator, rounds, figures: rows }));
    return;
  }
  console.log(`under ${accelerator}, ${rounds} rounds, milliseconds: median and p95`);
  for (const { name, ours, theirs, ratio } of rows) {
    const both = ({ median, p95 }: { median: number; p95: number }, digits: number) =>
      `${median.toFixed(digits)}, ${p95.toFixed(digits)}`;
    console.log(`${name}: ours ${both(ours, 0)}; plain QEMU ${both(theirs, 0)}; ratio ${both(ratio, 2)}`);
  }
}
