import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { guestAccounts, installerDisc } from '@hypostyle/contracts/testing';
import {
  type Client,
  data,
  type Event,
  type GuestNicInfo,
  type GuestProcessInfo,
  type ManagedObjectReference,
  type VirtualDevice,
  type VirtualMachineConfigInfo,
  type VirtualMachineConfigSpec,
} from '@hypostyle/vim';
import { type Center, type CenterHost, centerOf } from './harness/center.ts';
import { Daemon } from './harness/daemon.ts';
import { nothingIsStray } from './harness/datastore-owners.ts';
import { added, eventually, type Machine } from './harness/guest-machine.ts';
import { keysOf } from './harness/keyboard.ts';
import { askWeb, DatastoreFiles } from './harness/web-files.ts';

// An image as Packer's builder for ISO files makes it, call by call, at a center: nothing but its interface is used.

const isoFolder = '[datastore1] packer_cache';
const isoFile = `${isoFolder}/installer.iso`;
const diskKiB = 64 << 10;

/** A guest that boots has this long on a machine that does much else. */
const bootLimit = 180_000;
const login = data('NamePasswordAuthentication', {
  interactiveSession: false,
  username: guestAccounts.root.userName,
  password: guestAccounts.root.password,
});

let daemon: Daemon;
let center: Center;
let client: Client;
let host: CenterHost;
let files: DatastoreFiles;
let datacenter: ManagedObjectReference<'Datacenter'>;
let datastore: ManagedObjectReference<'Datastore'>;
let folder: ManagedObjectReference<'Folder'>;
let built: Machine;
let copy: Machine;

before(async () => {
  // It is made once for all runs.
  await installerDisc();
  daemon = await Daemon.start({ mode: 'center' });
  center = await centerOf(daemon);
  client = center.client;
  host = await center.localHost();
  files = new DatastoreFiles(client, daemon);
  [datacenter] = (await center.all('Datacenter')) as [ManagedObjectReference<'Datacenter'>];
  [datastore] = (await center.all('Datastore')) as [ManagedObjectReference<'Datastore'>];
  folder = await center.machineFolder();
});

after(async () => {
  await center?.[Symbol.asyncDispose]();
  await daemon?.remove();
});

async function ended(task: ManagedObjectReference<'Task'>): Promise<unknown> {
  return client.waitForTask(task);
}

const devicesOf = (machine: Machine) => center.property<VirtualDevice[]>(machine, 'config.hardware.device');

async function deviceOf<T extends VirtualDevice>(machine: Machine, type: string): Promise<T> {
  const found = (await devicesOf(machine)).find(({ _typeName }) => _typeName === type);
  assert.ok(found, `the machine has a ${type}`);
  return found as T;
}

async function reconfigure(machine: Machine, spec: VirtualMachineConfigSpec): Promise<void> {
  await ended(
    await client.call(machine, 'ReconfigVM_Task', { spec: { _typeName: 'VirtualMachineConfigSpec', ...spec } }),
  );
}

/** Sizes of the files of a folder of the datastore, by name. */
async function browse(path: string): Promise<Map<string, number>> {
  const browser = await center.property<ManagedObjectReference<'HostDatastoreBrowser'>>(datastore, 'browser');
  const searchSpec = data('HostDatastoreBrowserSearchSpec', {
    details: data('FileQueryFlags', { fileType: true, fileSize: true, modification: true, fileOwner: true }),
  });
  const task = await client.call(browser, 'SearchDatastore_Task', { datastorePath: path, searchSpec });
  const { file = [] } = (await ended(task)) as { file?: { path: string; fileSize?: bigint | number }[] };
  return new Map(file.map(({ path: name, fileSize }) => [name, Number(fileSize)]));
}

