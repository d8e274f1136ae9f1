import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { availableParallelism, totalmem } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { GuestConsole } from '@hypostyle/contracts/testing';
import { type Client, data } from '@hypostyle/vim';
import { Daemon } from './harness/daemon.ts';
import { argumentOf, serialSocketOf } from './harness/engines.ts';
import {
  added,
  createGuest,
  createMachine,
  eventually,
  type Machine,
  machineSpec,
  signedIn,
} from './harness/guest-machine.ts';
import { type Virsh, virshFields, virshOf } from './harness/virsh.ts';

// Every command is virsh of Debian's libvirt-clients, unmodified, through its ESX driver.
let daemon: Daemon;
let client: Client;
let virsh: Virsh;
let guest: Machine;

before(async () => {
  daemon = await Daemon.start();
  client = await signedIn(daemon);
  virsh = await virshOf(daemon);
  guest = await createGuest(client, daemon, { name: 'alpha' });
});

after(async () => {
  await client?.[Symbol.asyncDispose]();
  await daemon?.remove();
});

async function powerState(): Promise<unknown> {
  const [machine] = await client.retrieve(guest, ['runtime.powerState']);
  return machine?.values['runtime.powerState'];
}

test('nodeinfo says what this machine is', async () => {
  const facts = virshFields(await virsh('nodeinfo'));
  assert.equal(Number(facts['CPU(s)']), availableParallelism());
  assert.ok(Math.abs(Number.parseInt(facts['Memory size'] ?? '', 10) * 1024 - totalmem()) < 2 ** 20);
  assert.match(facts['CPU model'] ?? '', /\S/);
  assert.match(await virsh('version'), /Running hypervisor: ESX 8\.0\.3/);
  assert.match(await virsh('uri'), /^esx:/);
});

test('dominfo and list say what the machine is', async () => {
  assert.match(await virsh('list', '--all'), /^ -\s+alpha\s+shut off$/m);
  assert.doesNotMatch(await virsh('list'), /alpha/);
  const facts = virshFields(await virsh('dominfo', 'alpha'));
  const [machine] = await client.retrieve(guest, ['config.uuid']);
  assert.equal(facts.UUID, machine?.values['config.uuid']);
  assert.equal(facts.State, 'shut off');
  assert.equal(facts['CPU(s)'], '1');
  assert.equal(facts['Max memory'], `${192 * 1024} KiB`);
  assert.match(await virsh('dominfo', facts.UUID ?? ''), /Name: +alpha/, 'a machine is found by its UUID');
});

test('dumpxml reads the .vmx', async () => {
  const xml = await virsh('dumpxml', 'alpha');
  assert.match(xml, /<domain type='vmware'/);
  assert.match(xml, /<memory unit='KiB'>196608<\/memory>/);
  assert.match(xml, /<source file='\[datastore1\] images-alpha\/boot\.vmdk'\/>\s*<target dev='hda' bus='ide'\/>/);
  assert.match(xml, /<source bridge='VM Network'\/>\s*<model type='vmxnet3'\/>/);
  assert.match(xml, /<serial type=/);
});

test('dumpxml reads every kind of device that a machine can have', async () => {
  const controllers = [
    'VirtualLsiLogicController',
    'VirtualLsiLogicSASController',
    'ParaVirtualSCSIController',
  ] as const;
  const disk = (key: number, controllerKey: number, unitNumber: number) => ({
    ...added(
      data('VirtualDisk', {
        key,
        controllerKey,
        unitNumber,
        capacityInKB: 1024,
        backing: data('VirtualDiskFlatVer2BackingInfo', { fileName: '', diskMode: 'persistent' }),
      }),
    ),
    fileOperation: 'create' as const,
  });
  const nic = (type: 'VirtualE1000' | 'VirtualE1000e' | 'VirtualPCNet32', macAddress?: string) =>
    added(
      data(type, {
        key: -50,
        ...(macAddress === undefined ? {} : { addressType: 'manual', macAddress }),
        backing: data('VirtualEthernetCardNetworkBackingInfo', { deviceName: 'VM Network' }),
      }),
    );
  await createMachine(client, {
    ...machineSpec('beta: every device', 132),
    numCPUs: 2,
    annotation: 'Two lines\nand a "quote"',
    deviceChange: [
      ...controllers.map((type, bus) => added(data(type, { key: -10 - bus, busNumber: bus, sharedBus: 'noSharing' }))),
      ...controllers.map((_, bus) => disk(-20 - bus, -10 - bus, bus)),
      added(data('VirtualAHCIController', { key: -15, busNumber: 0 })),
      disk(-25, -15, 3),
      added(
        data('VirtualCdrom', {
          key: -30,
          controllerKey: 201,
          unitNumber: 0,
          backing: data('VirtualCdromIsoBackingInfo', { fileName: '[datastore1] images/disc.iso' }),
        }),
      ),
      nic('VirtualE1000'),
      nic('VirtualE1000e', '00:50:56:12:34:56'),
      nic('VirtualPCNet32'),
      added(
        data('VirtualSerialPort', {
          key: -40,
          yieldOnPoll: true,
          backing: data('VirtualSerialPortFileBackingInfo', { fileName: '[datastore1] beta/serial.log' }),
        }),
      ),
    ],
  });
  const xml = await virsh('dumpxml', 'beta: every device');
  // libvirt names the first SCSI controller alone; disks of the others show that it read them too.
  assert.match(xml, /<controller type='scsi' index='0' model='lsilogic'\/>/);
  assert.equal(xml.match(/<disk type='file' device='disk'>/g)?.length, 4);
  assert.match(xml, /<source file='\[datastore1\] images\/disc\.iso'\/>\s*<target dev='hdc' bus='ide'\/>/);
  assert.match(xml, /<mac address='00:50:56:12:34:56' type='static'\/>/);
  assert.match(xml, /<vcpu placement='static'>2<\/vcpu>/);
  assert.match(xml, /<description>Two lines\nand a &quot;quote&quot;<\/description>/);
});

