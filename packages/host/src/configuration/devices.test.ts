import assert from 'node:assert/strict';
import { test } from 'node:test';
import { data, loadSchema, VimFault, type VirtualDeviceConfigSpec } from '@hypostyle/vim';
import { applySpec, newConfiguration } from './apply-spec.ts';
import type { SpecContext } from './device-draft.ts';
import { equipmentOf } from './equipment.ts';
import { GuestOsNames } from './guest-os.ts';
import type { MachineConfiguration } from './machine-configuration.ts';

const schema = loadSchema();
const context: SpecContext = {
  guestOs: new GuestOsNames(schema),
  limits: { cpus: 16, memoryMiB: 65_536 },
  changedBlocks: true,
  tpm: true,
  networkExists: (name) => name === 'VM Network',
  networkName: () => undefined,
};

type Change = Omit<VirtualDeviceConfigSpec, 'device'> & { readonly device: object };

const change = (operation: 'add' | 'edit' | 'remove', device: object, more: object = {}) =>
  ({ operation, device, ...more }) as unknown as Change;

function apply(before: MachineConfiguration, ...deviceChange: Change[]) {
  return applySpec(before, data('VirtualMachineConfigSpec', { deviceChange: deviceChange as never }), context);
}

function faultOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof VimFault) return error.type;
    throw error;
  }
  return 'none';
}

const onNetwork = { backing: { _typeName: 'VirtualEthernetCardNetworkBackingInfo', deviceName: 'VM Network' } };
const flat = (more: object = {}) => ({
  backing: { _typeName: 'VirtualDiskFlatVer2BackingInfo', fileName: '', diskMode: 'persistent', ...more },
});

/** What each kind of device is added with. Kinds that are not here are refused by name. */
const addable: Readonly<Record<string, object>> = {
  VirtualIDEController: {},
  VirtualPCIController: {},
  VirtualPS2Controller: {},
  VirtualSIOController: {},
  VirtualKeyboard: {},
  VirtualPointingDevice: {},
  VirtualMachineVMCIDevice: {},
  VirtualMachineVideoCard: { videoRamSizeInKB: 4096 },
  VirtualSCSIController: {},
  VirtualBusLogicController: {},
  VirtualLsiLogicController: {},
  VirtualLsiLogicSASController: {},
  ParaVirtualSCSIController: {},
  VirtualSATAController: {},
  VirtualAHCIController: {},
  VirtualNVMEController: {},
  VirtualUSBController: { ehciEnabled: true },
  VirtualUSBXHCIController: {},
  VirtualDisk: { controllerKey: 200, capacityInKB: 1024, ...flat() },
  VirtualCdrom: { controllerKey: 200 },
  VirtualFloppy: {},
  VirtualSerialPort: {},
  VirtualSoundBlaster16: {},
  VirtualEnsoniq1371: {},
  VirtualHdAudioCard: {},
  VirtualTPM: {},
  VirtualPCNet32: onNetwork,
  VirtualE1000: onNetwork,
  VirtualE1000e: onNetwork,
  VirtualVmxnet: onNetwork,
  VirtualVmxnet2: onNetwork,
  VirtualVmxnet3: onNetwork,
  VirtualEthernetCard: onNetwork,
};
const partOfEveryMachine =
  /^Virtual(IDEController|PCIController|PS2Controller|SIOController|Keyboard|PointingDevice|MachineVMCIDevice)$/;

test('every kind of device is built, or refused by its name', () => {
  const kinds = schema.subtypes('VirtualDevice');
  assert.ok(kinds.length > 45);
  for (const kind of Object.keys(addable)) assert.ok(kinds.includes(kind), kind);
  const bare: MachineConfiguration = { ...newConfiguration('m'), firmware: 'efi' };
  for (const kind of kinds) {
    const add = change(
      'add',
      { _typeName: kind, key: -5, ...addable[kind] },
      kind === 'VirtualDisk' ? { fileOperation: 'create' } : {},
    );
    if (!(kind in addable)) {
      assert.throws(
        () => apply(bare, add),
        (error) => {
          assert.ok(error instanceof VimFault && error.type === 'DeviceUnsupportedForVmPlatform', kind);
          assert.match(error.message, new RegExp(`a ${kind},`));
          return true;
        },
      );
      continue;
    }
    const { configuration } = apply(bare, add);
    if (partOfEveryMachine.test(kind)) assert.deepEqual(configuration, bare, kind);
    else assert.notDeepEqual(configuration, bare, kind);
  }
});

