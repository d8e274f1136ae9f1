import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CdromHardware, ControllerHardware, DiskHardware, MachineHardware } from '@hypostyle/contracts';
import { withEnvironmentDisc } from './environment-hardware.ts';

const disc = '/m/.hypo/ovf-env.iso';
const machine = (
  controllers: readonly ControllerHardware[],
  cdroms: readonly CdromHardware[],
  disks: readonly Pick<DiskHardware, 'controllerId' | 'unit'>[] = [],
) => ({ controllers, cdroms, disks, bootOrder: ['scsi0u0'] }) as unknown as MachineHardware;
const ide1: ControllerHardware = { id: 'ide1', model: 'ide', bus: 1 };
const sata0: ControllerHardware = { id: 'sata0', model: 'ahci', bus: 0 };
const drive = (controllerId: string, unit: number, path?: string): CdromHardware => ({
  id: `${controllerId}u${unit}`,
  controllerId,
  unit,
  ...(path === undefined ? {} : { path }),
});

test('the disc goes into the first drive that has none', () => {
  const before = machine([ide1], [drive('ide1', 0, '/a.iso'), drive('ide1', 1), drive('ide0', 1)]);
  const { cdroms, controllers, bootOrder } = withEnvironmentDisc(before, disc);
  assert.deepEqual(
    cdroms.map(({ path }) => path),
    ['/a.iso', disc, undefined],
  );
  assert.equal(controllers, before.controllers);
  assert.deepEqual(bootOrder, ['scsi0u0'], 'it is nothing to boot from');
  assert.equal(before.cdroms[1]?.path, undefined);
});

test('a machine without a free drive gets one: on IDE 1:0, else on AHCI, which it may have to get too', () => {
  const none = withEnvironmentDisc(machine([], []), disc);
  assert.deepEqual([none.controllers, none.cdroms], [[ide1], [drive('ide1', 0, disc)]]);
  const taken = [{ controllerId: 'ide1', unit: 0 }];
  const onNew = withEnvironmentDisc(machine([ide1], [], taken), disc);
  assert.deepEqual([onNew.controllers, onNew.cdroms], [[ide1, sata0], [drive('sata0', 0, disc)]]);
  const ports = [0, 1, 2, 3, 4].map((unit) => ({ controllerId: 'sata0', unit }));
  const onOld = withEnvironmentDisc(machine([ide1, sata0], [], [...taken, ...ports]), disc);
  assert.deepEqual([onOld.controllers, onOld.cdroms], [[ide1, sata0], [drive('sata0', 5, disc)]]);
});

test('a machine with every place in use says so', () => {
  const buses = [0, 1, 2, 3].map((bus): ControllerHardware => ({ id: `sata${bus}`, model: 'ahci', bus }));
  const ports = buses.flatMap(({ id }) => [0, 1, 2, 3, 4, 5].map((unit) => ({ controllerId: id, unit })));
  const full = machine([ide1, ...buses], [], [{ controllerId: 'ide1', unit: 0 }, ...ports]);
  assert.throws(() => withEnvironmentDisc(full, disc), { name: 'HostError', code: 'device-invalid' });
});