test('pool-list and vol-list show the datastore and its disks', async () => {
  assert.match(await virsh('pool-list', '--all'), /^ datastore1\s+active/m);
  const pool = virshFields(await virsh('pool-info', 'datastore1'));
  assert.equal(pool.State, 'running');
  assert.ok(Number.parseFloat(pool.Capacity ?? '') > 0);
  assert.match(
    await virsh('vol-list', 'datastore1'),
    /images-alpha\/boot\.vmdk +\[datastore1\] images-alpha\/boot\.vmdk/,
  );
  const volume = await virsh('vol-dumpxml', '--pool', 'datastore1', 'images-alpha/boot.vmdk');
  assert.match(volume, /<capacity unit='bytes'>67108864<\/capacity>/);
  const key = await virsh('vol-key', '--pool', 'datastore1', 'images-alpha/boot.vmdk');
  assert.equal(await virsh('vol-path', key), '[datastore1] images-alpha/boot.vmdk', 'a disk is found by its key');
});

test('start, shutdown and destroy do it to the guest', async () => {
  assert.match(await virsh('start', 'alpha'), /started/);
  assert.match(await virsh('list'), /alpha\s+running/);
  const [engine, ...others] = await daemon.engines();
  assert.ok(engine !== undefined && others.length === 0, 'one engine runs');
  const console = await GuestConsole.connect(serialSocketOf(engine));
  const uuid = virshFields(await virsh('dominfo', 'alpha')).UUID;
  assert.equal(await console.ready(), uuid, 'the guest booted, and its firmware tells it the same UUID');
  assert.equal(argumentOf(engine, '-uuid') ?? uuid, uuid);
  await assert.rejects(virsh('start', 'alpha'), /already active/);
  assert.match(await virsh('dumpxml', 'alpha'), /<domain type='vmware' id='\d+'/);

  await virsh('shutdown', 'alpha');
  await eventually(async () => (await powerState()) === 'poweredOff', 'the guest shuts down');
  console.close();
  assert.deepEqual(await daemon.engines(), []);
  assert.match(await virsh('domstate', 'alpha'), /shut off/);

  await virsh('start', 'alpha');
  await virsh('destroy', 'alpha');
  assert.equal(await powerState(), 'poweredOff');
  assert.deepEqual(await daemon.engines(), []);
});

test("suspend keeps the machine's memory, resume goes on with it", async () => {
  await virsh('start', 'alpha');
  const [before] = await daemon.engines();
  assert.ok(before);
  const first = await GuestConsole.connect(serialSocketOf(before));
  await first.ready();
  await first.run('echo kept >/tmp/note');
  first.close();
  await virsh('suspend', 'alpha');
  assert.match(await virsh('domstate', 'alpha'), /paused/);
  assert.deepEqual(await daemon.engines(), []);
  await virsh('resume', 'alpha');
  const [resumed] = await daemon.engines();
  assert.ok(resumed);
  const second = await GuestConsole.connect(serialSocketOf(resumed));
  assert.equal(await second.run('cat /tmp/note'), 'kept');
  second.close();
  await virsh('destroy', 'alpha');
});

test('a wrong password is refused', async () => {
  const other = await virshOf({ ...daemon, host: daemon.host, home: daemon.home, password: 'wrong' } as Daemon);
  await assert.rejects(other('list'), /incorrect user name or password|Login|authentication/i);
  virsh = await virshOf(daemon);
});

test('the .vmx lies in the datastore as virsh read it', async () => {
  const vmx = await readFile(join(daemon.datastore, 'alpha', 'alpha.vmx'), 'utf8');
  assert.match(vmx, /^displayName = "alpha"$/m);
  assert.match(vmx, /^memSize = "192"$/m);
});