/** Waits until a property is as it should be, woken by changes of it. */
async function until<T>(machine: Machine, path: string, check: (value: T | undefined) => boolean): Promise<void> {
  const filter = { objectSet: [{ obj: machine }], propSet: [{ type: 'VirtualMachine', pathSet: [path] }] };
  const signal = AbortSignal.timeout(bootLimit);
  try {
    for await (const _update of client.follow(filter, { signal, maxWaitSeconds: 20 })) {
      if (check(await center.property<T | undefined>(machine, path))) return;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    const now = JSON.stringify(await center.property(machine, path));
    throw new Error(`${path} did not become what it should be; it is ${now}; ${await said(machine)}`, { cause: error });
  }
}

const addressesOf = (nics: readonly GuestNicInfo[] = []) => nics.flatMap(({ ipAddress = [] }) => ipAddress);

/** What the machine wrote to its serial port. */
async function said(machine: Machine): Promise<string> {
  const name = await center.property<string>(machine, 'name');
  return files.read(`${name}/serial0.log`).then(
    (bytes) => bytes.toString('latin1'),
    () => '',
  );
}

async function screenOf(machine: Machine): Promise<Buffer> {
  const authorization = `Basic ${Buffer.from(`${daemon.username}:${daemon.password}`).toString('base64')}`;
  const { status, body } = await askWeb(`${daemon.url}/screen?id=${machine.value}`, { headers: { authorization } });
  assert.equal(status, 200, body.toString());
  return body;
}

/** Runs a program of the guest to its end, as a provisioner does; what it wrote. */
async function inGuest(machine: Machine, command: string): Promise<string> {
  const { guestOperationsManager } = await client.content();
  assert.ok(guestOperationsManager);
  const processes = await center.property<ManagedObjectReference<'GuestProcessManager'>>(
    guestOperationsManager,
    'processManager',
  );
  const guestFiles = await center.property<ManagedObjectReference<'GuestFileManager'>>(
    guestOperationsManager,
    'fileManager',
  );
  const on = { vm: machine, auth: login };
  const output = await client.call(guestFiles, 'CreateTemporaryFileInGuest', { ...on, prefix: 'out', suffix: '' });
  const spec = data('GuestProgramSpec', { programPath: '/bin/sh', arguments: `-c '${command}' >${output} 2>&1` });
  const pid = Number(await client.call(processes, 'StartProgramInGuest', { ...on, spec }));
  let last: GuestProcessInfo | undefined;
  await eventually(
    async () => {
      [last] = (await client.call(processes, 'ListProcessesInGuest', { ...on, pids: [BigInt(pid)] })) ?? [];
      return last?.endTime !== undefined;
    },
    `${command} ends`,
    bootLimit,
  );
  const { url } = await client.call(guestFiles, 'InitiateFileTransferFromGuest', { ...on, guestFilePath: output });
  const { body } = await askWeb(url.replace('*', daemon.host));
  assert.equal(last?.exitCode, 0, body.toString());
  return body.toString().trim();
}

async function sendToGuest(machine: Machine, path: string, body: Buffer): Promise<void> {
  const { guestOperationsManager } = await client.content();
  assert.ok(guestOperationsManager);
  const guestFiles = await center.property<ManagedObjectReference<'GuestFileManager'>>(
    guestOperationsManager,
    'fileManager',
  );
  const url = await client.call(guestFiles, 'InitiateFileTransferToGuest', {
    vm: machine,
    auth: login,
    guestFilePath: path,
    fileAttributes: data('GuestPosixFileAttributes', { permissions: 0o755n }),
    fileSize: BigInt(body.length),
    overwrite: true,
  });
  assert.equal((await askWeb(url.replace('*', daemon.host), { method: 'PUT', body })).status, 200);
}

test('the ISO is uploaded, once the folder for it is made', async () => {
  await assert.rejects(browse(isoFolder), { type: 'FileNotFound' });
  const { fileManager } = await client.content();
  assert.ok(fileManager);
  await client.call(fileManager, 'MakeDirectory', { name: isoFolder, datacenter, createParentDirectories: true });
  const path = await installerDisc();
  const { status, body } = await files.ask('packer_cache/installer.iso', { method: 'PUT', body: { path } });
  assert.equal(status, 201, body.toString());
  assert.deepEqual([...(await browse(isoFolder)).keys()], ['installer.iso']);
});

test('a machine is created and its hardware configured', async () => {
  const controller = data('ParaVirtualSCSIController', { key: -100, busNumber: 0, sharedBus: 'noSharing' });
  const disk = data('VirtualDisk', {
    key: -101,
    controllerKey: -100,
    unitNumber: 0,
    capacityInKB: diskKiB,
    backing: data('VirtualDiskFlatVer2BackingInfo', {
      fileName: '',
      diskMode: 'persistent',
      thinProvisioned: true,
      eagerlyScrub: false,
    }),
  });
  const card = data('VirtualVmxnet3', {
    key: -1,
    backing: data('VirtualEthernetCardNetworkBackingInfo', { deviceName: 'VM Network' }),
    addressType: 'generated',
    wakeOnLanEnabled: true,
    connectable: data('VirtualDeviceConnectInfo', {
      startConnected: true,
      allowGuestControl: true,
      connected: true,
      status: 'untried',
    }),
  });
  const port = data('VirtualSerialPort', {
    key: -3,
    yieldOnPoll: true,
    backing: data('VirtualSerialPortFileBackingInfo', { fileName: '' }),
  });
  const config: VirtualMachineConfigSpec = {
    _typeName: 'VirtualMachineConfigSpec',
    name: 'image',
    annotation: '',
    guestId: 'other5xLinux64Guest',
    version: 'vmx-19',
    files: { _typeName: 'VirtualMachineFileInfo', vmPathName: '[datastore1]' },
    deviceChange: [added(controller), { ...added(disk), fileOperation: 'create' }, added(card), added(port)],
  };
  const task = await client.call(folder, 'CreateVM_Task', { config, pool: host.pool });
  built = (await ended(task)) as Machine;

  const video = await deviceOf(built, 'VirtualMachineVideoCard');
  await reconfigure(built, {
    numCPUs: 1,
    numCoresPerSocket: 1,
    memoryMB: 192,
    cpuAllocation: { reservation: 0 },
    memoryAllocation: { reservation: 0 },
    memoryReservationLockedToMax: false,
    nestedHVEnabled: false,
    cpuHotAddEnabled: false,
    memoryHotAddEnabled: false,
    firmware: 'bios',
    bootOptions: { enterBIOSSetup: false, efiSecureBootEnabled: false },
    deviceChange: [{ operation: 'edit', device: { ...video, numDisplays: 1 } as VirtualDevice }],
  });
  const ide = await deviceOf(built, 'VirtualIDEController');
  const drive = data('VirtualCdrom', {
    key: -1,
    controllerKey: ide.key,
    unitNumber: -1,
    backing: data('VirtualCdromIsoBackingInfo', { fileName: isoFile }),
    connectable: data('VirtualDeviceConnectInfo', { startConnected: true, allowGuestControl: true, connected: true }),
  });
  await reconfigure(built, { deviceChange: [added(drive)] });
  await reconfigure(built, {
    extraConfig: [{ key: 'disk.EnableUUID', value: 'TRUE' }],
    tools: { toolsUpgradePolicy: 'manual', syncTimeWithHost: true },
  });
  const { extraConfig = [] } = await center.property<VirtualMachineConfigInfo>(built, 'config');
  assert.ok(extraConfig.some(({ key, value }) => key === 'disk.EnableUUID' && `${value}` === 'TRUE'));
  const [diskKey, driveKey] = [await deviceOf(built, 'VirtualDisk'), await deviceOf(built, 'VirtualCdrom')].map(
    ({ key }) => key,
  );
  await reconfigure(built, {
    bootOptions: {
      bootOrder: [
        data('VirtualMachineBootOptionsBootableDiskDevice', { deviceKey: diskKey as number }),
        data('VirtualMachineBootOptionsBootableCdromDevice', {}),
      ],
    },
  });
  assert.ok(driveKey);
});

test('the boot loader takes what is typed, and the system is installed and starts from its disk', async () => {
  await ended(await client.call(built, 'PowerOnVM_Task', {}));
  await eventually(async () => (await said(built)).includes('boot:'), 'the boot loader asks', bootLimit);
  const asked = await screenOf(built);
  const command = 'install hostname=Image_1';
  let shown = 'boot: ';
  // A guest that gets no time loses what is typed too fast: each key is waited for.
  for (const [index, spec] of keysOf(command).entries()) {
    assert.equal(await client.call(built, 'PutUsbScanCodes', { spec }), 1);
    shown += command[index];
    await eventually(async () => (await said(built)).includes(shown), `${shown} is shown`, bootLimit);
  }
  assert.ok(!(await screenOf(built)).equals(asked), 'the screen shows it');
  for (const spec of keysOf('\n')) await client.call(built, 'PutUsbScanCodes', { spec });
  await until<GuestNicInfo[]>(built, 'guest.net', (nics) => addressesOf(nics).some((ip) => /^10\./.test(ip)));
  await eventually(
    async () => /INSTALLING[\s\S]*INSTALLED[\s\S]*READY/.test(await said(built)),
    'it says so',
    bootLimit,
  );
  await until<string>(built, 'guest.hostName', (name) => name === 'Image_1');
});

test('programs are sent to the guest and run there, and the guest shuts down', async () => {
  await sendToGuest(built, '/disk/setup.sh', Buffer.from('#!/bin/sh\necho "set up on $(hostname)" >/disk/made\n'));
  await inGuest(built, 'sh /disk/setup.sh; sync');
  assert.equal(await inGuest(built, 'cat /disk/made'), 'set up on Image_1');
  await client.call(built, 'ShutdownGuest', {});
  await until<string>(built, 'runtime.powerState', (state) => state === 'poweredOff');
});

test('the drive is emptied and taken away, and the machine becomes a template', async () => {
  const drive = await deviceOf(built, 'VirtualCdrom');
  const empty = {
    ...drive,
    backing: data('VirtualCdromRemotePassthroughBackingInfo', { deviceName: '', exclusive: false }),
    connectable: data('VirtualDeviceConnectInfo', {
      startConnected: false,
      allowGuestControl: false,
      connected: false,
    }),
  };
  await reconfigure(built, { deviceChange: [{ operation: 'edit', device: empty as VirtualDevice }] });
  await reconfigure(built, {
    deviceChange: [{ operation: 'remove', device: await deviceOf(built, 'VirtualCdrom') }],
  });
  await ended(
    await client.call(built, 'CreateSnapshot_Task', { name: 'made', description: '', memory: false, quiesce: false }),
  );
  await client.call(built, 'MarkAsTemplate', {});
  assert.equal(await center.property(built, 'config.template'), true);
});

test('a clone with a larger disk is told who it is at its first start', async () => {
  const disk = await deviceOf<VirtualDevice & { capacityInKB: bigint }>(built, 'VirtualDisk');
  const card = await deviceOf(built, 'VirtualVmxnet3');
  const larger = { ...disk, capacityInKB: BigInt(diskKiB + 8192), capacityInBytes: BigInt(diskKiB + 8192) * 1024n };
  const spec = data('VirtualMachineCloneSpec', {
    location: data('VirtualMachineRelocateSpec', { pool: host.pool, datastore }),
    powerOn: false,
    template: false,
    config: {
      _typeName: 'VirtualMachineConfigSpec',
      annotation: 'made of an image',
      deviceChange: [
        { operation: 'edit', device: larger },
        { operation: 'edit', device: card },
      ],
    },
    customization: data('CustomizationSpec', {
      identity: data('CustomizationLinuxPrep', {
        hostName: data('CustomizationFixedName', { name: 'web-1' }),
        domain: 'example.com',
        timeZone: 'Etc/UTC',
      }),
      globalIPSettings: data('CustomizationGlobalIPSettings', { dnsServerList: ['10.0.2.3'] }),
      nicSettingMap: [
        data('CustomizationAdapterMapping', {
          adapter: data('CustomizationIPSettings', {
            ip: data('CustomizationFixedIp', { ipAddress: '10.0.2.77' }),
            subnetMask: '255.255.255.0',
            gateway: ['10.0.2.2'],
          }),
        }),
      ],
    }),
  });
  copy = (await ended(await client.call(built, 'CloneVM_Task', { folder, name: 'web', spec }))) as Machine;
  await ended(await client.call(copy, 'PowerOnVM_Task', {}));
  await until<GuestNicInfo[]>(copy, 'guest.net', (nics) => addressesOf(nics).includes('10.0.2.77'));
  await until<string>(copy, 'guest.hostName', (name) => name === 'web-1');
  assert.equal(
    await inGuest(copy, 'hostname; cat /disk/made; cat /sys/block/sda/size'),
    `web-1\nset up on Image_1\n${(diskKiB + 8192) * 2}`,
  );
  const { eventManager } = await client.content();
  assert.ok(eventManager);
  const filter = data('EventFilterSpec', {
    entity: data('EventFilterSpecByEntity', { entity: copy, recursion: 'self' }),
  });
  const customized = async () => {
    const events = ((await client.call(eventManager, 'QueryEvents', { filter })) ?? []) as Event[];
    return events.map(({ _typeName }) => _typeName).filter((type) => type?.startsWith('Customization'));
  };
  await eventually(
    async () => (await customized()).length === 2,
    'the customization is seen to have succeeded',
    bootLimit,
  );
  assert.deepEqual((await customized()).sort(), ['CustomizationStartedEvent', 'CustomizationSucceeded']);
});

test('all is destroyed, and nothing is left', async () => {
  await nothingIsStray(daemon, client, ['datastore1/packer_cache/installer.iso']);
  await ended(await client.call(copy, 'PowerOffVM_Task', {}));
  await ended(await client.call(copy, 'Destroy_Task', {}));
  await ended(await client.call(built, 'Destroy_Task', {}));
  const { fileManager } = await client.content();
  assert.ok(fileManager);
  await ended(await client.call(fileManager, 'DeleteDatastoreFile_Task', { name: isoFolder, datacenter }));
  assert.equal((await center.machines()).size, 0);
  // What the datastore is called by is in a file of its own.
  assert.deepEqual(
    [...(await browse('[datastore1]')).keys()].filter((name) => !name.startsWith('.')),
    [],
  );
  await nothingIsStray(daemon, client);
});
