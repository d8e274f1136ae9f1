import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { MachineHardware, StartRequest } from '@hypostyle/contracts';
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
    uuid,
    name: 'limits',
    firmware: 'bios',
    cpus: 1,
    coresPerSocket: 1,
    memoryMiB: 32,
    guestId: 'otherGuest',
    controllers: [{ id: 'c0', model: 'pvscsi', bus: 0 }],
    disks: [{ ...disk, discardWrites: false, operationsPerSecond: 120 }],
    cdroms: [],
    nics: [],
    serials: [],
    balloon: true,
    rng: false,
    vmport: false,
    guestAgent: false,
    bootOrder: [],
    nvramPath: join(folder, 'nvram'),
    clock: 'utc',
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
