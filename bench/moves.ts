/**
 * Storage moves of a machine that runs and writes all the time, beside `blockdev-mirror` of plain QEMU in turns: how
 * long the move takes, and the guest's worst stall meanwhile, as the guest tells it.
 *
 *     node bench/moves.ts [--rounds N] [--stored MIB] [--folder FOLDER] [--json]
 *
 * 20 rounds by default, of a disk with 128 MiB. Ours is measured from a client's call over HTTPS to the end of the
 * task, with all files at the new place and none at the former one; theirs from making the new file to deleting the
 * former one. The guest writes 4 KiB after 4 KiB; looks at it are a millisecond apart. The other engine is stopped
 * meanwhile: a guest that writes all the time takes a processor.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { data, type ManagedObjectReference } from '@hypostyle/vim';
import { Daemon } from '../tests/harness/daemon.ts';
import { added, createMachine, machineSpec, powerOn, signedIn } from '../tests/harness/guest-machine.ts';
import { percentile } from './api/percentile.ts';
import { PlainMover } from './machines/plain-mover.ts';
import { StallWatch, writeWritingDisk } from './machines/writing-guest.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '20' },
    stored: { type: 'string', default: '128' },
    folder: { type: 'string', default: tmpdir() },
    json: { type: 'boolean', default: false },
  },
});
const rounds = Number(values.rounds);
const storedBytes = Number(values.stored) << 20;
const diskBytes = 2 ** 30;
const memoryMiB = 64;

interface Move {
  readonly took: number;
  readonly stall: number;
}

const folder = await mkdtemp(join(values.folder, 'bench-moves-'));
const daemon = await Daemon.start();
const client = await signedIn(daemon);
let plain: PlainMover | undefined;
const watches: StallWatch[] = [];
try {
  // The machine that is moved.
  const home = join(daemon.datastore, 'web');
  await mkdir(home, { recursive: true });
  await writeWritingDisk(join(home, 'web-flat.vmdk'), diskBytes, storedBytes);
  const lines = ['version=1', 'CID=12345678', 'parentCID=ffffffff', 'createType="vmfs"', 'ddb.thinProvisioned = "1"'];
  const extent = `RW ${diskBytes / 512} VMFS "web-flat.vmdk"`;
  await writeFile(join(home, 'web.vmdk'), ['# Disk DescriptorFile', ...lines, extent, ''].join('\n'));
  const disk = { fileName: '[datastore1] web/web.vmdk', diskMode: 'persistent' };
  const file = data('VirtualSerialPortFileBackingInfo', { fileName: '[datastore1] web/serial.log' });
  const machine = await createMachine(client, {
    ...machineSpec('web', memoryMiB),
    files: data('VirtualMachineFileInfo', { vmPathName: '[datastore1] web/web.vmx' }),
    deviceChange: [
      added(data('ParaVirtualSCSIController', { key: -1, busNumber: 0, sharedBus: 'noSharing' })),
      added(
        data('VirtualDisk', {
          key: -2,
          controllerKey: -1,
          unitNumber: 0,
          capacityInKB: 0,
          backing: data('VirtualDiskFlatVer2BackingInfo', disk),
        }),
      ),
      added(data('VirtualSerialPort', { key: -4, yieldOnPoll: true, backing: file })),
    ],
  });
  const system = { type: 'HostDatastoreSystem', value: 'ha-datastoresystem' } as const;
  const other = (await client.call(system, 'CreateLocalDatastore', {
    name: 'other',
    path: join(folder, 'other'),
  })) as ManagedObjectReference<'Datastore'>;
  const [found] = await client.retrieve(machine, ['datastore']);
  const [first] = (found?.values.datastore ?? []) as readonly ManagedObjectReference<'Datastore'>[];
  const datastores = [first, other] as const;
  // It goes on with the file that it has open, wherever the machine is.
  const ourWatch = await StallWatch.at(join(home, 'serial.log'));
  watches.push(ourWatch);
  await powerOn(client, machine);
  const [engine] = await daemon.engines();
  if (engine === undefined) throw new Error('the machine does not run');
  const accelerator = engine.arguments.some((argument) => /\bkvm\b/.test(argument)) ? 'kvm' : 'tcg';

  const folders = [join(folder, 'a'), join(folder, 'b')] as const;
  for (const one of folders) await mkdir(one);
  await writeWritingDisk(join(folders[0], 'disk.raw'), diskBytes, storedBytes);
  const serialPath = join(folder, 'serial.log');
  const theirWatch = await StallWatch.at(serialPath);
  watches.push(theirWatch);
  plain = await PlainMover.start({ folders, accelerator, memoryMiB, serialPath });
  const mover = plain;
  for (const watch of watches) while (watch.bytes < 100) await new Promise((resolve) => setTimeout(resolve, 20));

  let at = 0;
  const ours = () =>
    without(mover.pid, ourWatch, async () => {
      at += 1;
      const spec = { datastore: datastores[at % 2] as ManagedObjectReference<'Datastore'> };
      await client.waitForTask(await client.call(machine, 'RelocateVM_Task', { spec }));
    });
  const theirs = () => without(engine.pid, theirWatch, () => mover.move());
  const pairs: { readonly ours: Move; readonly theirs: Move }[] = [];
  for (let round = 0; round < rounds; round += 1) {
    // The other one first each time.
    if (round % 2 === 0) {
      const one = await ours();
      pairs.push({ ours: one, theirs: await theirs() });
    } else {
      const one = await theirs();
      pairs.push({ ours: await ours(), theirs: one });
    }
  }
  report(accelerator, pairs);
} finally {
  await plain?.close();
  for (const watch of watches) await watch.close();
  await client[Symbol.asyncDispose]();
  await daemon.remove();
  await rm(folder, { recursive: true, force: true });
}

/** Does the work with another engine stopped, and the guest that is watched writing. */
async function without(pid: number, watch: StallWatch, work: () => Promise<void>): Promise<Move> {
  process.kill(pid, 'SIGSTOP');
  try {
    const { bytes } = watch;
    while (watch.bytes === bytes) await new Promise((resolve) => setTimeout(resolve, 1));
    return await watch.during(work);
  } finally {
    process.kill(pid, 'SIGCONT');
  }
}

function report(accelerator: string, pairs: readonly { readonly ours: Move; readonly theirs: Move }[]): void {
  const spread = (all: readonly number[]) => ({ median: percentile(all, 0.5), p95: percentile(all, 0.95) });
  const figures = (['took', 'stall'] as const).map((what) => ({
    name: what === 'took' ? 'move of a running machine' : "the guest's worst stall",
    ours: spread(pairs.map(({ ours }) => ours[what])),
    theirs: spread(pairs.map(({ theirs }) => theirs[what])),
    ratio: spread(pairs.map(({ ours, theirs }) => ours[what] / theirs[what])),
  }));
  if (values.json) {
    console.log(JSON.stringify({ accelerator, rounds, storedMiB: storedBytes >> 20, figures }));
    return;
  }
  console.log(`under ${accelerator}, ${rounds} rounds of ${storedBytes >> 20} MiB, milliseconds: median and p95`);
  for (const { name, ours, theirs, ratio } of figures) {
    const both = ({ median, p95 }: { median: number; p95: number }, digits: number) =>
      `${median.toFixed(digits)}, ${p95.toFixed(digits)}`;
    console.log(`${name}: ours ${both(ours, 0)}; plain QEMU ${both(theirs, 0)}; ratio ${both(ratio, 2)}`);
  }
}
