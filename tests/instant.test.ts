import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { bootableDisk } from '@hypostyle/contracts/testing';
import {
  type Client,
  data,
  type HttpNfcLeaseInfo,
  type ManagedObjectReference,
  type TaskInfo,
  type VimFault,
  type VirtualMachineConfigSpec,
  type VirtualMachineImportSpec,
  type VirtualMachineQuestionInfo,
} from '@hypostyle/vim';
import { openDisk } from '@hypostyle/vmdk';
import { Daemon } from './harness/daemon.ts';
import { endEngines } from './harness/engines.ts';
import { guestAnswers, onConsole } from './harness/guest-console.ts';
import { added, eventually, type Machine, powerOn, propertyOf, references, signedIn } from './harness/guest-machine.ts';
import { descriptorOf, manifestOf, streamDisk, tarOf } from './harness/package-files.ts';

const run = promisify(execFile);
const mebibyte = 2 ** 20;
const bootBytes = 64 * mebibyte;
const diskBytes = 104 * mebibyte;
/** What a guest writes there is compared afterwards: the last byte of its disk's first half is in no file. */
const markAt = bootBytes - mebibyte;

let home: string;
let daemon: Daemon;
let client: Client;
/** What the disk in the appliance has. */
let image: Buffer;
let stream: Buffer;

before(async () => {
  home = await mkdtemp(join(tmpdir(), 'hypostyle-instant-'));
  image = Buffer.concat([await readFile(await bootableDisk()), randomBytes(diskBytes - bootBytes)]);
  let at = 0;
  stream = await streamDisk(diskBytes, (bytes) => {
    at += bytes;
    return image.subarray(at - bytes, at);
  });
  await start();
  await placeArchive('app.ova');
});

after(async () => {
  await client?.[Symbol.asyncDispose]();
  await daemon?.remove();
  await endEngines(home);
  await rm(home, { recursive: true, force: true });
});

async function start(): Promise<void> {
  daemon = await Daemon.start({ home });
  client = await signedIn(daemon);
}

const property = <T>(object: ManagedObjectReference, path: string) => propertyOf<T>(client, object, path);

/** How fast disks settle, in MB a second; 0: as fast as they can. */
async function setRate(rate: number): Promise<void> {
  const { setting } = await client.content();
  assert.ok(setting);
  const changedValue = [
    data('OptionValue', { key: 'hypostyle.settle.rate', value: { _typeName: 'long', _value: rate } }),
  ];
  await client.call(setting, 'UpdateOptions', { changedValue });
}

/** Puts an archive with a disk on the datastore; `flip` is a byte of the disk's file that is another there. */
async function placeArchive(name: string, flip?: number): Promise<string> {
  const descriptor = descriptorOf({
    name: 'app',
    href: 'disk1.vmdk',
    fileBytes: stream.length,
    capacityBytes: diskBytes,
  });
  // A controller that the guest has a driver for.
  const ovf = { name: 'app.ovf', content: Buffer.from(descriptor.replace('lsilogic', 'VirtualSCSI')) };
  const disk = { name: 'disk1.vmdk', content: stream };
  const manifest = { name: 'app.mf', content: Buffer.from(manifestOf([ovf, disk])) };
  const archive = tarOf([ovf, manifest, disk]);
  if (flip !== undefined) {
    const at = archive.length - 1024 - Math.ceil(stream.length / 512) * 512 + flip;
    archive[at] = archive[at]! ^ 1;
  }
  const folder = join(daemon.datastore, 'library');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, name), archive);
  return join(folder, name);
}

