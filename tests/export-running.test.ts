import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import type { GuestConsole } from '@hypostyle/contracts/testing';
import { type Client, data, type ManagedObjectReference } from '@hypostyle/vim';
import { openDisk } from '@hypostyle/vmdk';
import { run } from '../packages/cli/src/run.ts';
import { memoryContext } from '../packages/cli/src/testing/memory-terminal.ts';
import { Daemon } from './harness/daemon.ts';
import { endEngines } from './harness/engines.ts';
import { onConsole } from './harness/guest-console.ts';
import {
  added,
  createGuest,
  eventually,
  type Machine,
  powerOn,
  propertyOf,
  signedIn,
} from './harness/guest-machine.ts';

// A machine is exported while it runs and writes, imported again, and booted.
const execute = promisify(execFile);
const dataMiB = 8;
/** The data disk in the guest, by its size: which disk is found first is chance. */
const device = `/dev/$(cd /sys/block; for d in sd*; do [ $(cat $d/size) = ${dataMiB * 2048} ] && echo $d; done)`;
const digestCommand = `sync; echo 3 >/proc/sys/vm/drop_caches; sha256sum ${device}`;

let home: string;
let daemon: Daemon;
let client: Client;

before(async () => {
  home = await mkdtemp(join(tmpdir(), 'hypostyle-export-running-'));
  daemon = await Daemon.start({ home });
  client = await signedIn(daemon);
});

after(async () => {
  await client?.[Symbol.asyncDispose]();
  await daemon?.remove();
  await endEngines(home);
  await rm(home, { recursive: true, force: true });
});

async function hypo(...args: string[]): Promise<string> {
  const memory = memoryContext({ HYPOSTYLE_HOME: home });
  const code = await run(args, memory.context);
  assert.equal(code, 0, `${args.join(' ')}: ${memory.errors()}`);
  return memory.output();
}

const property = <T>(object: ManagedObjectReference, path: string) => propertyOf<T>(client, object, path);

async function inGuest<T>(machine: Machine, use: (console: GuestConsole) => Promise<T>): Promise<T> {
  return onConsole(daemon, await property<string>(machine, 'config.uuid'), use);
}

const digestIn = async (machine: Machine) =>
  (await inGuest(machine, (console) => console.run(digestCommand, 60_000))).split(' ')[0];
const written = async (machine: Machine, megabyte: number) =>
  inGuest(machine, (console) =>
    console.run(
      `dd if=/dev/urandom of=${device} bs=1M count=1 seek=${megabyte} conv=notrunc 2>/dev/null && sync`,
      60_000,
    ),
  );

test('a machine that runs is exported as it was at a snapshot, imported again and booted: the same bytes', async () => {
  const machine = await createGuest(client, daemon, { name: 'written', controller: 'scsi' });
  const controller = data('ParaVirtualSCSIController', { key: -10, busNumber: 1, sharedBus: 'noSharing' });
  const disk = data('VirtualDisk', {
    key: -11,
    controllerKey: -10,
    unitNumber: 0,
    capacityInKB: dataMiB * 1024,
    backing: data('VirtualDiskFlatVer2BackingInfo', { fileName: '', diskMode: 'persistent', thinProvisioned: true }),
  });
  const spec = data('VirtualMachineConfigSpec', {
    deviceChange: [added(controller), { ...added(disk), fileOperation: 'create' }],
  });
  await client.waitForTask(await client.call(machine, 'ReconfigVM_Task', { spec }));
  await powerOn(client, machine);
  await inGuest(machine, (console) => console.ready());
  await written(machine, 0);
  await assert.rejects(client.call(machine, 'ExportVm', {}), { type: 'InvalidPowerState' });
  const atSnapshot = await digestIn(machine);
  await hypo('snapshot', 'create', 'written', 'moment');
  // What the guest goes on to write is no part of it, also while it is exported.
  await inGuest(machine, async (console) => {
    await console.run(
      `(while :; do dd if=/dev/urandom of=${device} bs=64k count=8 seek=70 conv=notrunc 2>/dev/null; sync; done) >/dev/null 2>&1 & echo $! >/loop`,
    );
  });
  const ova = join(home, 'moment.ova');
  await hypo('export', 'written', ova, '--snapshot', 'moment');
  assert.equal(await property(machine, 'runtime.powerState'), 'poweredOn');
  await inGuest(machine, (console) => console.run('kill $(cat /loop); wait $(cat /loop); true'));
  assert.notEqual(await digestIn(machine), atSnapshot, 'the guest went on');
  await hypo('ovf', 'verify', ova);
  await hypo('snapshot', 'rm', 'written', 'moment');

  await hypo('deploy', ova, '--name', 'again');
  const { rootFolder } = await client.content();
  const again = (await property<Machine[]>({ type: 'Folder', value: 'ha-folder-vm' }, 'childEntity')).find(
    ({ value }) => value !== machine.value,
  );
  assert.ok(again && rootFolder);
  const console = data('VirtualSerialPort', {
    key: -9,
    yieldOnPoll: true,
    backing: data('VirtualSerialPortDeviceBackingInfo', { deviceName: '' }),
  });
  const devices = await property<{ _typeName?: string }[]>(again, 'config.hardware.device');
  if (!devices.some(({ _typeName }) => _typeName === 'VirtualSerialPort')) {
    const withConsole = data('VirtualMachineConfigSpec', { deviceChange: [added(console)] });
    await client.waitForTask(await client.call(again, 'ReconfigVM_Task', { spec: withConsole }));
  }
  await powerOn(client, again);
  await inGuest(again, (guest) => guest.ready());
  assert.equal(await digestIn(again), atSnapshot, 'the guest of the copy reads what the other had at the snapshot');
  await client.waitForTask(await client.call(again, 'PowerOffVM_Task', {}));
  const folder = join(daemon.datastore, 'again');
  const settled = async () => !(await readdir(folder)).some((name) => /partial|qcow2/.test(name));
  await eventually(settled, 'its disks are plain ones', 60_000);
  const plain = (await readdir(folder)).filter((name) => /^again.*\.vmdk$/.test(name) && !name.includes('-flat'));
  for (const name of plain) {
    const opened = await openDisk(join(folder, name));
    const { virtualBytes } = opened;
    await opened.close();
    if (virtualBytes !== dataMiB * 2 ** 20) continue;
    const { stdout } = await execute('sha256sum', [join(folder, name.replace('.vmdk', '-flat.vmdk'))]);
    assert.equal(stdout.split(' ')[0], atSnapshot);
  }
  assert.equal(plain.length, 2, plain.join(' '));
});
