/**
 * How soon a machine is at its guest's user space that is deployed from an archive with a large disk, beside plain QEMU
 * on the same disk converted before; what settling costs the guest's fsync; and whether all of the disk is right then.
 * `node bench/instant.ts [GiB of the disk] [GiB of data in it]`, 10 and 2 by default; BENCH_FOLDER for the files.
 */
import { execFileSync, spawn } from 'node:child_process';
import { createReadStream, createWriteStream } from 'node:fs';
import { copyFile, mkdir, mkdtemp, open, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { bootableDisk, GuestConsole } from '@hypostyle/contracts/testing';
import { writeOva } from '@hypostyle/ovf';
import {
  type Client,
  data,
  type HttpNfcLeaseInfo,
  type ManagedObjectReference,
  type VirtualMachineImportSpec,
} from '@hypostyle/vim';
import { openDisk, writeStreamOptimized } from '@hypostyle/vmdk';
import { Daemon } from '../tests/harness/daemon.ts';
import { serialSocketOf } from '../tests/harness/engines.ts';
import { added, eventually, type Machine, references, signedIn } from '../tests/harness/guest-machine.ts';
import { descriptorOf } from '../tests/harness/package-files.ts';

const mebibyte = 2 ** 20;
const diskBytes = Number(process.argv[2] ?? 10) * 2 ** 30;
const dataBytes = Number(process.argv[3] ?? 2) * 2 ** 30;
/** The last one of ours is what is measured on. */
const rounds = Number(process.env.ROUNDS ?? 4);
const memoryMiB = 192;
const folder = await mkdtemp(join(process.env.BENCH_FOLDER ?? tmpdir(), 'bench-instant-'));
const raw = join(folder, 'converted.raw');

const seconds = (milliseconds: number) => `${(milliseconds / 1000).toFixed(2)} s`;
const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

/** A small system that boots, and files of this computer all over the disk, with holes between. */
async function makeDisk(): Promise<void> {
  await copyFile(await bootableDisk(), raw);
  const disk = await open(raw, 'r+');
  try {
    await disk.truncate(diskBytes);
    const step = 64 * mebibyte;
    const steps = Math.ceil(dataBytes / step);
    const stride = Math.floor((diskBytes - 3 * step) / steps / mebibyte) * mebibyte;
    const tar = spawn('tar', ['--create', '--file=-', '--ignore-failed-read', '/usr'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let at = 0;
    for await (const piece of tar.stdout as AsyncIterable<Buffer>) {
      for (let done = 0; done < piece.length && at < dataBytes; ) {
        const within = at % step;
        const count = Math.min(piece.length - done, step - within);
        await disk.write(piece, done, count, 2 * step + Math.floor(at / step) * stride + within);
        done += count;
        at += count;
      }
      if (at >= dataBytes) break;
    }
    tar.kill();
    await disk.sync();
  } finally {
    await disk.close();
  }
}

/** The archive, by the product's own writers. */
async function makeArchive(path: string): Promise<number> {
  const stream = join(folder, 'disk1.vmdk');
  const descriptor = join(folder, 'raw.vmdk');
  const lines = [
    '# Disk DescriptorFile',
    'version=1',
    'CID=12345678',
    'parentCID=ffffffff',
    'createType="monolithicFlat"',
  ];
  await writeFile(descriptor, [...lines, `RW ${diskBytes / 512} FLAT "converted.raw" 0`, ''].join('\n'));
  const disk = await openDisk(descriptor);
  const target = createWriteStream(stream);
  for await (const part of writeStreamOptimized(disk))
    if (!target.write(part)) await new Promise<void>((go) => target.once('drain', () => go()));
  await new Promise<void>((done) => target.end(done));
  await disk.close();
  const { size } = await stat(stream);
  await writeOva(createWriteStream(path), {
    descriptorName: 'app.ovf',
    descriptor: descriptorFor(size),
    files: [{ name: 'disk1.vmdk', size, open: () => createReadStream(stream) }],
  });
  await rm(stream);
  return size;
}

function descriptorFor(fileBytes: number): string {
  return descriptorOf({ name: 'app', href: 'disk1.vmdk', fileBytes, capacityBytes: diskBytes }).replace(
    'lsilogic',
    'VirtualSCSI',
  );
}

/** Milliseconds from the start of plain QEMU with the same devices, on the converted disk, until its guest is at user space. */
async function plainQemu(accelerator: string): Promise<number> {
  const serial = join(folder, 'serial');
  const overlay = join(folder, 'plain.qcow2');
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', raw, overlay]);
  const began = performance.now();
  const qemu = spawn('qemu-system-x86_64', [
    ...[
      '-nodefaults',
      '-uuid',
      '564d0000-0000-4000-8000-000000000001',
      '-display',
      'none',
      '-accel',
      accelerator,
      '-m',
      `${memoryMiB}`,
      '-vga',
      'std',
    ],
    ...['-chardev', `socket,id=s,path=${serial},server=on,wait=off`, '-serial', 'chardev:s'],
    ...['-device', 'pvscsi,id=scsi', '-blockdev', `driver=qcow2,node-name=d,file.driver=file,file.filename=${overlay}`],
    ...['-device', 'scsi-hd,drive=d,bootindex=0'],
    // What each machine of ours is given: the guest finds and drives it.
    ...['-device', 'virtio-balloon-pci', '-device', 'virtio-rng-pci', '-device', 'virtio-serial-pci'],
    ...['-chardev', `socket,id=agent,path=${join(folder, 'agent')},server=on,wait=off`],
    ...['-device', 'virtserialport,chardev=agent,name=org.qemu.guest_agent.0'],
    ...['-nic', 'user,model=e1000'],
  ]);
  try {
    const guest = await connected(serial);
    await guest.ready();
    guest.close();
    return performance.now() - began;
  } finally {
    qemu.kill('SIGKILL');
    await rm(overlay);
    await rm(serial, { force: true });
  }
}

async function connected(path: string): Promise<GuestConsole> {
  for (;;) {
    try {
      return await GuestConsole.connect(path);
    } catch {
      await sleep(10);
    }
  }
}

interface Deployed {
  readonly machine: Machine;
  readonly milliseconds: number;
  /** Until it could be powered on. */
  readonly made: number;
  readonly settling: ManagedObjectReference<'Task'>;
}

/** Deploys the archive and waits for the guest's user space: from the first call to the guest's word. */
async function deploy(daemon: Daemon, client: Client, fileBytes: number): Promise<Deployed> {
  const began = performance.now();
  const { ovfManager, taskManager } = await client.content();
  const [center] = await client.retrieve({ type: 'Datacenter', value: 'ha-datacenter' }, ['datastore']);
  const datastore = center?.values.datastore?.[0];
  if (ovfManager === undefined || taskManager === undefined || datastore === undefined) throw new Error('no host');
  const { importSpec } = await client.call(ovfManager, 'CreateImportSpec', {
    ovfDescriptor: descriptorFor(fileBytes),
    resourcePool: references.rootPool,
    datastore,
    cisp: data('OvfCreateImportSpecParams', { entityName: 'app', locale: '', deploymentOption: '' }),
  });
  const spec = importSpec as VirtualMachineImportSpec;
  const backing = data('VirtualSerialPortDeviceBackingInfo', { deviceName: '' });
  const serial = added(data('VirtualSerialPort', { key: -9, yieldOnPoll: true, backing }));
  const { configSpec } = spec;
  const deviceChange = [...(configSpec.deviceChange ?? []), serial];
  const lease = await client.call(references.rootPool, 'ImportVApp', {
    spec: { ...spec, configSpec: { ...configSpec, memoryMB: memoryMiB, deviceChange } } as VirtualMachineImportSpec,
    folder: references.vmFolder,
  });
  let info: HttpNfcLeaseInfo | undefined;
  await eventually(async () => {
    info = (await client.retrieve(lease, ['info']))[0]?.values.info;
    return info !== undefined;
  }, 'the lease is ready');
  const file = data('HttpNfcLeaseSourceFile', {
    targetDeviceId: info?.deviceUrl?.[0]?.importKey ?? '',
    url: '[datastore1] library/app.ova',
    memberName: 'disk1.vmdk',
    create: false,
  });
  await client.waitForTask(await client.call(lease, 'HttpNfcLeasePullFromUrls_Task', { files: [file] }));
  await client.call(lease, 'HttpNfcLeaseComplete', {});
  const machine = info?.entity as ManagedObjectReference as Machine;
  const made = performance.now() - began;
  await client.waitForTask(await client.call(machine, 'PowerOnVM_Task', {}));
  const guest = await consoleOf(daemon);
  await guest.ready();
  guest.close();
  const milliseconds = performance.now() - began;
  const [tasks] = await client.retrieve(taskManager, ['recentTask']);
  const infos = await client.retrieve(tasks?.values.recentTask ?? [], ['info']);
  const settling = infos
    .map(({ values }) => values.info)
    .find((one) => one?.descriptionId === 'VirtualMachine.settleDisks' && one.entity?.value === machine.value);
  if (settling === undefined) throw new Error('no task settles the disk');
  return { machine, milliseconds, made, settling: settling.task };
}

async function consoleOf(daemon: Daemon): Promise<GuestConsole> {
  const [engine] = await daemon.engines();
  if (engine === undefined) throw new Error('no engine runs');
  return connected(serialSocketOf(engine));
}

/** Milliseconds that a write of 4 KiB takes to be durable for the guest, a program started for each included. */
async function guestSync(daemon: Daemon, writes: number): Promise<number> {
  const guest = await consoleOf(daemon);
  try {
    const write = 'dd if=/dev/zero of=/dev/sda bs=4096 count=1 seek=$((20000+i)) conv=fsync,notrunc 2>/dev/null';
    const loop = `read a b </proc/uptime; i=0; while [ $i -lt ${writes} ]; do ${write}; i=$((i+1)); done; read c d </proc/uptime; echo $a $c`;
    const [from = 0, to = 0] = (await guest.run(loop, 300_000)).split(' ').map(Number);
    return ((to - from) * 1000) / writes;
  } finally {
    guest.close();
  }
}

async function state(client: Client, task: ManagedObjectReference<'Task'>): Promise<string | undefined> {
  return (await client.retrieve(task, ['info']))[0]?.values.info?.state;
}

const daemon = await Daemon.start();
const client = await signedIn(daemon);
try {
  await makeDisk();
  await mkdir(join(daemon.datastore, 'library'));
  const fileBytes = await makeArchive(join(daemon.datastore, 'library', 'app.ova'));
  console.log(
    `disk of ${diskBytes / 2 ** 30} GiB with ${dataBytes / 2 ** 30} GiB of data, ${Math.round(fileBytes / mebibyte)} MiB in the archive`,
  );
  const plain: number[] = [];
  const instant: number[] = [];
  const made: number[] = [];
  let last: Deployed | undefined;
  for (let round = 0; round < rounds; round += 1) {
    last = await deploy(daemon, client, fileBytes);
    instant.push(last.milliseconds);
    made.push(last.made);
    const [engine] = await daemon.engines();
    const accelerator = engine?.arguments.some((argument) => /\bkvm\b/.test(argument)) ? 'kvm' : 'tcg';
    if (round === rounds - 1) {
      console.log(`under ${accelerator}`);
      break;
    }
    await client.waitForTask(await client.call(last.machine, 'PowerOffVM_Task', {}));
    await client.waitForTask(await client.call(last.machine, 'Destroy_Task', {}));
    plain.push(await plainQemu(accelerator));
  }
  const [ours, theirs] = [median(instant), median(plain)];
  console.log(
    `user space: deployed ${seconds(ours)} (the machine was there after ${seconds(median(made))}), plain QEMU ${seconds(theirs)}, ratio ${(ours / theirs).toFixed(2)}`,
  );
  if (last === undefined) throw new Error('nothing was deployed');
  const settlingFrom = performance.now();
  const during: number[] = [];
  while ((await state(client, last.settling)) === 'running') during.push(await guestSync(daemon, 20));
  console.log(`settled ${seconds(performance.now() - settlingFrom)} later`);
  await client.waitForTask(last.settling);
  const idle: number[] = [];
  for (let round = 0; round < 10; round += 1) idle.push(await guestSync(daemon, 20));
  console.log(
    `guest's fsync: ${median(during).toFixed(1)} ms while it settles (at most ${Math.max(...during).toFixed(1)}), ${median(idle).toFixed(1)} ms idle (at most ${Math.max(...idle).toFixed(1)})`,
  );
  const again: number[] = [];
  for (let round = 0; round < 3; round += 1) {
    await client.waitForTask(await client.call(last.machine, 'PowerOffVM_Task', {}));
    const began = performance.now();
    await client.waitForTask(await client.call(last.machine, 'PowerOnVM_Task', {}));
    const guest = await consoleOf(daemon);
    await guest.ready();
    guest.close();
    again.push(performance.now() - began);
  }
  console.log(`the same machine on its plain disk: user space ${seconds(median(again))} after power-on`);
  await client.waitForTask(await client.call(last.machine, 'PowerOffVM_Task', {}));
  // What the guest wrote is zeros, between the system and the data, where the disk had zeros.
  const plainDisk = join(daemon.datastore, 'app', 'app.vmdk');
  execFileSync('qemu-img', ['compare', '-f', 'raw', '-F', 'vmdk', raw, plainDisk]);
  const elsewhere = join(folder, 'elsewhere');
  execFileSync('cp', ['--recursive', '--sparse=always', join(daemon.datastore, 'app'), elsewhere]);
  execFileSync('qemu-img', ['compare', '-f', 'raw', '-F', 'vmdk', raw, join(elsewhere, 'app.vmdk')]);
  console.log('qemu-img finds the settled disk, and a copy of it elsewhere, equal to the converted one');
} finally {
  await client[Symbol.asyncDispose]();
  await daemon.remove();
  await rm(folder, { recursive: true, force: true });
}
