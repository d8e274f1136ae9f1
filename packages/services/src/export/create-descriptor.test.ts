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

test('settings, what a machine is granted and what the client asks for go out, and come back', async () => {
  const full = {
    ...config,
    uuid: '4205aaaa-0000-1111-2222-333344445555',
    cpuHotAddEnabled: true,
    memoryHotAddEnabled: false,
    bootOptions: { efiSecureBootEnabled: true },
    tools: { syncTimeWithHost: true, afterPowerOn: false, toolsUpgradePolicy: 'upgradeAtPowerCycle' },
    defaultPowerOps: { powerOffType: 'soft', standbyAction: 'powerOnSuspend', defaultPowerOffType: 'soft' },
    cpuAllocation: { reservation: 500n, limit: 2000n, shares: { level: 'custom', shares: 777 } },
    memoryAllocation: { reservation: 0n, limit: -1n, shares: { level: 'normal', shares: 30720 } },
    extraConfig: [
      { key: 'guestinfo.role', value: 'web' },
      { key: 'RemoteDisplay.vnc.password', value: 'secret' },
      { key: 'nvram', value: 'web.nvram' },
    ],
    hardware: {
      ...config.hardware,
      device: config.hardware.device?.map((device) =>
        device._typeName === 'VirtualVmxnet3' ? { ...device, macAddress: '00:50:56:00:00:07' } : device,
      ),
    },
  } as unknown as VirtualMachineConfigInfo;
  const roundTrip = async (...exportOption: string[]) => {
    const { ovfDescriptor } = createDescriptor(full, data('OvfCreateDescriptorParams', { exportOption }));
    const parameters = data('OvfCreateImportSpecParams', { locale: '', deploymentOption: '', entityName: 'again' });
    const networks = [{ ref: { type: 'Network', value: 'n' } as const, name: 'VM Network' }];
    const { importSpec, error } = await createImportSpec({ descriptor: ovfDescriptor, parameters, networks });
    assert.equal(error, undefined);
    const { configSpec: spec } = importSpec as VirtualMachineImportSpec;
    const nic = spec.deviceChange?.find(({ device }) => device._typeName === 'VirtualVmxnet3')?.device;
    return { spec, mac: (nic as { macAddress?: string } | undefined)?.macAddress };
  };
  const { spec, mac } = await roundTrip();
  assert.deepEqual([spec.cpuHotAddEnabled, spec.memoryHotAddEnabled, spec.nestedHVEnabled], [true, false, undefined]);
  assert.equal(spec.bootOptions?.efiSecureBootEnabled, true);
  const { syncTimeWithHost, afterPowerOn, toolsUpgradePolicy } = spec.tools ?? {};
  assert.deepEqual([syncTimeWithHost, afterPowerOn, toolsUpgradePolicy], [true, false, 'upgradeAtPowerCycle']);
  assert.deepEqual([spec.powerOpInfo?.powerOffType, spec.powerOpInfo?.standbyAction], ['soft', 'powerOnSuspend']);
  const { reservation, limit, shares } = spec.cpuAllocation ?? {};
  assert.deepEqual([Number(reservation), Number(limit), shares?.shares], [500, 2000, 777]);
  assert.equal(spec.memoryAllocation, undefined);
  assert.deepEqual([spec.uuid, mac, spec.extraConfig], [undefined, undefined, []]);
  const all = await roundTrip('MAC', 'uuid', 'extraconfig', 'nodevicesubtypes', 'of another product');
  assert.deepEqual([all.spec.uuid, all.mac], [full.uuid, '00:50:56:00:00:07']);
  assert.deepEqual(
    all.spec.extraConfig?.map(({ key, value }) => [key, value]),
    [['guestinfo.role', 'web']],
  );
});

test('a file of a device that the machine has not is refused', () => {
  const make = () => createDescriptor(config, files('/7/ParaVirtualSCSIController1:0'));
  assert.throws(make, (error: VimFault) => error.type === 'InvalidArgument');
});

test('what a vApp configuration says goes out and comes back, but for passwords', async () => {
  const property = (id: string, type: string, more: object = {}) => ({ key: 0, id, type, label: id, ...more });
  const vAppConfig = {
    product: [
      { key: 0, classId: 'shop', instanceId: '1', name: 'Shop', vendor: 'Us', version: '2', appUrl: 'http://s' },
    ],
    property: [
      property('domain', 'string(1..20)', {
        classId: 'shop',
        instanceId: '1',
        defaultValue: 'a',
        value: 'b',
        category: 'Net',
      }),
      property('colour', 'string["red", "light blue"]', { defaultValue: 'red' }),
      property('port', 'int(1..65535)', { defaultValue: '80', userConfigurable: true }),
      property('any', 'int', {}),
      property('secret', 'password(8..)', { value: 'not to be told' }),
      property('address', 'ip:VM Network', {}),
      property('on', 'boolean', { value: 'True' }),
    ],
    eula: ['be good'],
    ovfSection: [
      {
        key: 0,
        namespace: 'urn:sla',
        type: 'Sla',
        atEnvelopeLevel: false,
        contents:
          '<Sla xmlns="urn:sla" xmlns:o="http://schemas.dmtf.org/ovf/envelope/1" o:required="false"><Gold/></Sla>',
      },
    ],
    ovfEnvironmentTransport: ['iso'],
    installBootRequired: true,
    installBootStopDelay: 60,
  };
  const { ovfDescriptor } = createDescriptor({ ...config, vAppConfig } as never, data('OvfCreateDescriptorParams', {}));
  assert.doesNotMatch(ovfDescriptor, /not to be told/);
  const parameters = data('OvfCreateImportSpecParams', { locale: '', deploymentOption: '', entityName: 'again' });
  const networks = [{ ref: { type: 'Network', value: 'n' } as const, name: 'VM Network' }];
  const { importSpec, error } = await createImportSpec({ descriptor: ovfDescriptor, parameters, networks });
  assert.equal(error, undefined);
  const back = (importSpec as VirtualMachineImportSpec).configSpec.vAppConfig;
  assert.deepEqual(
    back?.property?.map(({ info }) => [info?.classId, info?.id, info?.type, info?.defaultValue]),
    [
      ['shop', 'domain', 'string(1..20)', 'b'],
      ['', 'colour', 'string["red", "light blue"]', 'red'],
      ['', 'port', 'int(1..65535)', '80'],
      ['', 'any', 'int', ''],
      ['', 'secret', 'password(8..65535)', ''],
      ['', 'address', 'ip:VM Network', ''],
      ['', 'on', 'boolean', 'true'],
    ],
  );
  assert.deepEqual([back?.product?.[0]?.info?.name, back?.product?.[0]?.info?.appUrl], ['Shop', 'http://s']);
  assert.deepEqual([back?.eula, back?.installBootRequired, back?.installBootStopDelay], [['be good'], true, 60]);
  assert.match(back?.ovfSection?.[0]?.info?.contents ?? '', /<Gold\/>/);
});
