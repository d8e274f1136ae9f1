import assert from 'node:assert/strict';
import { test } from 'node:test';
import { data, loadSchema, type VirtualDeviceConfigSpec, type VirtualMachineConfigSpec } from '@hypostyle/vim';
import fc from 'fast-check';
import { VmxFile } from '../vmx/vmx-file.ts';
import { applySpec, newConfiguration } from './apply-spec.ts';
import type { SpecContext } from './device-draft.ts';
import { configurationFromVmx } from './from-vmx.ts';
import { GuestOsNames } from './guest-os.ts';
import type { MachineConfiguration } from './machine-configuration.ts';
import { writeConfiguration } from './to-vmx.ts';

const guestOs = new GuestOsNames(loadSchema());
const context: SpecContext = {
  guestOs,
  limits: { cpus: 16, memoryMiB: 65_536 },
  changedBlocks: true,
  tpm: true,
  networkExists: (name) => name === 'VM Network',
  networkName: (value) => (value === 'network-1' ? 'VM Network' : undefined),
};
const parse = (text: string) => VmxFile.parse(new TextEncoder().encode(text), 'test.vmx');
const faultType = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    return (error as { type?: string }).type ?? String(error);
  }
  return 'none';
};

/** As an ESXi host writes it, with keys that are nobody's here. */
const esxi = `.encoding = "UTF-8"
config.version = "8"
virtualHW.version = "14"
nvram = "web.nvram"
pciBridge0.present = "TRUE"
svga.present = "TRUE"
displayName = "web"
guestOS = "debian10-64"
numvcpus = "2"
memSize = "1024"
scsi0.virtualDev = "pvscsi"
scsi0.present = "TRUE"
scsi0.pciSlotNumber = "160"
scsi0:0.deviceType = "scsi-hardDisk"
scsi0:0.fileName = "web.vmdk"
scsi0:0.present = "TRUE"
sata0.present = "TRUE"
sata0:0.deviceType = "cdrom-image"
sata0:0.fileName = "/vmfs/volumes/ds/iso/x.iso"
sata0:0.present = "TRUE"
ethernet0.virtualDev = "vmxnet3"
ethernet0.networkName = "VM Network"
ethernet0.addressType = "generated"
ethernet0.generatedAddress = "00:0c:29:aa:bb:cc"
ethernet0.present = "TRUE"
floppy0.present = "FALSE"
uuid.bios = "56 4d 08 26 01 02 03 04-05 06 07 08 09 0a 0b 0c"
sched.cpu.shares = "normal"
tools.syncTime = "FALSE"
guestinfo.role = "front"
`;

test('a file from ESXi is understood, and written back byte by byte when nothing changes', () => {
  const vmx = parse(esxi);
  const c = configurationFromVmx(vmx, guestOs, 'x');
  assert.equal(c.guestId, 'debian10_64Guest');
  assert.equal(c.uuid, '564d0826-0102-0304-0506-0708090a0b0c');
  assert.deepEqual(
    c.controllers.map((k) => k.key),
    [200, 201, 1000, 15000],
  );
  assert.deepEqual(
    c.disks.map((d) => [d.key, d.fileName]),
    [[2000, 'web.vmdk']],
  );
  assert.equal(c.cdroms[0]?.key, 16000);
  assert.deepEqual(
    c.nics.map((n) => [n.key, n.model, n.mac]),
    [[4000, 'vmxnet3', '00:0c:29:aa:bb:cc']],
  );
  assert.ok(c.extra.some(([key, value]) => key === 'guestinfo.role' && value === 'front'));
  writeConfiguration(vmx, c, guestOs);
  assert.equal(vmx.toString(), esxi);
});

test('a change writes its own lines and leaves the rest alone', () => {
  const vmx = parse(esxi);
  const { configuration } = applySpec(
    configurationFromVmx(vmx, guestOs, 'x'),
    data('VirtualMachineConfigSpec', { memoryMB: 2048n as unknown as number }),
    context,
  );
  writeConfiguration(vmx, configuration, guestOs);
  assert.equal(vmx.toString(), esxi.replace('memSize = "1024"', 'memSize = "2048"'));
});

