import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DiskHardware } from '@hypostyle/contracts';
import { throttleDisks } from './disk-throttle.ts';

const disk = (id: string, operationsPerSecond?: number): DiskHardware => ({
  id,
  controllerId: 'scsi0',
  unit: 0,
  layers: [],
  readOnly: false,
  discardWrites: false,
  ...(operationsPerSecond === undefined ? {} : { operationsPerSecond }),
});

test('disks are told of their limit where it is another one, and of its end', async () => {
  const told: unknown[] = [];
  const monitor = {
    execute: async (command: string, input?: object) => {
      if (command !== 'query-block') told.push([command, input]);
      return [
        { qdev: '/machine/peripheral/disk-kept/virtio-backend', inserted: { iops: 100 } },
        { qdev: 'disk-freed', inserted: { iops: 7 } },
        { qdev: 'disk-free', inserted: { iops: 0 } },
        { qdev: 'disk-slowed', inserted: { iops: 0 } },
        { qdev: 'cdrom-ide0u0' },
        'nonsense',
      ];
    },
  };
  const disks = [disk('kept', 100), disk('freed'), disk('free'), disk('slowed', 50)];
  await throttleDisks(monitor as never, { disks });
  const all = { iops_rd: 0, iops_wr: 0, bps: 0, bps_rd: 0, bps_wr: 0 };
  assert.deepEqual(told, [
    ['block_set_io_throttle', { id: 'disk-freed', iops: 0, ...all }],
    ['block_set_io_throttle', { id: 'disk-slowed', iops: 50, ...all }],
  ]);
});
