import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, open, readdir, readFile, rename, rm, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { bootableDisk, type GuestConsole } from '@hypostyle/contracts/testing';
import {
  type Client,
  data,
  type ElementDescription,
  type ManagedObjectReference,
  type VimFault,
  type VirtualMachineQuestionInfo,
} from '@hypostyle/vim';
import { run } from '../packages/cli/src/run.ts';
import { memoryContext } from '../packages/cli/src/testing/memory-terminal.ts';
import { Daemon } from './harness/daemon.ts';
import { endEngines } from './harness/engines.ts';
import { onConsole } from './harness/guest-console.ts';
import { guestIo } from './harness/guest-io.ts';
import {
  added,
  createMachine,
  eventually,
  type Machine,
  machineSpec,
  powerOn,
  propertyOf,
  references,
  signedIn,
} from './harness/guest-machine.ts';
import { descriptorOf, manifestOf, streamDisk, tarOf } from './harness/package-files.ts';

// A datastore of its own that is small: a file system in a file.
const execute = promisify(execFile);
const mebibyte = 2 ** 20;
const bootMiB = 64;
const diskBytes = 104 * mebibyte;
const makeFileSystem = '/sbin/mkfs.ext4';
const mountable = process.getuid?.() === 0 && existsSync(makeFileSystem);
const skip = mountable
  ? false
  : `it fills a file system of its own: it runs as root, with ${makeFileSystem} of e2fsprogs`;

let home: string;
let small: string;
let daemon: Daemon;
let client: Client;
let ova: string;
let mounted = false;

before(async () => {
  home = await mkdtemp(join(tmpdir(), 'hypostyle-full-'));
  if (!mountable) return;
  small = join(home, 'small');
  await mkdir(small);
  await execute('truncate', ['-s', '260M', join(home, 'small.img')]);
  await execute(makeFileSystem, ['-q', '-m', '0', '-O', '^has_journal', join(home, 'small.img')]);
  await execute('mount', ['-o', 'loop', join(home, 'small.img'), small]);
  mounted = true;
  await rm(join(small, 'lost+found'), { recursive: true });
  ova = await appliance(join(home, 'app'));
  await start();
  const system = { type: 'HostDatastoreSystem', value: 'ha-datastoresystem' } as const;
  await client.call(system as ManagedObjectReference<'HostDatastoreSystem'>, 'CreateLocalDatastore', {
    name: 'small',
    path: small,
  });
});

after(async () => {
  await client?.[Symbol.asyncDispose]();
  await daemon?.remove();
  await endEngines(home);
  if (mounted) await execute('umount', [small]);
  await rm(home, { recursive: true, force: true });
});

async function start(): Promise<void> {
  daemon = await Daemon.start({ home });
  client = await signedIn(daemon);
}

/** A package as an OVA and as a folder: half of its disk boots, half is random. */
async function appliance(folder: string): Promise<string> {
  const image = Buffer.concat([await readFile(await bootableDisk()), randomBytes(diskBytes - bootMiB * mebibyte)]);
  let at = 0;
  const stream = await streamDisk(diskBytes, (bytes) => {
    at += bytes;
    return image.subarray(at - bytes, at);
  });
  const text = descriptorOf({ name: 'app', href: 'disk1.vmdk', fileBytes: stream.length, capacityBytes: diskBytes });
  const ovf = { name: 'app.ovf', content: Buffer.from(text.replace('lsilogic', 'VirtualSCSI')) };
  const disk = { name: 'disk1.vmdk', content: stream };
  const manifest = { name: 'app.mf', content: Buffer.from(manifestOf([ovf, disk])) };
  await mkdir(folder);
  for (const { name, content } of [ovf, manifest, disk]) await writeFile(join(folder, name), content);
  await writeFile(join(folder, 'app.ova'), tarOf([ovf, manifest, disk]));
  return join(folder, 'app.ova');
}