const device = (operation: 'add' | 'edit' | 'remove', device: object, fileOperation?: 'create' | 'destroy') =>
  ({ operation, device, ...(fileOperation ? { fileOperation } : {}) }) as unknown as VirtualDeviceConfigSpec;
const spec = (...deviceChange: VirtualDeviceConfigSpec[]): VirtualMachineConfigSpec =>
  data('VirtualMachineConfigSpec', { deviceChange });

test('devices with keys of the client get those of VMware, controllers before what hangs on them', () => {
  const { configuration: c, effects } = applySpec(
    newConfiguration('m'),
    spec(
      device(
        'add',
        {
          _typeName: 'VirtualDisk',
          key: -1,
          controllerKey: -7,
          unitNumber: 0,
          capacityInKB: 4096,
          backing: { _typeName: 'VirtualDiskFlatVer2BackingInfo', fileName: '[ds]', diskMode: 'persistent' },
        },
        'create',
      ),
      device('add', { _typeName: 'ParaVirtualSCSIController', key: -7, busNumber: 0, sharedBus: 'noSharing' }),
      device('add', {
        _typeName: 'VirtualVmxnet3',
        key: -3,
        backing: { _typeName: 'VirtualEthernetCardNetworkBackingInfo', deviceName: 'VM Network' },
      }),
    ),
    context,
  );
  assert.deepEqual(
    c.disks.map((d) => [d.key, d.controllerKey]),
    [[2000, 1000]],
  );
  assert.equal(c.nics[0]?.key, 4000);
  assert.deepEqual(effects, [
    { kind: 'create-disk', key: 2000, capacityBytes: 4096 * 1024, allocation: 'thin', fileName: '[ds]' },
  ]);
});

test('what cannot be is refused with the documented fault', () => {
  const base = newConfiguration('m');
  const nic = (more: object) => device('add', { _typeName: 'VirtualE1000', key: -1, ...more });
  const cases: [string, VirtualMachineConfigSpec][] = [
    ['InvalidArgument', data('VirtualMachineConfigSpec', { numCPUs: 17 })],
    ['InvalidArgument', data('VirtualMachineConfigSpec', { memoryMB: 6 })],
    ['InvalidArgument', data('VirtualMachineConfigSpec', { guestId: 'noSuchGuest' })],
    [
      'InvalidArgument',
      data('VirtualMachineConfigSpec', {
        extraConfig: [data('OptionValue', { key: 'scsi0.present', value: 'FALSE' })],
      }),
    ],
    ['InvalidName', data('VirtualMachineConfigSpec', { name: '' })],
    [
      'InvalidDeviceSpec',
      spec(nic({ backing: { _typeName: 'VirtualEthernetCardNetworkBackingInfo', deviceName: 'nowhere' } })),
    ],
    ['InvalidDeviceSpec', spec(nic({ macAddress: '01:00:00:00:00:00', backing: { deviceName: 'VM Network' } }))],
    ['InvalidDeviceSpec', spec(device('remove', { _typeName: 'VirtualDisk', key: 2000, capacityInKB: 0 }))],
    ['InvalidDeviceSpec', spec(device('add', { _typeName: 'VirtualCdrom', key: -1, controllerKey: 1000 }))],
    ['DeviceUnsupportedForVmPlatform', spec(device('add', { _typeName: 'VirtualSriovEthernetCard', key: -1 }))],
  ];
  for (const [type, change] of cases)
    assert.equal(
      faultType(() => applySpec(base, change, context)),
      type,
      JSON.stringify(change),
    );
});

test('forwards are given and taken away as extra configuration of their adapter', () => {
  const nic = device('add', {
    _typeName: 'VirtualVmxnet3',
    key: -3,
    backing: { _typeName: 'VirtualEthernetCardNetworkBackingInfo', deviceName: 'VM Network' },
  });
  const option = (value: string) =>
    data('VirtualMachineConfigSpec', { extraConfig: [data('OptionValue', { key: 'ethernet0.forwards', value })] });
  const made = applySpec(
    newConfiguration('m'),
    { ...spec(nic), ...option('tcp:127.0.0.1:8080:80') },
    context,
  ).configuration;
  assert.deepEqual(made.nics[0]?.forwards, ['tcp:127.0.0.1:8080:80']);
  assert.deepEqual(made.extra, []);
  assert.deepEqual(applySpec(made, option(''), context).configuration.nics[0]?.forwards, []);
  assert.equal(
    faultType(() => applySpec(made, option('tcp:127.0.0.1:99999:80'), context)),
    'InvalidArgument',
  );
});

