/**
 * Clones: many linked ones at a time beside `qemu-img create -b`, and beside their bytes alone; a whole one beside
 * `cp --sparse=auto`.
 *
 *     node bench/clones.ts [--rounds N] [--many N] [--many-rounds N] [--mebibytes N] [--folder FOLDER] [--json]
 *
 * Ours is measured from a client's calls over HTTPS at a center, all at a time, to the end of the last task, which it
 * hears of by one filter: machines that are registered, with their own identities, durable. Images are made one after
 * another, as a script makes them. The bytes are the files of such clones, written and synced by this process, all at a
 * time: what ours takes beyond them is what it takes to register machines. 20 rounds of 25 by default, and of 250; disks
 * of 1 GiB with 256 MiB in them.
 */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, open, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import type { ManagedObjectReference, VirtualMachineCloneSpec } from '@hypostyle/vim';
import { centerOf } from '../tests/harness/center.ts';
import { Daemon } from '../tests/harness/daemon.ts';
import { percentile } from './api/percentile.ts';
import { CopiedFolder } from './machines/copied-folder.ts';
import { tasksOver } from './machines/tasks-over.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '20' },
    many: { type: 'string', default: '250' },
    'many-rounds': { type: 'string', default: '20' },
    mebibytes: { type: 'string', default: '256' },
    folder: { type: 'string', default: tmpdir() },
    json: { type: 'boolean', default: false },
  },
});
const rounds = Number(values.rounds);
const many = Number(values.many);
const manyRounds = many > 0 ? Number(values['many-rounds']) : 0;
const mebibytes = Number(values.mebibytes);
const mebibyte = 2 ** 20;
const run = promisify(execFile);

type Machine = ManagedObjectReference<'VirtualMachine'>;
type Pair = readonly [ours: number, theirs: number];

const figures = new Map<string, Pair[]>();
const bytes: Record<string, number> = {};
const folder = await mkdtemp(join(values.folder, 'bench-clones-'));
const daemon = await Daemon.start({ mode: 'center' });
const center = await centerOf(daemon);
const { client } = center;
try {
  const host = await center.localHost();
  const [datacenter] = await center.all('Datacenter');
  if (datacenter === undefined) throw new Error('there is no datacenter');
  const vmFolder = await center.property<ManagedObjectReference<'Folder'>>(datacenter, 'vmFolder');
  const done = async (task: Promise<ManagedObjectReference<'Task'>>) => client.waitForTask(await task);
  const base = (await done(
    client.call(vmFolder, 'CreateVM_Task', { config: baseSpec() as never, pool: host.pool }),
  )) as Machine;
  await fill(join(daemon.datastore, 'base', 'base-flat.vmdk'));
  const snapshot = (await done(
    client.call(base, 'CreateSnapshot_Task', { name: 'base', description: '', memory: false, quiesce: false }),
  )) as ManagedObjectReference<'VirtualMachineSnapshot'>;
  const begin = (name: string, spec: object) =>
    client.call(base, 'CloneVM_Task', {
      folder: vmFolder,
      name,
      spec: { template: false, powerOn: false, snapshot, ...spec } as VirtualMachineCloneSpec,
    });
  const clone = (name: string, spec: object) => done(begin(name, spec)) as Promise<Machine>;
  const asLink = { location: { diskMoveType: 'createNewChildDiskBacking' } };
  let copied: CopiedFolder | undefined;
  const linkMany = async (count: number): Promise<number> => {
    const begun = performance.now();
    const tasks = await Promise.all(Array.from({ length: count }, (_, number) => begin(`desk${number}`, asLink)));
    const made = (await tasksOver(client, tasks)) as Machine[];
    const took = performance.now() - begun;
    bytes[`${count} linked clones`] = await usedBytes(daemon.datastore, /^desk/);
    copied ??= await CopiedFolder.of(join(daemon.datastore, 'desk0'));
    await tasksOver(client, await Promise.all(made.map((machine) => client.call(machine, 'Destroy_Task', {}))));
    return took;
  };
  /** The same files, as durable, by nobody's leave. */
  const bytesMany = async (count: number): Promise<number> => {
    const copies = join(folder, 'copies');
    await mkdir(copies);
    const took = (await copied?.make(copies, count)) ?? Number.NaN;
    bytes[`${count} folders of the same bytes`] = await usedBytes(copies, /./);
    await rm(copies, { recursive: true });
    return took;
  };
  const imagesMany = async (count: number): Promise<number> => {
    const images = join(folder, 'images');
    await mkdir(images);
    const flat = join(daemon.datastore, 'base', 'base-flat.vmdk');
    const begun = performance.now();
    for (let number = 0; number < count; number += 1)
      await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', flat, join(images, `${number}.qcow2`)]);
    const took = performance.now() - begun;
    bytes[`${count} images`] = await usedBytes(images, /./);
    await rm(images, { recursive: true });
    return took;
  };
  const copyOnce = async (): Promise<number> => {
    const begun = performance.now();
    const copy = await clone('copy', { location: {} });
    const took = performance.now() - begun;
    await done(client.call(copy, 'Destroy_Task', {}));
    return took;
  };
  const cpOnce = async (): Promise<number> => {
    const target = join(folder, 'copy.raw');
    const begun = performance.now();
    await run('cp', ['--sparse=auto', join(daemon.datastore, 'base', 'base-flat.vmdk'), target]);
    const file = await open(target, 'r+');
    await file.sync();
    await file.close();
    const took = performance.now() - begun;
    await rm(target);
    return took;
  };
  // The first ones read everything from disk, and are not measured.
  await linkMany(2);
  await copyOnce();
  const linked = (round: number, count: number) =>
    compare(round, () => linkMany(count), {
      [`${count} linked clones, beside ${count} images`]: () => imagesMany(count),
      [`${count} linked clones, beyond their bytes`]: () => bytesMany(count),
    });
  for (let round = 0; round < rounds; round += 1) {
    await linked(round, 25);
    await compare(round, copyOnce, { 'a whole clone, beside cp --sparse': cpOnce });
  }
  for (let round = 0; round < manyRounds; round += 1) await linked(round, many);
  report();
} finally {
  await center[Symbol.asyncDispose]();
  await daemon.remove();
  await rm(folder, { recursive: true, force: true });
}

