import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MachineHardware, StartRequest } from '@hypostyle/contracts';
import { QemuHypervisor } from '../qemu-hypervisor.ts';
import { QmpClient } from '../qmp/qmp-client.ts';
import { hasTpmProgram } from './tpm.ts';

async function machineIn(folder: string): Promise<StartRequest> {
  const uuid = randomUUID();
  const hardware: MachineHardware = {
    uuid,
    name: 'tpm',
    firmware: 'efi',
    cpus: 1,
    coresPerSocket: 1,
    memoryMiB: 64,
    guestId: 'otherGuest',
    controllers: [],
    disks: [],
    cdroms: [],
    nics: [],
    serials: [],
    tpm: { statePath: join(folder, 'machine.tpm') },
    balloon: false,
    rng: false,
    vmport: false,
    guestAgent: false,
    bootOrder: [],
    nvramPath: join(folder, 'nvram'),
    clock: 'utc',
  };
  return {
    uuid,
    hardware,
    runDirectory: join(folder, 'run'),
    lockPath: join(folder, 'vm.lck'),
    logPath: join(folder, 'engine.log'),
  };
}

test('a machine has a TPM, whose state stays from run to run and whose process goes with the engine', async (t) => {
  if (!(await hasTpmProgram())) return t.skip('this machine has no swtpm: it runs where that package is installed');
  const folder = await mkdtemp(join(tmpdir(), 'tpm-'));
  const hypervisor = new QemuHypervisor({ cacheDirectory: join(folder, 'cache') });
  const request = await machineIn(folder);
  t.after(async () => {
    await (await hypervisor.adopt(request).catch(() => undefined))?.powerOff();
    await hypervisor.detach();
    await rm(folder, { recursive: true, force: true });
  });
  if (!(await hypervisor.probe()).capabilities.tpm)
    return t.skip('this machine has no EFI firmware: it runs where the package ovmf is installed');
  for (let round = 0; round < 2; round += 1) {
    const machine = await hypervisor.start(request);
    const { size, mode } = await stat(join(folder, 'machine.tpm'));
    assert.ok(size > 0);
    assert.equal(mode & 0o007, 0);
    const name = (await readdir(request.runDirectory)).find((file) => file.startsWith('rescue-')) ?? '';
    const monitor = await QmpClient.connect({ path: join(request.runDirectory, name), timeoutMs: 30_000 });
    const told = (await monitor.execute('query-tpm')) as readonly { readonly model: string }[];
    monitor.close();
    assert.deepEqual(
      told.map(({ model }) => model),
      ['tpm-crb'],
    );
    await machine.powerOff();
    // It lets go of its socket's name as it ends, and its owner of what is left.
    while ((await readdir(request.runDirectory)).some((file) => file.startsWith('tpm-'))) await sleep(20);
  }
  const bios = { ...request, hardware: { ...request.hardware, firmware: 'bios' as const } };
  await assert.rejects(hypervisor.start(bios), { code: 'unsupported-hardware' });
});

test('a machine with a TPM is refused by the name of the package where there is none', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'tpm-'));
  const hypervisor = new QemuHypervisor({ cacheDirectory: join(folder, 'cache') });
  const { PATH = '' } = process.env;
  t.after(async () => {
    process.env.PATH = PATH;
    await hypervisor.detach();
    await rm(folder, { recursive: true, force: true });
  });
  const { capabilities } = await hypervisor.probe();
  if (!capabilities.efi) return t.skip('this machine has no EFI firmware: it runs where the package ovmf is installed');
  process.env.PATH = join(folder, 'nothing');
  await assert.rejects(hypervisor.start(await machineIn(folder)), { code: 'unsupported-hardware', message: /swtpm/ });
});