/** Deploys an archive of the datastore as any client may: a lease, whose disk the host pulls. */
async function deploy(archive: string, name: string, extra: Readonly<Record<string, string>> = {}): Promise<Machine> {
  const { ovfManager } = await client.content();
  assert.ok(ovfManager);
  const descriptor = descriptorOf({ name, href: 'disk1.vmdk', fileBytes: stream.length, capacityBytes: diskBytes });
  const [datastore] = await property<ManagedObjectReference<'Datastore'>[]>(
    { type: 'Datacenter', value: 'ha-datacenter' },
    'datastore',
  );
  assert.ok(datastore);
  const { importSpec, error } = await client.call(ovfManager, 'CreateImportSpec', {
    ovfDescriptor: descriptor.replace('lsilogic', 'VirtualSCSI'),
    resourcePool: references.rootPool,
    datastore,
    cisp: data('OvfCreateImportSpecParams', { entityName: name, locale: '', deploymentOption: '' }),
  });
  assert.ok(importSpec, JSON.stringify(error));
  const { configSpec } = importSpec as VirtualMachineImportSpec;
  const serial = data('VirtualSerialPort', {
    key: -9,
    yieldOnPoll: true,
    backing: data('VirtualSerialPortDeviceBackingInfo', { deviceName: '' }),
  });
  const spec = {
    ...importSpec,
    configSpec: {
      ...configSpec,
      memoryMB: 192,
      deviceChange: [...(configSpec.deviceChange ?? []), added(serial)],
      extraConfig: Object.entries(extra).map(([key, value]) => data('OptionValue', { key, value })),
    } satisfies VirtualMachineConfigSpec,
  };
  const lease = await client.call(references.rootPool, 'ImportVApp', { spec, folder: references.vmFolder });
  try {
    await eventually(async () => (await property(lease, 'state')) === 'ready', 'the lease is ready');
    const info = await property<HttpNfcLeaseInfo>(lease, 'info');
    const [target] = info.deviceUrl ?? [];
    assert.ok(target);
    const file = data('HttpNfcLeaseSourceFile', {
      targetDeviceId: target.importKey,
      url: `[datastore1] library/${archive}`,
      memberName: 'disk1.vmdk',
      create: false,
    });
    await client.waitForTask(await client.call(lease, 'HttpNfcLeasePullFromUrls_Task', { files: [file] }));
    await client.call(lease, 'HttpNfcLeaseComplete', {});
    return info.entity as ManagedObjectReference as Machine;
  } catch (thrown) {
    await client.call(lease, 'HttpNfcLeaseAbort', {});
    throw thrown;
  }
}

async function inGuest(machine: Machine, command: string, timeoutMs = 60_000): Promise<string> {
  return onConsole(daemon, await property<string>(machine, 'config.uuid'), (console) =>
    console.run(command, timeoutMs),
  );
}

const booted = async (machine: Machine) =>
  guestAnswers(daemon, await property<string>(machine, 'config.uuid'), 120_000);

/** The task that settles a machine's disks. */
async function settlingTask(machine: Machine): Promise<TaskInfo> {
  let found: TaskInfo | undefined;
  await eventually(async () => {
    const { taskManager } = await client.content();
    assert.ok(taskManager);
    for (const task of await property<ManagedObjectReference<'Task'>[]>(taskManager, 'recentTask')) {
      const info = await property<TaskInfo>(task, 'info');
      if (info.descriptionId === 'VirtualMachine.settleDisks' && info.entity?.value === machine.value) found = info;
    }
    return found !== undefined;
  }, 'a task settles the disks');
  return found as TaskInfo;
}

const folderOf = async (name: string) => (await readdir(join(daemon.datastore, name), { recursive: true })).sort();
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

async function powerOff(machine: Machine): Promise<void> {
  await client.waitForTask(await client.call(machine, 'PowerOffVM_Task', {}));
}

async function destroy(machine: Machine): Promise<void> {
  await client.waitForTask(await client.call(machine, 'Destroy_Task', {}));
}

