import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { GuestConsole } from '@hypostyle/contracts/testing';
import { type Client, data } from '@hypostyle/vim';
import { type Center, centerOf } from './harness/center.ts';
import { Daemon } from './harness/daemon.ts';
import { monitorOf } from './harness/engine-monitor.ts';
import type { Engine } from './harness/engines.ts';
import { onConsole } from './harness/guest-console.ts';
import { guestSpec, type Machine, placeGuestDisk, powerOn } from './harness/guest-machine.ts';

let daemon: Daemon;
let center: Center;
let client: Client;

before(async () => {
  daemon = await Daemon.start({ mode: 'center' });
  center = await centerOf(daemon);
  client = center.client;
});

after(async () => {
  await center?.[Symbol.asyncDispose]();
  await daemon?.remove();
});

async function engineOf(machine: Machine): Promise<Engine> {
  const uuid = await center.property<string>(machine, 'config.uuid');
  const engine = (await daemon.engines()).find(({ arguments: words }) => words.includes(uuid));
  assert.ok(engine, 'its engine runs');
  return engine;
}

async function inGuest<T>(machine: Machine, use: (console: GuestConsole) => Promise<T>): Promise<T> {
  return onConsole(daemon, await center.property<string>(machine, 'config.uuid'), use);
}

/** The address of the only adapter that an engine has. */
async function adapterOf(machine: Machine): Promise<unknown> {
  const monitor = await monitorOf(await engineOf(machine));
  try {
    const path = '/machine/peripheral';
    const devices = (await monitor.execute('qom-list', { path })) as { name: string; type: string }[];
    const nic = devices.find(({ type }) => type === 'child<vmxnet3>');
    return await monitor.execute('qom-get', { path: `${path}/${nic?.name}`, property: 'mac' });
  } finally {
    await monitor.close();
  }
}

/** A count that the guest keeps in memory alone, one more at each call. */
const count = (machine: Machine) =>
  inGuest(machine, async (console) => Number(await console.run('echo x >>/tmp/count && wc -l </tmp/count', 60_000)));

test('a guest that runs goes on in two machines, each with all that it had in memory', async () => {
  const { pool } = await center.localHost();
  await placeGuestDisk(daemon, 'images-original', false);
  const config = guestSpec({ name: 'original', controller: 'scsi' }, '[datastore1] images-original/boot.vmdk');
  const making = await client.call(await center.machineFolder(), 'CreateVM_Task', { config, pool });
  const original = (await client.waitForTask(making)) as Machine;
  await powerOn(client, original);
  await inGuest(original, (console) => console.ready());
  assert.deepEqual([await count(original), await count(original)], [1, 2]);
  const boot = await inGuest(original, (console) => console.run('cat /proc/sys/kernel/random/boot_id'));
  const [engine] = await daemon.engines();
  const spec = data('VirtualMachineInstantCloneSpec', {
    name: 'twin',
    location: data('VirtualMachineRelocateSpec', {}),
    config: [data('OptionValue', { key: 'guestinfo.role', value: 'worker' })],
  });
  const twin = (await client.waitForTask(await client.call(original, 'InstantClone_Task', { spec }))) as Machine;
  assert.equal(await center.property(twin, 'runtime.powerState'), 'poweredOn');
  const booted = await inGuest(twin, (console) => console.run('cat /proc/sys/kernel/random/boot_id', 60_000));
  assert.equal(booted, boot, 'it was not booted: it went on');
  // Each goes on from the same moment, and alone.
  assert.deepEqual([await count(twin), await count(twin), await count(original)], [3, 4, 3]);
  assert.ok(
    (await daemon.engines()).some(({ pid }) => pid === engine?.pid),
    'the original ran all the time',
  );
  // The clone's adapter is another one, and its guest knows it.
  const [own, other] = await Promise.all(
    [original, twin].map(async (machine) => {
      const devices = await center.property<{ macAddress?: string }[]>(machine, 'config.hardware.device');
      return devices.find(({ macAddress }) => macAddress !== undefined)?.macAddress ?? '';
    }),
  );
  assert.notEqual(own, other);
  assert.deepEqual([await adapterOf(original), await adapterOf(twin)], [own, other]);
  // The guest of the test has no driver for it: its bus has seen it go and come.
  const seen = (machine: Machine) =>
    inGuest(machine, async (console) => Number(await console.run('dmesg | grep -c "15ad:07b0"', 60_000)));
  assert.equal(await seen(twin), (await seen(original)) + 1);
  assert.equal(await center.property(original, 'snapshot'), undefined);
  for (const machine of [twin, original]) {
    await client.waitForTask(await client.call(machine, 'PowerOffVM_Task', {}));
    await client.waitForTask(await client.call(machine, 'Destroy_Task', {}));
  }
});
