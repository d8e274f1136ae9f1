import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MachineHardware, NicHardware, StartRequest } from '@hypostyle/contracts';
import { QemuHypervisor } from '../qemu-hypervisor.ts';
import { QmpClient } from '../qmp/qmp-client.ts';
import { parseThrottles } from './disk-throttle.ts';

test('disks have their limits from the start, while the machine runs and after adoption; memory is asked back', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'limits-'));
  let hypervisor = new QemuHypervisor({ cacheDirectory: join(folder, 'cache') });
  const uuid = randomUUID();
  const path = join(folder, 'd-flat.vmdk');
  await writeFile(path, Buffer.alloc(1 << 20));
  const disk = { id: 'd', controllerId: 'c0', unit: 0, layers: [{ format: 'raw', path }], readOnly: false } as const;
  const hardware: MachineHardware = {
    ...bare(uuid, folder),
    controllers: [{ id: 'c0', model: 'pvscsi', bus: 0 }],
    disks: [{ ...disk, discardWrites: false, operationsPerSecond: 120 }],
    balloon: true,
  };
  const runDirectory = join(folder, 'run');
  const pids: number[] = [];
  const request: StartRequest = {
    uuid,
    hardware,
    runDirectory,
    lockPath: join(folder, 'vm.lck'),
    logPath: join(folder, 'engine.log'),
    onProcess: async (pid) => void pids.push(pid),
  };
  const limitNow = async () => {
    const name = (await readdir(runDirectory)).find((file) => file.startsWith('rescue-')) ?? '';
    const monitor = await QmpClient.connect({ path: join(runDirectory, name), timeoutMs: 30_000 });
    try {
      return parseThrottles(await monitor.execute('query-block')).get('d');
    } finally {
      monitor.close();
    }
  };
  t.after(async () => {
    await (await hypervisor.adopt(request).catch(() => undefined))?.powerOff();
    await hypervisor.detach();
    await rm(folder, { recursive: true, force: true });
  });
  const machine = await hypervisor.start(request);
  assert.deepEqual(pids, [machine.pid]);
  assert.equal(await limitNow(), 120);
  const change = (more: object) => ({ ...hardware, disks: [{ ...disk, discardWrites: false, ...more }] });
  await machine.changeHardware(change({ operationsPerSecond: 60 }));
  assert.equal(await limitNow(), 60);
  await machine.limitMemory(24);
  await machine.limitMemory(undefined);
  await hypervisor.detach();
  hypervisor = new QemuHypervisor({ cacheDirectory: join(folder, 'cache') });
  const adopted = await hypervisor.adopt(request);
  assert.ok(adopted);
  assert.equal(await limitNow(), 60);
  await adopted.changeHardware(change({}));
  assert.equal(await limitNow(), 0);
  await adopted.powerOff();
  await assert.rejects(adopted.limitMemory(24), { code: 'not-running' });
});

test('the process through which limited adapters go is there while it is needed, whoever ends it', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'shape-'));
  let hypervisor = new QemuHypervisor({ cacheDirectory: join(folder, 'cache') });
  const uuid = randomUUID();
  const nic = (limit: Partial<NicHardware> = {}): NicHardware => ({
    id: 'ethernet0',
    model: 'vmxnet3',
    mac: '52:54:00:12:34:56',
    connected: true,
    network: { kind: 'nat', forwards: [] },
    slot: 0,
    ...limit,
  });
  const hardware: MachineHardware = { ...bare(uuid, folder), nics: [nic({ bitsPerSecond: 5_000_000 })] };
  const runDirectory = join(folder, 'run');
  const request: StartRequest = {
    uuid,
    hardware,
    runDirectory,
    lockPath: join(folder, 'vm.lck'),
    logPath: join(folder, 'engine.log'),
  };
  t.after(async () => {
    await (await hypervisor.adopt(request).catch(() => undefined))?.powerOff();
    await hypervisor.detach();
    await rm(folder, { recursive: true, force: true });
  });
  const machine = await hypervisor.start(request);
  const first = await until(
    () => shaperOf(runDirectory),
    (pid) => pid !== undefined,
  );
  process.kill(first ?? 0, 'SIGKILL');
  const second = await until(
    () => shaperOf(runDirectory),
    (pid) => pid !== undefined && pid !== first,
  );
  // Without an owner it goes on, and the next one has another started where it has ended meanwhile.
  await hypervisor.detach();
  assert.equal(await shaperOf(runDirectory), second);
  process.kill(second ?? 0, 'SIGKILL');
  hypervisor = new QemuHypervisor({ cacheDirectory: join(folder, 'cache') });
  const adopted = await hypervisor.adopt(request);
  await until(
    () => shaperOf(runDirectory),
    (pid) => pid !== undefined && pid !== second,
  );
  await adopted?.changeHardware({ ...hardware, nics: [nic({ bitsPerSecond: 1_000_000 })] });
  await adopted?.changeHardware({ ...hardware, nics: [nic()] });
  await until(
    () => shaperOf(runDirectory),
    (pid) => pid === undefined,
  );
  await adopted?.changeHardware({ ...hardware, nics: [nic({ bitsPerSecond: 1_000_000 })] });
  await until(
    () => shaperOf(runDirectory),
    (pid) => pid !== undefined,
  );
  await adopted?.powerOff();
  await until(
    () => shaperOf(runDirectory),
    (pid) => pid === undefined,
  );
  assert.equal(machine.pid, adopted?.pid);
});

/** A machine that has nothing to boot. */
function bare(uuid: string, folder: string): MachineHardware {
  return {
    uuid,
    name: 'limits',
    firmware: 'bios',
    cpus: 1,
    coresPerSocket: 1,
    memoryMiB: 32,
    guestId: 'otherGuest',
    controllers: [],
    disks: [],
    cdroms: [],
    nics: [],
    serials: [],
    balloon: false,
    rng: false,
    vmport: false,
    guestAgent: false,
    bootOrder: [],
    nvramPath: join(folder, 'nvram'),
    clock: 'utc',
  };
}

/** The process whose socket is in the folder. */
async function shaperOf(runDirectory: string): Promise<number | undefined> {
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const words = (await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '')).split('\0');
    if (words.some((word) => word.startsWith(`${runDirectory}/shaper-`))) return Number(name);
  }
  return undefined;
}

async function until<T>(look: () => Promise<T>, is: (seen: T) => boolean): Promise<T> {
  for (;;) {
    const seen = await look();
    if (is(seen)) return seen;
    await sleep(20);
  }
}