test('a machine runs while its disk is in the archive, through a kill of the host, and ends on a plain disk', async () => {
  await setRate(2);
  const archive = join(daemon.datastore, 'library', 'app.ova');
  const machine = await deploy('app.ova', 'web');
  await powerOn(client, machine);
  await booted(machine);
  const task = await settlingTask(machine);
  assert.equal(task.state, 'running', 'it settles while the guest runs');
  assert.equal(await property(machine, 'runtime.question'), undefined);

  // What the guest reads is right before it is settled, and what it writes is its own.
  const device = '/dev/sda';
  const part = image.subarray(96 * mebibyte, 100 * mebibyte);
  assert.equal(
    (await inGuest(machine, `dd if=${device} bs=1M skip=96 count=4 2>/dev/null | sha256sum`)).split(' ')[0],
    sha256(part),
  );
  const mark = 'written before it settled';
  await inGuest(
    machine,
    `printf %s '${mark}' | dd of=${device} bs=1M seek=${markAt / mebibyte} conv=sync 2>/dev/null && sync`,
  );

  await daemon.kill();
  await client[Symbol.asyncDispose]();
  await start();
  assert.equal(await property(machine, 'runtime.powerState'), 'poweredOn');
  const after = await property<TaskInfo>(task.task, 'info');
  assert.equal(after.state, 'running', 'the same task goes on');
  assert.ok((await stat(archive)).size > 0);

  await setRate(0);
  await client.waitForTask(task.task);
  const expected = Buffer.from(image);
  expected.fill(0, markAt, markAt + mebibyte);
  expected.write(mark, markAt);
  assert.equal((await inGuest(machine, `sha256sum ${device}`)).split(' ')[0], sha256(expected));
  const files = await folderOf('web');
  assert.deepEqual(
    files.filter((name) => /source|partial|delta|settle/.test(name)),
    [],
    files.join(' '),
  );
  await powerOff(machine);
  const { stdout } = await run('qemu-img', ['info', '--output=json', join(daemon.datastore, 'web', 'web.vmdk')]);
  assert.equal((JSON.parse(stdout) as Record<string, unknown>)['virtual-size'], diskBytes);
  const raw = join(home, 'expected.raw');
  await writeFile(raw, expected);
  await run('qemu-img', ['compare', raw, '-F', 'vmdk', join(daemon.datastore, 'web', 'web.vmdk')]);
  const disk = await openDisk(join(daemon.datastore, 'web', 'web.vmdk'));
  assert.ok((await disk.read(0, diskBytes)).equals(expected));
  await disk.close();
  await destroy(machine);
  assert.ok((await readFile(archive)).length > stream.length, 'the archive is as it was');
});

test('a flipped byte pauses the machine with a question that names the block, and the disk never settles', async () => {
  await setRate(2);
  // In the random half, which begins about there.
  const whole = await readFile(await placeArchive('whole.ova'));
  await placeArchive('bad.ova', stream.length - 10 * mebibyte);
  const damagedAt = (await readFile(join(daemon.datastore, 'library', 'bad.ova'))).findIndex(
    (byte, at) => byte !== whole[at],
  );
  const machine = await deploy('bad.ova', 'bad');
  await powerOn(client, machine);
  await booted(machine);
  const named =
    /disk1\.vmdk in \[datastore1\] library\/bad\.ova has a damaged grain \(byte \d+, block of the disk at byte \d+\)/;
  let question: VirtualMachineQuestionInfo | undefined;
  await onConsole(daemon, await property<string>(machine, 'config.uuid'), async (console) => {
    console.send('cat /dev/sda >/dev/null');
    await eventually(
      async () => {
        question = await property<VirtualMachineQuestionInfo | undefined>(machine, 'runtime.question');
        return question !== undefined && named.test(question.text);
      },
      'the machine asks',
      90_000,
    );
  });
  assert.ok(question);
  const block = Number(/disk at byte (\d+)/.exec(question.text)?.[1]);
  assert.ok(block >= 90 * mebibyte && block < 98 * mebibyte, `block at ${block}`);
  const task = await settlingTask(machine);
  await client.waitForTask(task.task).then(
    () => assert.fail('it settled'),
    (error: VimFault) => assert.match(error.message, named),
  );
  await assert.rejects(inGuest(machine, 'true', 1_000), /no .* from the guest/, 'the guest stands still');

  const stale = client.call(machine, 'AnswerVM', { questionId: 'another', answerChoice: '1' });
  await assert.rejects(stale, (error: VimFault) => error.type === 'InvalidArgument');
  await client.call(machine, 'AnswerVM', { questionId: question.id, answerChoice: '0' });
  const asked = question.id;
  await eventually(
    async () => {
      question = await property<VirtualMachineQuestionInfo | undefined>(machine, 'runtime.question');
      return question !== undefined && question.id !== asked && named.test(question.text);
    },
    'it asks again',
    60_000,
  );
  await client.call(machine, 'AnswerVM', { questionId: question.id, answerChoice: '1' });
  await eventually(async () => (await property(machine, 'runtime.powerState')) === 'poweredOff', 'it is off');
  assert.equal(await property(machine, 'runtime.question'), undefined);
  await assert.rejects(powerOn(client, machine), named);
  assert.ok((await folderOf('bad')).includes('bad-source.partial'), 'the disk is what it was');
  assert.ok(!(await folderOf('bad')).includes('bad-flat.vmdk'));

  // Repaired in its place, it is found to be what its digest says.
  const archive = await open(join(daemon.datastore, 'library', 'bad.ova'), 'r+');
  await archive.write(whole.subarray(damagedAt, damagedAt + 1), 0, 1, damagedAt);
  await archive.close();
  await setRate(0);
  await powerOn(client, machine);
  await eventually(async () => (await folderOf('bad')).includes('bad-flat.vmdk'), 'it settles', 60_000);
  await eventually(async () => !(await folderOf('bad')).includes('bad-delta.qcow2'), 'it is a plain disk', 60_000);
  await powerOff(machine);
  await destroy(machine);
  assert.deepEqual(await readdir(daemon.datastore).then((names) => names.filter((name) => name === 'bad')), []);
});

