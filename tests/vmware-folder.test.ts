import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, open, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { bootableDisk, GuestConsole } from '@hypostyle/contracts/testing';
import { type Client, createClient, type ManagedObjectReference, VimFault } from '@hypostyle/vim';
import { Daemon } from './harness/daemon.ts';
import { serialSocketOf } from './harness/engines.ts';

const run = promisify(execFile);
type Machine = ManagedObjectReference<'VirtualMachine'>;

/** What Workstation and ESXi leave in a `.vmx`, most of it unknown here; CRLF, as Windows has it. */
const vmx = [
  '#!/usr/bin/vmware',
  '.encoding = "windows-1252"',
  'config.version = "8"',
  'virtualHW.version = "14"',
  'displayName = "Old Server"',
  'annotation = "caf\u00e9|0D|0Asecond line"',
  'guestOS = "debian10-64"',
  'numvcpus = "1"',
  'memsize = "192"',
  'pciBridge0.present = "TRUE"',
  'pciBridge4.virtualDev = "pcieRootPort"',
  'vmci0.present = "TRUE"',
  'vmci0.id = "-1263483461"',
  'hpet0.present = "TRUE"',
  'usb.present = "TRUE"',
  'ehci.present = "TRUE"',
  'sound.present = "TRUE"',
  'sound.virtualDev = "hdaudio"',
  'mks.enable3d = "TRUE"',
  'toolScripts.afterPowerOn = "TRUE"',
  'tools.syncTime = "FALSE"',
  'vendor.unknownKey = "kept as it is, with "" quotes"',
  'Vendor.MixedCase:9.key="no spaces"',
  'scsi0.present = "TRUE"',
  'scsi0.virtualDev = "pvscsi"',
  'scsi0:0.present = "TRUE"',
  'scsi0:0.fileName = "Old Server-000001.vmdk"',
  'scsi0:0.redo = ""',
  'ethernet0.present = "TRUE"',
  'ethernet0.virtualDev = "e1000"',
  'ethernet0.connectionType = "nat"',
  'ethernet0.addressType = "generated"',
  'ethernet0.generatedAddress = "00:0c:29:5a:01:02"',
  'serial0.present = "TRUE"',
  'serial0.fileType = "file"',
  'serial0.fileName = "serial0.log"',
  'uuid.bios = "56 4d 08 26 aa bb cc dd-ee ff 00 11 22 33 44 55"',
  'uuid.location = "56 4d 08 26 aa bb cc dd-ee ff 00 11 22 33 44 55"',
  'nvram = "Old Server.nvram"',
  'extendedConfigFile = "Old Server.vmxf"',
  '',
].join('\r\n');
const known =
  /^(config|virtualHW|displayName|annotation|guestOS|numvcpus|memsize|scsi0|ethernet0|serial0|uuid|nvram|\.enc|#|$)/i;

const megabyte = 1024 ** 2;
/** Places behind the guest's partition's files: in the base, in the delta, and written by the guest. */
const baseMark = 60 * megabyte;
const deltaMark = 61 * megabyte;
const guestMark = 62 * megabyte;

describe('a folder of VMware', () => {
  let workFolder: string;
  let daemon: Daemon;
  let client: Client;

  before(async () => {
    workFolder = await mkdtemp(join(tmpdir(), 'hypostyle-folder-'));
    await writeOldServer(join(workFolder, 'Old Server'));
    daemon = await Daemon.start();
    client = createClient({ url: daemon.url, tls: { insecure: true } });
    await client.signIn(daemon.username, daemon.password);
  });
  after(async () => {
    await client?.[Symbol.asyncDispose]();
    await daemon?.remove();
    await rm(workFolder, { recursive: true, force: true });
  });

  const folderOf = (name: string) => join(daemon.datastore, name);

  /** Copies the folder in under a name, for a test of its own. */
  async function copyIn(name: string): Promise<string> {
    await cp(join(workFolder, 'Old Server'), folderOf(name), { recursive: true, preserveTimestamps: true });
    return folderOf(name);
  }

  async function register(folder: string): Promise<Machine> {
    const task = await client.call({ type: 'Folder', value: 'ha-folder-vm' }, 'RegisterVM_Task', {
      path: `[datastore1] ${folder}/Old Server.vmx`,
      name: folder,
      asTemplate: false,
      pool: { type: 'ResourcePool', value: 'ha-root-pool' },
    });
    return (await client.waitForTask(task)) as Machine;
  }

  async function power(machine: Machine, method: 'PowerOnVM_Task' | 'PowerOffVM_Task'): Promise<void> {
    await client.waitForTask(await client.call(machine, method, {}));
  }

  async function console(): Promise<GuestConsole> {
    const [engine, ...others] = await daemon.engines();
    assert.ok(engine);
    assert.equal(others.length, 0);
    return GuestConsole.connect(serialSocketOf(engine));
  }

  /** Powering on fails with a typed fault; nothing runs and nothing is written. Answers its message. */
  async function refused(machine: Machine, folder: string, type = 'InvalidVmConfig'): Promise<string> {
    const digests = await digestsOf(folder);
    const error = await power(machine, 'PowerOnVM_Task').then(
      () => assert.fail('it was powered on'),
      (thrown: unknown) => thrown,
    );
    assert.ok(error instanceof VimFault, String(error));
    assert.equal(error.type, type, error.message);
    assert.deepEqual(await digestsOf(folder), digests);
    assert.equal((await daemon.engines()).length, 0);
    const [read] = await client.retrieve(machine, ['runtime']);
    assert.equal(read?.values.runtime?.powerState, 'poweredOff');
    return error.message;
  }

  it('runs, and its disks stay what they were', async () => {
    const folder = await copyIn('Old Server');
    const digests = await digestsOf(folder);
    const times = await timesOf(folder);

    const machine = await register('Old Server');
    const [read] = await client.retrieve(machine, ['config', 'layoutEx', 'summary']);
    const config = read?.values.config;
    assert.equal(config?.annotation, 'caf\u00e9\r\nsecond line');
    assert.equal(config?.uuid, '564d0826-aabb-ccdd-eeff-001122334455');
    const extra = new Map(config?.extraConfig?.map(({ key, value }) => [key, value]));
    assert.equal(extra.get('vmci0.id'), '-1263483461');
    assert.equal(extra.get('Vendor.MixedCase:9.key'), 'no spaces');
    const disk = config?.hardware.device?.find((device) => device._typeName === 'VirtualDisk');
    assert.ok(disk && 'capacityInBytes' in disk);
    assert.equal(disk.capacityInBytes, 64 * megabyte);
    assert.deepEqual(await digestsOf(folder), digests, 'registering changes no byte');
    assert.deepEqual(await timesOf(folder), times, 'and touches no file');

    await power(machine, 'PowerOnVM_Task');
    let guest = await console();
    assert.equal(await guest.ready(), '564d0826-aabb-ccdd-eeff-001122334455');
    assert.equal(await readMark(guest, baseMark), 'from the base');
    assert.equal(await readMark(guest, deltaMark), 'from the delta');
    await guest.run(`printf 'by the guest' | dd of=/dev/sda bs=512 seek=${guestMark / 512} conv=sync,notrunc && sync`);
    await guest.run(`printf 'over a delta' | dd of=/dev/sda bs=512 seek=${deltaMark / 512} conv=sync,notrunc && sync`);
    assertKept(await digestsOf(folder), digests, 'while it runs');
    guest.close();
    await power(machine, 'PowerOffVM_Task');
    assertKept(await digestsOf(folder), digests, 'after it ran');
    await assertUnknownKeysKept(folder);
    const log = await readFile(join(folder, 'serial0.log'), 'latin1');
    assert.match(log, /READY 564d0826/);

    await power(machine, 'PowerOnVM_Task');
    guest = await console();
    await guest.ready();
    assert.equal(await readMark(guest, guestMark), 'by the guest');
    assert.equal(await readMark(guest, deltaMark), 'over a delta');
    assert.equal(await readMark(guest, baseMark), 'from the base');
    guest.close();
    await power(machine, 'PowerOffVM_Task');
    assertKept(await digestsOf(folder), digests, 'after the second time');
    await assertUnknownKeysKept(folder);

    const before = await digestsOf(folder);
    await client.call(machine, 'UnregisterVM', {});
    assert.deepEqual(await digestsOf(folder), before, 'unregistering leaves the folder');
    const again = await register('Old Server');
    assert.deepEqual(await digestsOf(folder), before, 'registering again changes no byte');
    await client.call(again, 'UnregisterVM', {});
  });

  it('is refused at power-on when a disk is none of its datastore', async () => {
    const secret = join(workFolder, 'secret.vmdk');
    await cp(join(workFolder, 'Old Server', 'Old Server.vmdk'), secret);
    const climbing = '../'.repeat(12);
    for (const [name, disk] of [
      ['absolute', secret],
      ['climbing', `${climbing}${secret.slice(1)}`],
      ['host file', '/etc/hostname'],
    ] as const) {
      const folder = await copyIn(name);
      await replaceIn(join(folder, 'Old Server.vmx'), 'Old Server-000001.vmdk', disk);
      const machine = await register(name);
      const message = await refused(machine, folder);
      assert.ok(message.includes(disk.replaceAll('../', '').slice(-12)), message);
      assert.match(message, /datastore/);
      await client.call(machine, 'UnregisterVM', {});
    }
  });

  it('is refused at power-on when a descriptor leads out of its datastore', async () => {
    const folder = await copyIn('climbing descriptor');
    const flat = join(workFolder, 'outside-flat.vmdk');
    await writeFile(flat, Buffer.alloc(megabyte));
    await writeFile(
      join(folder, 'climbing.vmdk'),
      [
        '# Disk DescriptorFile',
        'version=1',
        'CID=12345678',
        'parentCID=ffffffff',
        'createType="monolithicFlat"',
        `RW 2048 FLAT "${'../'.repeat(12)}${flat.slice(1)}" 0`,
        'ddb.adapterType = "lsilogic"',
        '',
      ].join('\n'),
    );
    await replaceIn(join(folder, 'Old Server.vmx'), 'Old Server-000001.vmdk', 'climbing.vmdk');
    const machine = await register('climbing descriptor');
    const message = await refused(machine, folder);
    assert.match(message, /climbing\.vmdk/);
    assert.match(message, /outside-flat\.vmdk/);
    await client.call(machine, 'UnregisterVM', {});
  });

  it('is refused at power-on when a disk was cut off', async () => {
    const folder = await copyIn('cut off');
    const base = join(folder, 'Old Server.vmdk');
    const { size } = await stat(base);
    for (const bytes of [size - 65_536, Math.floor(size / 2), 100_000, 100, 0]) {
      await truncate(base, bytes);
      const machine = await register('cut off');
      assert.match(await refused(machine, folder), /Old Server\.vmdk/, `${bytes} bytes`);
      await client.call(machine, 'UnregisterVM', {});
    }
    await rm(base);
    const machine = await register('cut off');
    assert.match(await refused(machine, folder), /Old Server\.vmdk/);
    await client.call(machine, 'UnregisterVM', {});
  });

  it('is refused at power-on when the parent of a delta was changed', async () => {
    const folder = await copyIn('changed parent');
    const delta = join(folder, 'Old Server-000001.vmdk');
    const descriptor = await readFile(delta, 'latin1');
    const parent = /parentCID=([0-9a-f]{1,8})/.exec(descriptor)?.[1];
    assert.ok(parent);
    await replaceIn(delta, `parentCID=${parent}`, 'parentCID=0badcafe');
    const machine = await register('changed parent');
    const message = await refused(machine, folder);
    assert.match(message, /Old Server-000001\.vmdk/);
    assert.match(message, /Old Server\.vmdk/);
    await client.call(machine, 'UnregisterVM', {});
  });
});

/** A base without its boot sector, and a delta that has it: only both together boot. */
async function writeOldServer(folder: string): Promise<void> {
  await mkdir(folder);
  const raw = join(folder, 'raw.img');
  await cp(await bootableDisk(), raw);
  const boot = join(folder, 'boot-sector');
  const image = await open(raw, 'r+');
  const sector = Buffer.alloc(512);
  await image.read(sector, 0, 512, 0);
  await writeFile(boot, sector);
  await image.write(Buffer.alloc(512), 0, 512, 0);
  await image.write(marked('from the base'), 0, 512, baseMark);
  await image.close();
  const inFolder = { cwd: folder };
  const sparse = 'subformat=monolithicSparse';
  await run('qemu-img', ['convert', '-f', 'raw', '-O', 'vmdk', '-o', sparse, 'raw.img', 'Old Server.vmdk'], inFolder);
  const backing = ['-b', 'Old Server.vmdk', '-F', 'vmdk'];
  await run('qemu-img', ['create', '-q', '-f', 'vmdk', ...backing, 'Old Server-000001.vmdk'], inFolder);
  await writeFile(join(folder, 'mark'), marked('from the delta'));
  const writes = [`write -s boot-sector 0 512`, `write -s mark ${deltaMark} 512`];
  await run('qemu-io', ['-f', 'vmdk', ...writes.flatMap((line) => ['-c', line]), 'Old Server-000001.vmdk'], inFolder);
  for (const name of ['raw.img', 'boot-sector', 'mark']) await rm(join(folder, name));
  await writeFile(join(folder, 'Old Server.vmx'), Buffer.from(vmx, 'latin1'));
  await writeFile(join(folder, 'Old Server.vmxf'), '<?xml version="1.0"?><Foundry></Foundry>\n');
  await writeFile(join(folder, 'Old Server.vmsd'), '');
}

function marked(text: string): Buffer {
  const sector = Buffer.alloc(512);
  sector.write(text);
  return sector;
}

async function readMark(guest: GuestConsole, offset: number): Promise<string> {
  return guest.run(`dd if=/dev/sda bs=512 skip=${offset / 512} count=1 2>/dev/null | tr -d '\\000'`);
}

/** SHA-256 of every file below a folder, by its path there. */
async function digestsOf(folder: string): Promise<Map<string, string>> {
  const digests = new Map<string, string>();
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    digests.set(
      path.slice(folder.length + 1),
      createHash('sha256')
        .update(await readFile(path))
        .digest('hex'),
    );
  }
  return new Map([...digests].sort());
}

async function timesOf(folder: string): Promise<[string, number, number][]> {
  const names = (await readdir(folder)).sort();
  const stats = await Promise.all(names.map((name) => stat(join(folder, name))));
  return names.map((name, index) => [name, stats[index]?.mtimeMs ?? 0, stats[index]?.ino ?? 0]);
}

/** The disks that were brought are the bytes that they were. */
function assertKept(now: Map<string, string>, then: Map<string, string>, when: string): void {
  for (const name of ['Old Server.vmdk', 'Old Server-000001.vmdk']) assert.equal(now.get(name), then.get(name), when);
}

async function assertUnknownKeysKept(folder: string): Promise<void> {
  const now = (await readFile(join(folder, 'Old Server.vmx'), 'latin1')).split('\r\n');
  const unknown = vmx.split('\r\n').filter((line) => !known.test(line));
  assert.ok(unknown.length > 10);
  assert.deepEqual(
    now.filter((line) => unknown.includes(line)),
    unknown,
  );
}

async function replaceIn(path: string, from: string, to: string): Promise<void> {
  const text = await readFile(path, 'latin1');
  assert.ok(text.includes(from));
  await writeFile(path, Buffer.from(text.replace(from, to), 'latin1'));
}