/** Does ours and each of theirs, in the other order each time, and keeps what they took. */
async function compare(
  round: number,
  ours: () => Promise<number>,
  theirs: Readonly<Record<string, () => Promise<number>>>,
): Promise<void> {
  const took = new Map<string, number>();
  const works = [['', ours] as const, ...Object.entries(theirs)];
  for (const [name, work] of round % 2 === 0 ? works : works.toReversed()) took.set(name, await work());
  for (const name of Object.keys(theirs)) {
    const pairs = figures.get(name) ?? [];
    figures.set(name, pairs);
    pairs.push([took.get('') ?? Number.NaN, took.get(name) ?? Number.NaN]);
  }
}

function baseSpec() {
  return {
    _typeName: 'VirtualMachineConfigSpec',
    name: 'base',
    guestId: 'otherLinux64Guest',
    memoryMB: 64n,
    files: { _typeName: 'VirtualMachineFileInfo', vmPathName: '[datastore1]' },
    deviceChange: [
      {
        _typeName: 'VirtualDeviceConfigSpec',
        operation: 'add',
        device: { _typeName: 'ParaVirtualSCSIController', key: -1, busNumber: 0, sharedBus: 'noSharing' },
      },
      {
        _typeName: 'VirtualDeviceConfigSpec',
        operation: 'add',
        fileOperation: 'create',
        device: {
          _typeName: 'VirtualDisk',
          key: -2,
          controllerKey: -1,
          unitNumber: 0,
          capacityInKB: 1_048_576n,
          backing: {
            _typeName: 'VirtualDiskFlatVer2BackingInfo',
            fileName: '',
            diskMode: 'persistent',
            thinProvisioned: true,
          },
        },
      },
    ],
  };
}

/** Bytes that are there, in stretches with holes between. */
async function fill(path: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    const piece = Buffer.alloc(mebibyte, 7);
    for (let at = 0; at < mebibytes; at += 1) await file.write(piece, 0, mebibyte, ((at * 3) % 1024) * mebibyte);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function usedBytes(directory: string, names: RegExp): Promise<number> {
  let used = 0;
  for (const entry of await readdir(directory, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    if (names.test(path.slice(directory.length + 1))) used += (await stat(path)).blocks * 512;
  }
  return used;
}

function report(): void {
  const spread = (all: readonly number[]) => ({ median: percentile(all, 0.5), p95: percentile(all, 0.95) });
  const rows = [...figures].map(([name, pairs]) => ({
    name,
    ours: spread(pairs.map(([ours]) => ours)),
    theirs: spread(pairs.map(([, theirs]) => theirs)),
    ratio: spread(pairs.map(([ours, theirs]) => ours / theirs)),
    beyond: spread(pairs.map(([ours, theirs]) => ours - theirs)),
  }));
  if (values.json) {
    console.log(JSON.stringify({ rounds, manyRounds, figures: rows, bytes }));
    return;
  }
  console.log(`${rounds} rounds, ${manyRounds} of ${many}; milliseconds: median and p95`);
  for (const { name, ours, theirs, ratio, beyond } of rows)
    console.log(
      `${name}: ours ${ours.median.toFixed(0)}, ${ours.p95.toFixed(0)}; theirs ${theirs.median.toFixed(0)}, ` +
        `${theirs.p95.toFixed(0)}; ratio ${ratio.median.toFixed(2)}, ${ratio.p95.toFixed(2)}; ` +
        `${beyond.median.toFixed(0)}, ${beyond.p95.toFixed(0)} more`,
    );
  for (const [name, used] of Object.entries(bytes)) console.log(`${name}: ${(used / mebibyte).toFixed(1)} MiB`);
}
