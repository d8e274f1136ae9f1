import type { MachineHardware } from '@hypostyle/contracts';
import { deviceId, diskIdOf } from '../machine/device.ts';
import type { Engine } from '../machine/engine.ts';
import { isObject } from '../qmp/qmp-message.ts';

type Monitor = Pick<Engine, 'execute'>;

/** Grants disks the reads and writes a second that the hardware says; those that have them already are left alone. */
export async function throttleDisks(engine: Monitor, { disks }: Pick<MachineHardware, 'disks'>): Promise<void> {
  const now = parseThrottles(await engine.execute('query-block'));
  for (const { id, operationsPerSecond = 0 } of disks) {
    if ((now.get(id) ?? 0) === operationsPerSecond) continue;
    await engine.execute('block_set_io_throttle', {
      id: deviceId.disk(id),
      iops: operationsPerSecond,
      iops_rd: 0,
      iops_wr: 0,
      bps: 0,
      bps_rd: 0,
      bps_wr: 0,
    });
  }
}

/** Reads and writes a second by disk, as `query-block` tells them; 0 is all. */
export function parseThrottles(drives: unknown): Map<string, number> {
  const throttles = new Map<string, number>();
  for (const drive of Array.isArray(drives) ? drives : []) {
    if (!isObject(drive) || !isObject(drive.inserted)) continue;
    const id = diskIdOf(String(drive.qdev));
    if (id !== undefined) throttles.set(id, Number(drive.inserted.iops ?? 0));
  }
  return throttles;
}