async function hypo(...args: string[]) {
  const memory = memoryContext({ HYPOSTYLE_HOME: home });
  const code = await run(args, memory.context);
  return { code, errors: memory.errors() };
}

/** Leaves so much room on the small datastore, by files that take the rest. */
async function leave(mebibytes: number): Promise<void> {
  const free = async () => {
    const { bavail, bsize } = await statfs(small);
    return bavail * bsize;
  };
  const wanted = mebibytes * mebibyte;
  const fillers = (await readdir(small)).filter((name) => name.startsWith('filler'));
  // Never more than that, not for a moment either, where there is less to be.
  if ((await free()) < wanted) for (const name of fillers.splice(0)) await rm(join(small, name));
  const bytes = (await free()) - wanted;
  if (bytes > 0) await execute('fallocate', ['-l', String(bytes), join(small, `filler${fillers.length}`)]);
}

/** How fast disks settle, in MB a second; 0: as fast as they can. */
async function setRate(rate: number): Promise<void> {
  const { setting } = await client.content();
  assert.ok(setting);
  const value = { _typeName: 'long', _value: rate };
  const changedValue = [data('OptionValue', { key: 'hypostyle.settle.rate', value })];
  await client.call(setting, 'UpdateOptions', { changedValue });
}

const folders = async () => (await readdir(small)).filter((name) => !/^(filler|\.|lost)/.test(name));

const property = <T>(object: ManagedObjectReference, path: string) => propertyOf<T>(client, object, path);

async function machines(): Promise<Machine[]> {
  return (await property<Machine[] | undefined>(references.vmFolder, 'childEntity')) ?? [];
}

const inGuest = <T>(use: (console: GuestConsole) => Promise<T>) => onConsole(daemon, undefined, use);

test('an import without room, or without the right to write, says so and leaves nothing', { skip }, async () => {
  const descriptor = join(home, 'app', 'app.ovf');
  await leave(20);
  for (const source of [ova, descriptor]) {
    const { code, errors } = await hypo('deploy', source, '--name', 'web', '--datastore', 'small');
    assert.equal(code, 1, errors);
    assert.match(errors, /not enough space on datastore 'small'/, source);
    assert.deepEqual(await folders(), [], source);
    assert.deepEqual(await machines(), []);
  }
  await leave(200);
  await execute('chattr', ['+i', small]);
  try {
    const { code, errors } = await hypo('deploy', ova, '--name', 'web', '--datastore', 'small');
    assert.equal(code, 1, errors);
    assert.match(errors, /\[small\]/);
    assert.match(errors, /EPERM/);
    assert.ok(!errors.includes(home), errors);
    assert.deepEqual(await folders(), []);
    assert.deepEqual(await machines(), []);
  } finally {
    await execute('chattr', ['-i', small]);
  }
});