test('USB, sound and video are keys of the file, one of each, and go as they came', () => {
  const usb = { _typeName: 'VirtualUSBController', key: 7000, ehciEnabled: true };
  const sound = { _typeName: 'VirtualHdAudioCard', key: 5000 };
  const video = { _typeName: 'VirtualMachineVideoCard', key: 500, videoRamSizeInKB: 65_536n };
  const { configuration } = apply(
    newConfiguration('m'),
    change('add', usb),
    change('add', { _typeName: 'VirtualUSBXHCIController', key: 14000 }),
    change('add', sound),
    change('edit', video),
  );
  assert.deepEqual(equipmentOf(configuration), {
    usb: true,
    ehci: true,
    xhci: true,
    sound: 'hdaudio',
    videoRamKiB: 65_536,
    tpm: false,
  });
  assert.equal(
    faultOf(() => apply(configuration, change('add', usb))),
    'InvalidDeviceSpec',
  );
  const less = apply(configuration, change('edit', { ...usb, ehciEnabled: false })).configuration;
  assert.equal(equipmentOf(less).ehci, false);
  const none = apply(
    configuration,
    change('remove', usb),
    change('remove', { _typeName: 'VirtualUSBXHCIController', key: 14000 }),
    change('remove', sound),
    change('edit', { ...video, videoRamSizeInKB: 16_384 }),
  ).configuration;
  assert.deepEqual(equipmentOf(none), equipmentOf(newConfiguration('m')));
  for (const wrong of [{ videoRamSizeInKB: 5000 }, { numDisplays: 2 }, { enable3DSupport: true }]) {
    assert.equal(
      faultOf(() => apply(configuration, change('edit', { ...video, ...wrong }))),
      'InvalidDeviceSpec',
    );
  }
  assert.equal(
    faultOf(() => apply(configuration, change('remove', video))),
    'InvalidDeviceSpec',
  );
});

const onScsi = change('add', { _typeName: 'ParaVirtualSCSIController', key: 1000 });
const disk = (more: object, backing: object = {}) => ({
  _typeName: 'VirtualDisk',
  key: -2,
  controllerKey: 1000,
  capacityInKB: 1024,
  ...flat(backing),
  ...more,
});

test('a disk is made as it was asked for: thin, thick, zeroed, in the place of another, on top of another', () => {
  const made = (fileOperation: string, backing: object) =>
    apply(newConfiguration('m'), onScsi, change('add', disk({}, backing), { fileOperation })).effects[0];
  const create = { kind: 'create-disk', key: 2000, capacityBytes: 1 << 20, fileName: '' };
  assert.deepEqual(made('create', { thinProvisioned: true }), { ...create, allocation: 'thin' });
  assert.deepEqual(made('create', { thinProvisioned: false }), { ...create, allocation: 'thick' });
  assert.deepEqual(made('create', { eagerlyScrub: true }), { ...create, allocation: 'eager' });
  assert.deepEqual(made('replace', { fileName: 'a.vmdk' }), {
    ...create,
    allocation: 'thin',
    fileName: 'a.vmdk',
    replace: true,
  });
  assert.deepEqual(made('create', { parent: { fileName: '[ds] base/base.vmdk' } }), {
    kind: 'create-child',
    key: 2000,
    parent: '[ds] base/base.vmdk',
    fileName: '',
  });
});

test('an edit keeps what it does not say, and moves, grows and changes what it says', () => {
  const { configuration } = apply(
    newConfiguration('m'),
    onScsi,
    change('add', disk({}, { fileName: 'a.vmdk', diskMode: 'independent_persistent', writeThrough: true })),
  );
  const bare = { _typeName: 'VirtualDisk', key: 2000, capacityInKB: 2048 };
  const grown = apply(configuration, change('edit', bare));
  assert.deepEqual(grown.configuration.disks, configuration.disks);
  assert.deepEqual(grown.effects, [{ kind: 'grow-disk', key: 2000, capacityBytes: 2 << 20, index: 0 }]);
  // A client that changes the older member gives the newer one back as it was told.
  const older = apply(configuration, change('edit', { ...bare, capacityInBytes: 1 << 20 }));
  assert.deepEqual(older.effects, [
    { kind: 'grow-disk', key: 2000, capacityBytes: 1 << 20, otherBytes: 2 << 20, index: 0 },
  ]);
  const moved = apply(
    configuration,
    change('edit', disk({ key: 2000, unitNumber: 3 }, { fileName: 'a.vmdk', diskMode: 'persistent' })),
  ).configuration.disks[0];
  assert.deepEqual([moved?.key, moved?.unit, moved?.mode, moved?.writeThrough], [2003, 3, 'persistent', true]);
});

