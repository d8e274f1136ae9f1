import assert from 'node:assert/strict';
import { truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DiskHardware, MachineHardware, NicHardware } from '../hardware.ts';
import type { GuestHardware, GuestSession } from './conformance-guest.ts';
import type { ConformanceWorld } from './conformance-world.ts';
import { checkNicLimits } from './nic-limit-conformance.ts';
import { adopted, rejects } from './observed-machine.ts';

const addedBytes = 24 << 20;
const guestDeadlineMs = 60_000;

/** What changes of a machine that runs, as its guest sees it. One guest is enough for all of it. */
export function hotPlugConformance(world: ConformanceWorld): void {
  it('changes its hardware while it runs, and the guest sees it', async (test) => {
    const { hotPlug } = world.capabilities;
    if (!hotPlug)
      return test.skip(
        'the driver changes nothing of a machine that runs (capability hotPlug): it runs with one that does',
      );
    const asked = await world.request();
    const folder = dirname(asked.lockPath);
    const room = { maxCpus: 4, maxMemoryMiB: 1024 };
    const hardware: MachineHardware = { ...asked.hardware, hotPlug: room };
    let machine = await world.hypervisor.start({ ...asked, hardware });
    let session = await world.guest.open(machine);
    await session.ready();
    const before = await session.hardware();

    // Nothing to do is nothing done.
    await machine.changeHardware(hardware);
    assert.deepEqual(await session.hardware(), before);

    const disk = await blankDisk(join(folder, 'added.img'), 'scsi0', 3);
    const nic: NicHardware = {
      id: 'ethernet3',
      model: 'virtio',
      mac: '52:54:00:12:34:59',
      connected: true,
      network: { kind: 'nat', forwards: [] },
      slot: 3,
    };
    const disc = join(folder, 'disc.iso');
    await writeFile(disc, 'first disc'.padEnd(1 << 20, '.'));
    const more: MachineHardware = {
      ...hardware,
      disks: [...hardware.disks, disk],
      nics: [...hardware.nics.map((one) => ({ ...one, connected: false })), nic],
      cdroms: hardware.cdroms.map((cdrom) => ({ ...cdrom, path: disc })),
      cpus: hotPlug.cpus ? 3 : 1,
      memoryMiB: hardware.memoryMiB + 2 * hotPlug.memoryStepMiB,
    };
    await machine.changeHardware(more);
    await machine.changeHardware(more);
    const seen = await until(session, ({ diskBytes, nics, processors, memoryMiB }) => {
      const linked = nics.find(({ mac }) => mac === nic.mac)?.link === true;
      const cut = nics.find(({ mac }) => mac !== nic.mac)?.link === false;
      const grown = memoryMiB - before.memoryMiB === 2 * hotPlug.memoryStepMiB;
      return diskBytes.includes(addedBytes) && linked && cut && processors === more.cpus && grown;
    });
    assert.equal(seen.diskBytes.length, before.diskBytes.length + 1);
    assert.equal(await session.readDisc(10), 'first disc');

    // What cannot be is refused, and nothing of it is done.
    const refused: Partial<MachineHardware>[] = [
      { cpus: 5 },
      { memoryMiB: more.memoryMiB + 1 },
      { memoryMiB: more.memoryMiB - hotPlug.memoryStepMiB },
      { memoryMiB: 2048 },
      { cdroms: [] },
      { disks: [...more.disks, await blankDisk(join(folder, 'ide.img'), 'ide0', 0, 'ide')] },
      { controllers: [...more.controllers, { id: 'sata0', model: 'ahci', bus: 0 }] },
    ];
    for (const change of refused) await rejects(machine.changeHardware({ ...more, ...change }), 'unsupported-hardware');
    const lost = { ...disk, id: 'lost', unit: 4, layers: [{ format: 'raw' as const, path: join(folder, 'no.img') }] };
    await rejects(machine.changeHardware({ ...more, disks: [...more.disks, lost] }), 'hot-plug-failed');
    assert.deepEqual(await session.hardware(), seen);

    // A disk grows, and one of a controller of its own comes with it.
    await machine.growDisk('added', 2 * addedBytes);
    await machine.growDisk('added', 2 * addedBytes);
    await rejects(machine.growDisk('nowhere', addedBytes), 'hot-plug-failed');
    const second = join(folder, 'second.iso');
    await writeFile(second, 'second one'.padEnd(1 << 20, '.'));
    const further: MachineHardware = {
      ...more,
      controllers: [...more.controllers, { id: 'scsi1', model: 'pvscsi', bus: 1 }],
      disks: [...more.disks, await blankDisk(join(folder, 'other.img'), 'scsi1', 0, 'other')],
      cdroms: more.cdroms.map((cdrom) => ({ ...cdrom, path: second })),
    };
    await machine.changeHardware(further);
    await until(session, ({ diskBytes }) => diskBytes.includes(2 * addedBytes) && diskBytes.includes(addedBytes));
    assert.equal(await session.readDisc(10), 'second one');

    // One that is removed is gone, and can come again.
    const without = { ...further, disks: further.disks.filter(({ id }) => id !== 'added') };
    await machine.changeHardware(without);
    await until(session, ({ diskBytes }) => diskBytes.length === before.diskBytes.length + 1);
    await machine.changeHardware(further);
    await until(session, ({ diskBytes }) => diskBytes.includes(2 * addedBytes));

    // All of it lives through a suspend.
    if (world.capabilities.suspend) {
      const path = join(folder, 'memory');
      session.close();
      await machine.suspend(path);
      // Room is what it was started with, whatever the owner would give it now.
      const now = { ...further, hotPlug: { maxCpus: 8, maxMemoryMiB: 4096 } };
      machine = await world.hypervisor.start({ ...asked, hardware: now, resumeFrom: path });
      session = await world.guest.open(machine);
      const after = await session.hardware();
      assert.deepEqual([after.processors, after.diskBytes.length], [more.cpus, before.diskBytes.length + 2]);
      assert.equal(after.memoryMiB, seen.memoryMiB);
    }

    // And goes again; what an owner that was killed left half done is done by the next.
    session.close();
    const less: MachineHardware = { ...hardware, cpus: more.cpus, memoryMiB: more.memoryMiB };
    await world.reopen();
    await world.ownedByAnother(asked, { hardware: less });
    machine = await adopted(world.hypervisor, asked);
    session = await world.guest.open(machine);
    await machine.changeHardware(less);
    // Its kernel may keep the names of disks that are no more: they have no size.
    const last = await until(session, ({ diskBytes, nics }) => {
      const left = diskBytes.filter((bytes) => bytes > 0).length;
      return left === before.diskBytes.length && nics.length === 1 && nics[0]?.link === true;
    });
    assert.deepEqual(last.nics, before.nics);
    assert.equal(await session.readDisc(10), '');
    if (world.capabilities.nicLimits) await checkNicLimits(session, machine, less);
    session.close();
    await machine.powerOff();
    await rejects(machine.changeHardware(less), 'not-running');
  });
}

async function blankDisk(path: string, controllerId: string, unit: number, id = 'added'): Promise<DiskHardware> {
  await writeFile(path, Buffer.alloc(0));
  await truncate(path, addedBytes);
  return { id, controllerId, unit, layers: [{ format: 'raw', path }], readOnly: false, discardWrites: false };
}

/** The guest's kernel takes its time with what comes. */
async function until(session: GuestSession, is: (seen: GuestHardware) => boolean): Promise<GuestHardware> {
  const deadline = performance.now() + guestDeadlineMs;
  for (;;) {
    const seen = await session.hardware();
    if (is(seen)) return seen;
    assert.ok(performance.now() < deadline, `the guest has ${JSON.stringify(seen)}`);
    await sleep(100);
  }
}