test('a datastore that fills while a disk settles costs the guest nothing; it goes on when there is room', {
  skip,
}, async () => {
  await leave(200);
  // A disk that settles at once would be done before the room is gone.
  await setRate(1);
  assert.equal((await hypo('deploy', ova, '--name', 'web', '--datastore', 'small')).code, 0);
  // Too little for the flat file, and enough for what the guest writes first.
  await leave(12);
  await setRate(0);
  const [machine] = await machines();
  assert.ok(machine);
  const serial = data('VirtualSerialPort', {
    key: -9,
    yieldOnPoll: true,
    backing: data('VirtualSerialPortDeviceBackingInfo', { deviceName: '' }),
  });
  const spec = data('VirtualMachineConfigSpec', { memoryMB: 192, deviceChange: [added(serial)] });
  await client.waitForTask(await client.call(machine, 'ReconfigVM_Task', { spec }));
  await powerOn(client, machine);
  await inGuest((console) => console.ready());
  const events = async () => {
    const { eventManager } = await client.content();
    assert.ok(eventManager);
    const found = await client.call(eventManager, 'QueryEvents', { filter: data('EventFilterSpec', {}) });
    return (found ?? []).map(({ fullFormattedMessage = '' }) => fullFormattedMessage);
  };
  await eventually(
    async () => (await events()).some((text) => /not enough space on datastore 'small'.*go on settling/.test(text)),
    'it says that it waits for room',
    90_000,
  );
  assert.equal(await property(machine, 'runtime.powerState'), 'poweredOn');

  // The guest needs more than is left: what the settling took is given to it.
  const write = 'dd if=/dev/urandom of=/dev/sda bs=1M seek=70 count=10 conv=notrunc,fsync 2>/dev/null && echo wrote';
  assert.match(await inGuest((console) => console.run(write, 90_000)), /wrote/);

  // And then there is nothing left to give.
  await leave(1);
  const more =
    'dd if=/dev/urandom of=/dev/sda bs=1M seek=80 count=20 conv=notrunc,fsync 2>/dev/null && echo wrote >/done';
  await inGuest((console) => console.run(`(${more}) >/dev/null 2>&1 &`));
  const asks = async () => {
    const question = await property<VirtualMachineQuestionInfo | undefined>(machine, 'runtime.question');
    return /no more room for disk scsi0u0 of 'web' on datastore 'small'/.test(question?.text ?? '');
  };
  await eventually(asks, 'it asks', 60_000);
  // Going on without room asks again.
  const asked = async () => (await property<VirtualMachineQuestionInfo | undefined>(machine, 'runtime.question'))?.id;
  const answer = async (label: RegExp) => {
    const question = await property<VirtualMachineQuestionInfo>(machine, 'runtime.question');
    const choice = question.choice.choiceInfo.find((each) => label.test((each as ElementDescription).label));
    assert.ok(choice, `one can answer ${label}`);
    await client.call(machine, 'AnswerVM', {
      questionId: question.id,
      answerChoice: (choice as ElementDescription).key,
    });
  };
  const first = await asked();
  await assert.rejects(client.call(machine, 'AnswerVM', { questionId: 'another', answerChoice: '0' }));
  await answer(/Retry/);
  await eventually(async () => ![first, undefined].includes(await asked()), 'it asks another time', 60_000);
  await daemon.kill();
  await client[Symbol.asyncDispose]();
  await start();
  await eventually(asks, 'it asks again after a restart', 60_000);
  await leave(150);
  await eventually(
    async () => (await property(machine, 'runtime.question')) === undefined,
    'the question is gone when there is room',
    60_000,
  );
  const done = () => inGuest((console) => console.run('cat /done 2>/dev/null || true', 5_000)).catch(() => '');
  await eventually(async () => (await done()).includes('wrote'), 'the write of the guest ends well', 180_000);
  await eventually(
    async () => !(await readdir(join(small, 'web'))).some((name) => /partial|qcow2/.test(name)),
    'the disk settles',
    90_000,
  );
  const digest = (await inGuest((console) => console.run('sync; sha256sum /dev/sda', 90_000))).split(' ')[0];
  const flat = createHash('sha256');
  await using file = await open(join(small, 'web', 'web-flat.vmdk'));
  for await (const piece of file.createReadStream({ autoClose: false })) flat.update(piece as Buffer);
  assert.equal(flat.digest('hex'), digest, 'the plain disk has what the guest has');

  // The other answer ends the machine.
  await leave(1);
  const fill = 'dd if=/dev/urandom of=/dev/sda bs=1M seek=8 count=50 conv=notrunc,fsync';
  await inGuest((console) => console.run(`(${fill}) >/dev/null 2>&1 &`));
  await eventually(asks, 'it asks once more', 60_000);
  await answer(/Power off/);
  await eventually(async () => (await property(machine, 'runtime.powerState')) === 'poweredOff', 'it is off', 60_000);
  assert.equal(await asked(), undefined);
  await client.waitForTask(await client.call(machine, 'Destroy_Task', {}));
  assert.deepEqual(await folders(), []);
});

// It writes and merges for a while, without a guest.
const skipMerge =
  skip !== false || process.env.HYPOSTYLE_WHOLE !== undefined
    ? skip
    : 'it fills a datastore several times: npm run test:clients runs it';

