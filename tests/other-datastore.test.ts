import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, open, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { GuestConsole } from '@hypostyle/contracts/testing';
import { type Client, data, type ManagedObjectReference } from '@hypostyle/vim';
import { Daemon } from './harness/daemon.ts';
import { endEngines } from './harness/engines.ts';
import { onConsole } from './harness/guest-console.ts';
import { added, createGuest, eventually, type Machine, powerOn, signedIn } from './harness/guest-machine.ts';

const skip =
  process.env.HYPOSTYLE_WHOLE === undefined ? 'it boots a guest of its own: npm run test:clients has it' : false;
const dataMiB = 16;
const device = `/dev/$(cd /sys/block; for d in sd*; do [ $(cat $d/size) = ${dataMiB * 2048} ] && echo $d; done)`;

let home: string;
let daemon: Daemon;
let client: Client;

before(async () => {
  home = await mkdtemp(join(tmpdir(), 'hypostyle-several-'));
  if (skip) return;
  await start();
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

const inGuest = <T>(use: (console: GuestConsole) => Promise<T>) => onConsole(daemon, undefined, use);

/** Writes a megabyte that nobody can guess, and answers what the disk is then. */
async function write(megabyte: number): Promise<string> {
  const to = `of=${device} bs=1M count=1 seek=${megabyte} conv=notrunc,fsync`;
  const text = await inGuest((console) =>
    console.run(`dd if=/dev/urandom ${to} 2>/dev/null; sha256sum ${device}`, 120_000),
  );
  return text.split(' ')[0] ?? '';
}

test('a guest writes a disk on another datastore, through snapshots and restarts, and moves there', {
  skip,
  timeout: 600_000,
}, async () => {
  const path = join(home, 'other');
  const system = { type: 'HostDatastoreSystem', value: 'ha-datastoresystem' } as const;
  const other = await client.call(system as ManagedObjectReference<'HostDatastoreSystem'>, 'CreateLocalDatastore', {
    name: 'other',
    path,
  });
  const machine: Machine = await createGuest(client, daemon, { name: 'web' });
  const task = async (method: 'ReconfigVM_Task' | 'RemoveAllSnapshots_Task' | 'RelocateVM_Task', args: object) =>
    client.waitForTask((await client.call(machine, method, args as never)) as ManagedObjectReference<'Task'>);
  const change = (...deviceChange: object[]) => ({ spec: data('VirtualMachineConfigSpec', { deviceChange } as never) });
  const controller = data('ParaVirtualSCSIController', { key: -10, busNumber: 0, sharedBus: 'noSharing' });
  await task('ReconfigVM_Task', change(added(controller)));
  await powerOn(client, machine);
  await inGuest((console) => console.ready());
  const backing = { fileName: '', diskMode: 'persistent', datastore: other, thinProvisioned: true };
  const disk = data('VirtualDisk', {
    key: -11,
    controllerKey: 1000,
    unitNumber: 0,
    capacityInKB: dataMiB * 1024,
    backing: data('VirtualDiskFlatVer2BackingInfo', backing),
  });
  await task('ReconfigVM_Task', change({ ...added(disk), fileOperation: 'create' }));
  await eventually(
    async () =>
      (await inGuest((console) => console.run(`[ -b ${device} ] && echo there || true`, 10_000))).includes('there'),
    'the guest sees the disk',
    60_000,
  );
  await write(1);
  const snapshot = { name: 'before', memory: false, quiesce: false };
  await client.waitForTask(await client.call(machine, 'CreateSnapshot_Task', snapshot));
  await write(2);
  assert.deepEqual((await readdir(join(path, 'web'))).filter((name) => /0001/.test(name)).length, 2);
  await daemon.kill();
  await client[Symbol.asyncDispose]();
  await start();
  await write(3);
  await task('RemoveAllSnapshots_Task', {});
  await write(4);
  assert.deepEqual((await readdir(join(path, 'web'))).sort(), ['web-flat.vmdk', 'web.vmdk']);
  // The disk alone goes to the machine and back, thick and thin, while the guest writes to it.
  const [found] = await client.retrieve(machine, ['config', 'datastore']);
  const key = found?.values.config?.hardware.device?.find(
    ({ backing }) => (backing as { datastore?: { value: string } } | undefined)?.datastore?.value === other.value,
  )?.key;
  const first = found?.values.datastore?.find(({ value }) => value !== other.value);
  assert.ok(key !== undefined && first !== undefined);
  const hashes = async () => (await inGuest((console) => console.run(`sha256sum ${device}`, 120_000))).split(' ')[0];
  for (const [place, thinProvisioned] of [
    [first, false],
    [other, true],
  ] as const) {
    const last = await write(6);
    const diskBackingInfo = data('VirtualDiskFlatVer2BackingInfo', {
      fileName: '',
      diskMode: 'persistent',
      thinProvisioned,
    });
    const disk = [data('VirtualMachineRelocateSpecDiskLocator', { diskId: key, datastore: place, diskBackingInfo })];
    await inGuest((console) =>
      console.run(
        `(dd if=/dev/urandom of=${device} bs=64k seek=128 count=64 conv=notrunc,fsync 2>/dev/null) &`,
        10_000,
      ),
    );
    await task('RelocateVM_Task', { spec: data('VirtualMachineRelocateSpec', { disk }) });
    await inGuest((console) =>
      console.run('while pidof dd; do sleep 1; done; echo 3 > /proc/sys/vm/drop_caches', 60_000),
    );
    assert.notEqual(await hashes(), last, 'it wrote meanwhile');
    const [now] = await client.retrieve(machine, ['config']);
    const backing = now?.values.config?.hardware.device?.find((device) => device.key === key)?.backing as {
      readonly datastore?: { readonly value: string };
      readonly thinProvisioned?: boolean;
    };
    assert.deepEqual([backing.datastore?.value, backing.thinProvisioned], [place.value, thinProvisioned]);
    const gone = (await readdir(join(path, 'web')).catch(() => [])).filter((name) => name.endsWith('.vmdk'));
    assert.equal(gone.length, place === other ? 2 : 0, String(gone));
  }
  const location = data('VirtualMachineRelocateSpec', { datastore: other });
  await task('RelocateVM_Task', { spec: location });
  const digest = await write(5);
  await client.waitForTask(await client.call(machine, 'PowerOffVM_Task', {}));
  const folders = (await readdir(path)).filter((name) => !name.startsWith('.'));
  assert.equal(folders.length, 1, String(folders));
  const folder = join(path, folders[0] ?? '');
  const flat = (await readdir(folder)).find((name) => /^web.*-flat\.vmdk$/.test(name));
  assert.ok(flat, String(await readdir(folder)));
  const hash = createHash('sha256');
  await using file = await open(join(folder, flat));
  for await (const piece of file.createReadStream({ autoClose: false })) hash.update(piece as Buffer);
  assert.equal(hash.digest('hex'), digest, 'the plain disk has what the guest has');
  await client.waitForTask(await client.call(machine, 'Destroy_Task', {}));
  assert.deepEqual(
    (await readdir(path)).filter((name) => !name.startsWith('.')),
    [],
  );
});