test('guest names go both ways', () => {
  for (const [vmx, id] of [
    ['debian11-64', 'debian11_64Guest'],
    ['ubuntu-64', 'ubuntu64Guest'],
    ['other', 'otherGuest'],
    ['windows9-64', 'windows9_64Guest'],
  ] as const) {
    assert.equal(guestOs.identifier(vmx), id);
    assert.equal(guestOs.vmxName(id), vmx);
  }
});

/** Random machines made as clients make them: by specs. */
const changes = fc.array(
  fc.oneof(
    fc.constantFrom('VirtualE1000', 'VirtualE1000e', 'VirtualVmxnet3', 'VirtualPCNet32').map((type) =>
      device('add', {
        _typeName: type,
        key: -1,
        backing: { _typeName: 'VirtualEthernetCardNetworkBackingInfo', deviceName: 'VM Network' },
      }),
    ),
    fc
      .constantFrom(
        'ParaVirtualSCSIController',
        'VirtualLsiLogicController',
        'VirtualAHCIController',
        'VirtualNVMEController',
      )
      .map((type) => device('add', { _typeName: type, key: -5, busNumber: 0 })),
    fc
      .tuple(fc.constantFrom(200, 201, 1000, 15000, 31000), fc.constantFrom('persistent', 'independent_nonpersistent'))
      .map(([controllerKey, diskMode]) =>
        device('add', {
          _typeName: 'VirtualDisk',
          key: -9,
          controllerKey,
          capacityInKB: 1024,
          backing: { _typeName: 'VirtualDiskFlatVer2BackingInfo', fileName: 'x.vmdk', diskMode },
        }),
      ),
    fc.constantFrom(4000, 4001, 4002).map((key) => device('remove', { _typeName: 'VirtualE1000', key })),
    fc
      .constantFrom(2000, 3000, 16000)
      .map((key) => device('remove', { _typeName: 'VirtualDisk', key, capacityInKB: 0 })),
    fc.string({ maxLength: 8 }).map((name) =>
      device('add', {
        _typeName: 'VirtualSerialPort',
        key: -2,
        yieldOnPoll: true,
        backing: { _typeName: 'VirtualSerialPortFileBackingInfo', fileName: `a${name.replace(/[^a-z]/g, '')}.log` },
      }),
    ),
  ),
  { maxLength: 12 },
);

test('any machine that can be made is read back from its file as it was written', () => {
  fc.assert(
    fc.property(changes, fc.integer({ min: 1, max: 8 }), (list, cpus) => {
      let c: MachineConfiguration = newConfiguration('m');
      const vmx = VmxFile.empty();
      for (const change of list) {
        try {
          c = applySpec(c, { ...spec(change), numCPUs: cpus }, context).configuration;
        } catch (error) {
          assert.equal((error as Error).name, 'VimFault');
        }
        writeConfiguration(vmx, c, guestOs);
      }
      writeConfiguration(vmx, c, guestOs);
      const again = configurationFromVmx(parse(vmx.toString()), guestOs, 'x');
      const sorted = (value: MachineConfiguration) => ({
        ...value,
        disks: value.disks.toSorted((a, b) => a.key - b.key),
        extra: [],
      });
      assert.deepEqual(sorted(again), sorted(c));
    }),
    { numRuns: 200 },
  );
});

test('a drive that no image is in any more loses its name in the .vmx', () => {
  const vmx = parse(esxi);
  const c = configurationFromVmx(vmx, guestOs, 'x');
  const [drive] = c.cdroms;
  assert.ok(drive?.kind === 'iso');
  writeConfiguration(vmx, { ...c, cdroms: [{ ...drive, kind: 'passthrough' }] }, guestOs);
  assert.equal(vmx.get('sata0:0.deviceType'), 'cdrom-raw');
  assert.equal(vmx.get('sata0:0.fileName'), undefined);
});