test('what is asked of a disk and not done is refused', () => {
  const { configuration } = apply(newConfiguration('m'), onScsi, change('add', disk({}, { fileName: 'a.vmdk' })));
  const edits: readonly [object, object][] = [
    [{}, { sharing: 'sharingSome' }],
    [{}, { digestEnabled: true }],
    [{}, { keyId: {} }],
    [{}, { diskMode: 'undoable' }],
    [{}, { _typeName: 'VirtualDiskRawDiskMappingVer1BackingInfo' }],
    [{ storageIOAllocation: { limit: 8n } }, {}],
    [{ storageIOAllocation: { shares: { level: 'custom', shares: 100 } } }, {}],
    [{ storageIOAllocation: { reservation: 5 } }, {}],
    [{ guestReadOnly: true }, {}],
  ];
  for (const [more, backing] of edits) {
    const edit = change('edit', disk({ key: 2000, unitNumber: 0, ...more }, { fileName: 'a.vmdk', ...backing }));
    assert.equal(
      faultOf(() => apply(configuration, edit)),
      'InvalidDeviceSpec',
      JSON.stringify(edit, (_k, v) => String(v)),
    );
  }
  const destroyed = change('add', disk({}), { fileOperation: 'destroy' });
  assert.equal(
    faultOf(() => apply(configuration, destroyed)),
    'InvalidDeviceSpec',
  );
  const remade = change('edit', disk({ key: 2000, unitNumber: 0 }), { fileOperation: 'create' });
  assert.equal(
    faultOf(() => apply(configuration, remade)),
    'InvalidDeviceSpec',
  );
  // Of a disk that is there, clients say so without meaning it.
  const kept = change('edit', disk({ key: 2000, unitNumber: 0 }), { fileOperation: 'replace' });
  assert.ok(!apply(configuration, kept).effects.some(({ kind }) => kind === 'create-disk'));
});

test('a TPM is for EFI, where the host has one, and once', () => {
  const tpm = change('add', { _typeName: 'VirtualTPM', key: -3 });
  const bare = newConfiguration('m');
  const efi: MachineConfiguration = { ...bare, firmware: 'efi' };
  const { configuration } = apply(efi, tpm);
  assert.deepEqual(configuration.extra, [['vtpm.present', 'TRUE']]);
  assert.equal(
    faultOf(() => apply(bare, tpm)),
    'InvalidArgument',
  );
  assert.equal(
    faultOf(() => apply(configuration, tpm)),
    'InvalidDeviceSpec',
  );
  assert.throws(
    () => applySpec(efi, { deviceChange: [tpm] } as never, { ...context, tpm: false }),
    (error) =>
      error instanceof VimFault && error.type === 'DeviceUnsupportedForVmPlatform' && /swtpm/.test(error.message),
  );
  const gone = change('remove', { _typeName: 'VirtualTPM', key: 11000 });
  assert.deepEqual(apply(configuration, gone).configuration.extra, []);
});

test('an adapter keeps what it may use of its network, and what cannot be granted is refused', () => {
  const card = (resourceAllocation?: object) => ({
    _typeName: 'VirtualVmxnet3',
    key: 4000,
    ...onNetwork,
    ...(resourceAllocation === undefined ? {} : { resourceAllocation }),
  });
  const { configuration } = apply(newConfiguration('m'), change('add', card({ limit: 10n, reservation: 2n })));
  const edited = (allocation?: object) => apply(configuration, change('edit', card(allocation))).configuration.nics[0];
  const granted = { reservation: 2, limit: 10, level: 'normal', shares: 50 };
  assert.deepEqual(edited()?.bandwidth, granted);
  assert.deepEqual(edited({ share: { level: 'high', shares: 0 } })?.bandwidth, {
    ...granted,
    level: 'high',
    shares: 100,
  });
  assert.deepEqual(edited({ limit: -1n, reservation: 0n })?.bandwidth, { ...granted, reservation: 0, limit: -1 });
  for (const allocation of [
    { limit: 0n },
    { limit: 1n },
    { reservation: 11n },
    { reservation: -1n },
    { share: { level: 'custom', shares: 101 } },
    { share: { level: 'much', shares: 1 } },
  ]) {
    assert.equal(
      faultOf(() => edited(allocation)),
      'InvalidDeviceSpec',
    );
  }
});

test('the boot order names disks and adapters, by the keys that the client gave them, and loses what is removed', () => {
  const nic = (key: number) => change('add', { _typeName: 'VirtualVmxnet3', key, ...onNetwork });
  const spec = data('VirtualMachineConfigSpec', {
    deviceChange: [onScsi, change('add', disk({ key: -8 }, { fileName: 'a.vmdk' })), nic(-3), nic(-4)] as never,
    bootOptions: data('VirtualMachineBootOptions', {
      bootOrder: [
        data('VirtualMachineBootOptionsBootableEthernetDevice', { deviceKey: -4 }),
        data('VirtualMachineBootOptionsBootableDiskDevice', { deviceKey: -8 }),
      ],
    }),
  });
  const { configuration: c } = applySpec(newConfiguration('m'), spec, context);
  assert.deepEqual([c.bootOrder, c.bootDisks, c.bootNics], [['ethernet', 'disk'], [2000], [4001]]);
  const less = apply(c, change('remove', { _typeName: 'VirtualVmxnet3', key: 4001 })).configuration;
  assert.deepEqual([less.bootOrder, less.bootNics], [['ethernet', 'disk'], []]);
  const nowhere = data('VirtualMachineConfigSpec', {
    bootOptions: data('VirtualMachineBootOptions', {
      bootOrder: [data('VirtualMachineBootOptionsBootableDiskDevice', { deviceKey: 2005 })],
    }),
  });
  assert.equal(
    faultOf(() => applySpec(c, nowhere, context)),
    'InvalidArgument',
  );
});
