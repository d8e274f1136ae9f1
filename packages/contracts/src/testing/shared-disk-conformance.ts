import assert from 'node:assert/strict';
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { it } from 'node:test';
import type { DiskHardware } from '../hardware.ts';
import type { StartRequest } from '../hypervisor.ts';
import type { ConformanceWorld } from './conformance-world.ts';
import { rejects } from './observed-machine.ts';

/** What every driver does with disks that several machines write. */
export function sharedDiskConformance(world: ConformanceWorld): void {
  it('lets two machines run with a disk that both share, and refuses one that is not shared or not raw', async (test) => {
    if (!world.capabilities.sharedDisks)
      return test.skip(
        'a disk is one machine’s with this driver (capability sharedDisks): it runs with one that shares',
      );
    const [one, two] = [await world.request(), await world.request()];
    const path = join(dirname(one.lockPath), 'shared.img');
    const file = await open(path, 'w');
    await file.truncate(8 << 20);
    await file.close();
    const layers = [{ format: 'raw' as const, path }];
    const first = await world.hypervisor.start(withDisk(one, { layers, shared: true }));
    await rejects(world.hypervisor.start(withDisk(two, { layers })), 'start-failed');
    await rejects(
      world.hypervisor.start(withDisk(two, { layers: one.hardware.disks[1]?.layers ?? [], shared: true })),
      'unsupported-hardware',
    );
    const second = await world.hypervisor.start(withDisk(two, { layers, shared: true }));
    assert.deepEqual([first.state, second.state], ['running', 'running']);
    await first.powerOff();
    await second.powerOff();
  });
}

/** The machine with one more disk; its guest is not waited for. */
function withDisk(asked: StartRequest, disk: Pick<DiskHardware, 'layers' | 'shared'>): StartRequest {
  const place = { id: 'more', controllerId: 'scsi0', unit: 5, readOnly: false, discardWrites: false };
  return { ...asked, hardware: { ...asked.hardware, disks: [...asked.hardware.disks, { ...place, ...disk }] } };
}