test('one that is to be verified before is refused by name, and nothing of it stays', async () => {
  await placeArchive('bad.ova', stream.length - 10 * mebibyte);
  const refused = deploy('bad.ova', 'careful', { 'hypostyle.settle.verify': 'before' });
  await assert.rejects(refused, /disk1\.vmdk in \[datastore1\] library\/bad\.ova has a damaged grain \(byte \d+/);
  assert.ok(!(await readdir(daemon.datastore)).includes('careful'));
  await setRate(0);
  const machine = await deploy('app.ova', 'careful', { 'hypostyle.settle.verify': 'before' });
  await client.waitForTask((await settlingTask(machine)).task);
  await destroy(machine);
});

test('a machine that is off settles, and one that is half settled is exported whole or destroyed', async () => {
  await setRate(1);
  const machine = await deploy('app.ova', 'half');
  await eventually(async () => (await settlingTask(machine)).state === 'running', 'it settles');
  await setRate(0);
  const lease = await client.call(machine, 'ExportVm', {});
  await eventually(async () => (await property(lease, 'state')) === 'ready', 'the export is ready', 90_000);
  await client.call(lease, 'HttpNfcLeaseAbort', {});
  const disk = await openDisk(join(daemon.datastore, 'half', 'half.vmdk'));
  assert.ok((await disk.read(0, diskBytes)).equals(image));
  await disk.close();
  await client.waitForTask((await settlingTask(machine)).task);
  await destroy(machine);

  await setRate(1);
  const doomed = await deploy('app.ova', 'doomed');
  const { task } = await settlingTask(doomed);
  await destroy(doomed);
  await assert.rejects(client.waitForTask(task));
  assert.ok(!(await readdir(daemon.datastore)).includes('doomed'));
  assert.equal((await stat(join(daemon.datastore, 'library', 'app.ova'))).nlink, 1);
});

test('a snapshot taken while the disk settles lies on the plain disk afterwards', async () => {
  await setRate(1);
  const machine = await deploy('app.ova', 'snapped');
  await powerOn(client, machine);
  await booted(machine);
  await inGuest(machine, `echo before | dd of=/dev/sda bs=1M seek=${markAt / mebibyte} conv=sync 2>/dev/null && sync`);
  const snapshot = { name: 'one', memory: false, quiesce: false };
  await client.waitForTask(await client.call(machine, 'CreateSnapshot_Task', snapshot));
  await inGuest(machine, `echo after | dd of=/dev/sda bs=1M seek=${markAt / mebibyte} conv=sync 2>/dev/null && sync`);
  const { task } = await settlingTask(machine);
  await setRate(0);
  await client.waitForTask(task);
  assert.match(await readFile(join(daemon.datastore, 'snapped', 'snapped.vmdk'), 'utf8'), /createType="vmfs"/);
  const expected = Buffer.from(image);
  expected.fill(0, markAt, markAt + mebibyte);
  expected.write('after\n', markAt);
  assert.equal((await inGuest(machine, 'sha256sum /dev/sda', 120_000)).split(' ')[0], sha256(expected));
  await powerOff(machine);
  await client.waitForTask(await client.call(machine, 'RemoveAllSnapshots_Task', {}));
  const disk = await openDisk(join(daemon.datastore, 'snapped', 'snapped.vmdk'));
  assert.ok((await disk.read(0, diskBytes)).equals(expected));
  await disk.close();
  await destroy(machine);
});
