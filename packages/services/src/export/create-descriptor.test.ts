import assert from 'node:assert/strict';
import { test } from 'node:test';
import { data, type VimFault, type VirtualMachineConfigInfo, type VirtualMachineImportSpec } from '@hypostyle/vim';
import { createImportSpec } from '../import/import-spec.ts';
import { createDescriptor } from './create-descriptor.ts';

const config = {
  _typeName: 'VirtualMachineConfigInfo',
  name: 'web & co',
  guestId: 'debian12_64Guest',
  guestFullName: 'Debian',
  version: 'vmx-19',
  firmware: 'efi',
  annotation: 'ours',
  hardware: {
    numCPU: 4,
    numCoresPerSocket: 2,
    memoryMB: 3072,
    device: [
      { _typeName: 'VirtualPCIController', key: 100, busNumber: 0 },
      { _typeName: 'VirtualAHCIController', key: 15000, busNumber: 0 },
      { _typeName: 'ParaVirtualSCSIController', key: 1000, busNumber: 0 },
      { _typeName: 'VirtualDisk', key: 2000, controllerKey: 1000, unitNumber: 0, capacityInKB: 1024n },
      { _typeName: 'VirtualDisk', key: 2001, controllerKey: 1000, unitNumber: 1, capacityInKB: 2048n },
      { _typeName: 'VirtualCdrom', key: 16000, controllerKey: 15000, unitNumber: 0 },
      { _typeName: 'VirtualVmxnet3', key: 4000, unitNumber: 7, backing: { deviceName: 'VM Network' } },
      { _typeName: 'VirtualSerialPort', key: 9000, deviceInfo: { label: 'Serial port 1', summary: '' } },
    ],
  },
} as unknown as VirtualMachineConfigInfo;

const files = (deviceId: string) =>
  data('OvfCreateDescriptorParams', {
    ovfFiles: [data('OvfFile', { deviceId, path: 'web-disk1.vmdk', size: 70_000n as never })],
  });

test('a descriptor that was made of a machine is imported as that machine', async () => {
  const { ovfDescriptor, warning } = createDescriptor(config, files('/7/ParaVirtualSCSIController0:0'));
  assert.deepEqual(
    warning?.map(({ localizedMessage }) => localizedMessage?.includes('Serial port 1')),
    [true],
  );
  const parameters = data('OvfCreateImportSpecParams', { locale: '', deploymentOption: '', entityName: 'again' });
  const networks = [{ ref: { type: 'Network', value: 'n' } as const, name: 'VM Network' }];
  const { importSpec, error, fileItem } = await createImportSpec({ descriptor: ovfDescriptor, parameters, networks });
  assert.equal(error, undefined);
  const { configSpec: spec } = importSpec as VirtualMachineImportSpec;
  assert.deepEqual(
    [spec.guestId, spec.version, spec.firmware, spec.numCPUs, spec.numCoresPerSocket, spec.memoryMB, spec.annotation],
    ['debian12_64Guest', 'vmx-19', 'efi', 4, 2, 3072, 'ours'],
  );
  const types = spec.deviceChange?.map(({ device }) => device._typeName).sort();
  assert.deepEqual(types, [
    'ParaVirtualSCSIController',
    'VirtualAHCIController',
    'VirtualCdrom',
    'VirtualDisk',
    'VirtualDisk',
    'VirtualVmxnet3',
  ]);
  assert.deepEqual(
    fileItem?.map(({ path, size }) => [path, Number(size)]),
    [['web-disk1.vmdk', 70_000]],
  );
});

test('a file of a device that the machine has not is refused', () => {
  const make = () => createDescriptor(config, files('/7/ParaVirtualSCSIController1:0'));
  assert.throws(make, (error: VimFault) => error.type === 'InvalidArgument');
});
