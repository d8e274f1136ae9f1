import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { VirtualMachineConfigSpec } from '@hypostyle/vim';
import { newConfiguration } from './apply-spec.ts';
import { trackedDisks, trackingAsked } from './extra-tracking.ts';

const disk = (key: number, unit: number) => ({
  key,
  controllerKey: 1000,
  unit,
  fileName: 'a.vmdk',
  mode: 'persistent' as const,
  writeThrough: false,
  tracked: true,
});
const machine = {
  ...newConfiguration('m'),
  controllers: [{ key: 1000, family: 'scsi' as const, model: 'pvscsi' as const, bus: 0 }],
  disks: [disk(2000, 0), disk(2001, 1)],
};
const extra = (...pairs: [string, unknown][]) =>
  pairs.map(([key, value]) => ({ _typeName: 'OptionValue', key, value })) as NonNullable<
    VirtualMachineConfigSpec['extraConfig']
  >;

test('the keys of a .vmx turn tracking on and off, of the machine and of each disk', () => {
  assert.equal(trackingAsked({ extraConfig: extra(['ctkEnabled', 'true']) }), true);
  assert.equal(trackingAsked({ extraConfig: extra(['CTKENABLED', false]) }), false);
  assert.equal(trackingAsked({ extraConfig: extra(['ctkEnabled', '']) }), false);
  assert.equal(trackingAsked({ extraConfig: extra(['scsi0:0.ctkEnabled', 'TRUE']) }), undefined);
  assert.equal(trackingAsked({ changeTrackingEnabled: false, extraConfig: extra(['ctkEnabled', 'TRUE']) }), false);
  const tracked = (...pairs: [string, unknown][]) => trackedDisks(machine, extra(...pairs)).map((one) => one.tracked);
  assert.deepEqual(tracked(['scsi0:1.ctkEnabled', 'FALSE']), [true, false]);
  assert.deepEqual(tracked(['SCSI0:1.ctkEnabled', 'FALSE'], ['scsi0:1.ctkEnabled', '1']), [true, true]);
  assert.deepEqual(tracked(['scsi0:0.other', 'FALSE']), [true, true]);
});

test('a disk that is not there, and a word that is no answer, are refused', () => {
  for (const [key, value] of [
    ['scsi0:2.ctkEnabled', 'TRUE'],
    ['sata0:0.ctkEnabled', 'TRUE'],
    ['scsi0:0.ctkEnabled', 'perhaps'],
  ] as const)
    assert.throws(() => trackedDisks(machine, extra([key, value])), { type: 'InvalidArgument' });
  assert.throws(() => trackingAsked({ extraConfig: extra(['ctkEnabled', 'perhaps']) }), { type: 'InvalidArgument' });
});