for (const power of ['running', 'stopped'] as const) {
  test(`a ${power} machine whose snapshots are merged without room, right or file says what is wrong and loses nothing`, {
    skip: skipMerge,
  }, async () => {
    await leave(200);
    const merged = 96 * mebibyte;
    const backing = { fileName: '', diskMode: 'persistent', thinProvisioned: true };
    const disk = data('VirtualDisk', {
      key: -11,
      controllerKey: -10,
      unitNumber: 0,
      capacityInKB: merged / 1024,
      backing: data('VirtualDiskFlatVer2BackingInfo', backing),
    });
    const machine = await createMachine(client, {
      ...machineSpec(power),
      files: data('VirtualMachineFileInfo', { vmPathName: '[small]' }),
      deviceChange: [
        added(data('ParaVirtualSCSIController', { key: -10, busNumber: 0, sharedBus: 'noSharing' })),
        { ...added(disk), fileOperation: 'create' },
      ],
    });
    const expected = Buffer.alloc(merged);
    const uuid = await property<string>(machine, 'config.uuid');
    const write = async (value: number, at: number, count: number) => {
      const engine = (await daemon.engines()).find((one) => one.arguments.some((word) => word.includes(uuid)));
      assert.ok(engine, 'no engine runs');
      await guestIo(engine, [`write -P ${value} ${at}M ${count}M`, 'flush']);
      expected.fill(value, at * mebibyte, (at + count) * mebibyte);
    };
    const task = async (method: string, args: object = {}) => {
      const call = client.call.bind(client) as (
        self: Machine,
        method: string,
        args: object,
      ) => Promise<ManagedObjectReference<'Task'>>;
      return client.waitForTask(await call(machine, method, args));
    };
    const refused = async (method: string, type: string, words: RegExp) =>
      assert.rejects(task(method), (error: VimFault) => {
        assert.deepEqual([error.type, error.message.includes(home)], [type, false], error.message);
        assert.match(error.message, words);
        return true;
      });
    await powerOn(client, machine);
    await write(1, 0, 8);
    await task('CreateSnapshot_Task', { name: 'one', memory: false, quiesce: false });
    await write(2, 4, 60);
    if (power === 'stopped') await task('PowerOffVM_Task');

    await leave(20);
    await refused(
      'RemoveAllSnapshots_Task',
      'NoDiskSpace',
      /on datastore 'small' for \[small\] (running|stopped)\/\1\.vmdk/,
    );
    assert.equal(await property(machine, 'runtime.consolidationNeeded'), true);
    assert.equal(await property(machine, 'runtime.powerState'), power === 'running' ? 'poweredOn' : 'poweredOff');
    await refused('ConsolidateVMDisks_Task', 'NoDiskSpace', /on datastore 'small'/);
    await leave(150);

    const folder = join(small, power);
    if (power === 'stopped') {
      const flat = join(folder, `${power}-flat.vmdk`);
      await execute('chattr', ['+i', flat]);
      await refused('ConsolidateVMDisks_Task', 'SnapshotFault', /stopped-flat\.vmdk.*not permitted/);
      await execute('chattr', ['-i', flat]);
      const delta = join(folder, `${power}-000001-delta.qcow2`);
      await rename(delta, join(small, '.away'));
      await refused('ConsolidateVMDisks_Task', 'FileFault', /stopped-000001/);
      await rename(join(small, '.away'), delta);
    }
    await task('ConsolidateVMDisks_Task');
    if (power === 'running') await write(3, 90, 2);
    assert.equal(await property(machine, 'runtime.consolidationNeeded'), false);
    assert.deepEqual(
      (await readdir(folder)).filter((name) => name.includes('000001')),
      [],
    );
    if (power === 'running') await task('PowerOffVM_Task');
    assert.ok(expected.equals(await readFile(join(folder, `${power}-flat.vmdk`))));
    await task('Destroy_Task');
  });
}
