import assert from 'node:assert/strict';
import { test } from 'node:test';
import { data, type VirtualDevice } from '@hypostyle/vim';
import { CliError } from '../errors.ts';
import { controllerFor, deviceName, diskControllers, findDevice } from './devices.ts';

const devices: VirtualDevice[] = [
  data('VirtualIDEController', { key: 200, busNumber: 0 }),
  data('ParaVirtualSCSIController', { key: 1000, busNumber: 0, sharedBus: 'noSharing' }),
  data('VirtualDisk', {
    key: 2001,
    controllerKey: 1000,
    unitNumber: 1,
    capacityInKB: 1,
    deviceInfo: data('Description', { label: 'Hard disk 1', summary: '' }),
  }),
  data('VirtualVmxnet3', { key: 4002 }),
  data('VirtualCdrom', { key: 3000, controllerKey: 200, unitNumber: 0 }),
];
const machine = { name: 'web', devices };

test('devices are called as people call them, and found by name, key and label', () => {
  assert.deepEqual(devices.map(deviceName), ['ide-200', 'pvscsi-1000', 'disk-1000-1', 'ethernet-2', 'cdrom-3000']);
  for (const name of ['disk-1000-1', '2001', 'Hard disk 1']) assert.equal(findDevice(machine, name).key, 2001);
  assert.throws(() => findDevice(machine, 'disk-1000-2'), CliError);
});

test('a disk goes where there is room', () => {
  assert.equal(controllerFor(machine, undefined, diskControllers).key, 1000);
  assert.equal(controllerFor(machine, 'ide-200', diskControllers).key, 200);
  assert.throws(() => controllerFor({ name: 'web', devices: [] }, undefined, diskControllers), /no controller/);
});
