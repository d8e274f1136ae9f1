import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { StartRequest } from '@hypostyle/contracts';
import { busyboxGuest, GuestConsole } from '@hypostyle/contracts/testing';
import { QemuHypervisor } from '../qemu-hypervisor.ts';
import { hasTpmProgram } from './tpm.ts';

test('a guest finds its TPM, and what it keeps there is there after a power cycle', async (t) => {
  if (process.env.HYPOSTYLE_WHOLE === undefined)
    return t.skip('two boots by EFI: it runs with HYPOSTYLE_WHOLE=1 (npm run test:clients)');
  if (!(await hasTpmProgram())) return t.skip('this machine has no swtpm: it runs where that package is installed');
  const folder = await mkdtemp(join(tmpdir(), 'tpm-'));
  const hypervisor = new QemuHypervisor({ cacheDirectory: join(folder, 'cache') });
  const uuid = randomUUID();
  const machineFolder = join(folder, 'm');
  await mkdir(machineFolder);
  const hardware = await busyboxGuest.prepare({
    uuid,
    folder: machineFolder,
    images: hypervisor.images,
    firmware: 'efi',
  });
  const request: StartRequest = {
    uuid,
    hardware: { ...hardware, tpm: { statePath: join(machineFolder, 'm.tpm') } },
    runDirectory: join(folder, 'run'),
    lockPath: join(machineFolder, 'vm.lck'),
    logPath: join(machineFolder, 'engine.log'),
  };
  t.after(async () => {
    await (await hypervisor.adopt(request).catch(() => undefined))?.powerOff();
    await hypervisor.detach();
    await rm(folder, { recursive: true, force: true });
  });
  // TPM2_NV_DefineSpace of 8 bytes at 0x01500016 by the owner without a password, and TPM2_NV_ReadPublic of it.
  const session = '00000009400000090000000000';
  const define = `80020000002d0000012a40000001${session}0000000e01500016000b020600020000${'0008'}`;
  const readPublic = '80010000000e0000016901500016';
  const seen: string[] = [];
  for (let round = 0; round < 2; round += 1) {
    const machine = await hypervisor.start(request);
    const guest = await GuestConsole.connect(machine.serialSocketPaths[0] ?? '');
    await guest.ready();
    assert.match(await guest.run('ls /dev/tpm0 /sys/class/tpm/tpm0/tpm_version_major'), /tpm0/);
    assert.equal(await guest.run('cat /sys/class/tpm/tpm0/tpm_version_major'), '2');
    const ask = (command: string) => {
      const bytes = command.replace(/../g, '\\x$&');
      return guest.run(
        `exec 3<>/dev/tpm0; printf '${bytes}' >/tmp/ask; dd if=/tmp/ask bs=4096 count=1 >&3 2>/dev/null; dd bs=4096 count=1 <&3 2>/dev/null | hexdump -v -e '1/1 "%02x"'; exec 3>&-`,
      );
    };
    if (round === 0) seen.push((await ask(define)).slice(12, 20));
    seen.push((await ask(readPublic)).slice(12, 20));
    guest.close();
    await machine.powerOff();
  }
  // Response codes: 0 is success; a place that there is not would be 0x18b.
  assert.deepEqual(seen, ['00000000', '00000000', '00000000']);
});
