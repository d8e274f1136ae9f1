import assert from 'node:assert/strict';
import { access, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { it } from 'node:test';
import type { DiskOverlay } from '../block-work.ts';
import type { StartRequest } from '../hypervisor.ts';
import type { ConformanceWorld } from './conformance-world.ts';
import { makeOverlays } from './disk-overlays.ts';
import { adopted, rejects } from './observed-machine.ts';

/** What every driver does with the memory of machines that run: kept with their disks, of one moment. */
export function machineSnapshotConformance(world: ConformanceWorld): void {
  it('keeps the memory of a running machine with its disks, and goes on from both', async (test) => {
    if (!world.capabilities.memorySnapshots) return test.skip('the driver keeps no memory of machines that run');
    const asked = await world.request();
    const machine = await world.hypervisor.start(asked);
    const session = await world.guest.open(machine);
    await session.ready();
    const digest = await session.fillMemory();
    await session.writeDisk('then_');
    const uptime = await session.uptimeSeconds();
    const path = join(dirname(asked.lockPath), 'memory');
    // What cannot be taken leaves the machine as it is.
    const nowhere = [{ diskId: 'nowhere', layer: { format: 'qcow2' as const, path: join(world.root, 'no.qcow2') } }];
    await rejects(machine.snapshotMachine({ overlays: nowhere, path }), 'block-failed');
    assert.equal(machine.state, 'running');
    const overlays = await overlaysOf(asked, 1);
    await rejects(machine.snapshotMachine({ overlays, path: join(world.root, 'no', 'memory') }), 'block-failed');
    assert.equal(machine.state, 'running');
    assert.equal(await machine.hasOverlays(overlays), false);
    const fractions: number[] = [];
    await machine.snapshotMachine({ overlays, path, onProgress: (fraction) => fractions.push(fraction) });
    assert.ok(fractions.every((fraction) => fraction >= 0 && fraction <= 1));
    assert.equal(machine.state, 'running');
    assert.equal(await machine.hasOverlays(overlays), true);
    // Again, as after a restart; and of a file that went since, nobody knows what was in it.
    await machine.snapshotMachine({ overlays, path });
    await rejects(machine.snapshotMachine({ overlays, path: `${path}-2` }), 'memory-failed');
    assert.equal(await session.digestMemory(), digest);
    await session.writeDisk('later');
    assert.notEqual(await session.fillMemory(), digest);
    // A second one, of the same machine.
    const second = await overlaysOf(asked, 2);
    await machine.snapshotMachine({ overlays: second, path: `${path}-3` });
    assert.equal(await session.readDisk(5), 'later');
    session.close();
    await machine.powerOff();
    await assert.rejects(access(`${path}.partial`));
    // Another machine goes on from it as a copy of this one, and only where that is what is wanted.
    const uuid = asked.uuid.replace(/^./, (digit) => (digit === 'f' ? 'e' : 'f'));
    const copied = { ...asked, uuid, hardware: { ...asked.hardware, uuid }, resumeFrom: path };
    await rejects(world.hypervisor.start(copied), 'start-failed');
    const again = await world.hypervisor.start({ ...copied, resumedAs: asked.uuid });
    assert.equal(again.uuid, uuid);
    const resumed = await world.guest.open(again);
    assert.equal(await resumed.digestMemory(), digest);
    assert.equal(await resumed.readDisk(5), 'then_');
    assert.ok((await resumed.uptimeSeconds()) >= uptime);
    resumed.close();
    await again.powerOff();
  });

  it('goes on with the memory of a machine whose owner was killed meanwhile', async (test) => {
    if (!world.capabilities.memorySnapshots) return test.skip('the driver keeps no memory of machines that run');
    const asked = await world.request();
    const machine = await world.hypervisor.start(asked);
    const session = await world.guest.open(machine);
    await session.ready();
    const digest = await session.fillMemory();
    session.close();
    await world.reopen();
    const overlays = await overlaysOf(asked, 1);
    const path = join(dirname(asked.lockPath), 'memory');
    await world.ownedByAnother(asked, { snapshot: { overlays, path } });
    const found = await adopted(world.hypervisor, asked);
    // Either it is kept, or it is lost and said so; the guest runs, and nothing half-made stays.
    const kept = await found.snapshotMachine({ overlays, path }).then(
      () => true,
      (error: unknown) => {
        assert.equal((error as { readonly code?: string }).code, 'memory-failed');
        return false;
      },
    );
    assert.equal(await found.hasOverlays(overlays), true);
    assert.equal(found.state, 'running');
    const second = await world.guest.open(found);
    assert.equal(await second.digestMemory(), digest);
    second.close();
    await found.powerOff();
    await assert.rejects(access(`${path}.partial`));
    if (!kept) return;
    const resumed = await world.hypervisor.start({ ...asked, resumeFrom: path });
    const third = await world.guest.open(resumed);
    assert.equal(await third.digestMemory(), digest);
    third.close();
    await resumed.powerOff();
    await rm(path);
  });

  function overlaysOf(asked: StartRequest, round: number): Promise<DiskOverlay[]> {
    return makeOverlays(world.hypervisor.images, asked, round);
  }
}
