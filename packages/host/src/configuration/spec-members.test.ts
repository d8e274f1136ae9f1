import assert from 'node:assert/strict';
import { test } from 'node:test';
import { data, loadSchema, type Schema, VimFault, type VirtualMachineConfigSpec } from '@hypostyle/vim';
import type { MachineRecord } from '../machine/record/machine-record.ts';
import { configInfo } from '../projection/config-info.ts';
import type { InventoryNames } from '../projection/inventory-names.ts';
import { applySpec, newConfiguration } from './apply-spec.ts';
import type { SpecContext } from './device-draft.ts';
import { GuestOsNames } from './guest-os.ts';
import type { MachineConfiguration } from './machine-configuration.ts';
import { checkFiles, readOnlyMembers, refusedMembers } from './refused-members.ts';
import { memberOf, settings } from './settings.ts';

const schema: Schema = loadSchema();
const guestOs = new GuestOsNames(schema);
const context: SpecContext = {
  guestOs,
  limits: { cpus: 16, memoryMiB: 65_536 },
  changedBlocks: true,
  tpm: true,
  networkExists: (name) => name === 'VM Network',
  networkName: () => undefined,
};

/** Data types within a spec whose members are looked at one by one. */
const opened = [
  'files',
  'tools',
  'flags',
  'consolePreferences',
  'powerOpInfo',
  'latencySensitivity',
  'bootOptions',
  'managedBy',
  'scheduledHardwareUpgradeInfo',
];

/** What members that change more than a key of the `.vmx` are tried with. Those named `elsewhere` have tests of their own. */
const applied: Readonly<Record<string, unknown>> = {
  name: 'other',
  version: 'vmx-20',
  uuid: '564d0826-0102-0304-0506-0708090a0b0c',
  instanceUuid: '52aa0000-1111-2222-3333-444455556666',
  guestId: 'debian11_64Guest',
  annotation: 'words',
  numCPUs: 4,
  numCoresPerSocket: 2,
  memoryMB: 512,
  memoryHotAddEnabled: true,
  cpuHotAddEnabled: true,
  cpuAllocation: { reservation: 100, limit: 2000, shares: { level: 'high', shares: 0 } },
  memoryAllocation: { reservation: 64, limit: 128, shares: { level: 'custom', shares: 77 } },
  extraConfig: [{ key: 'guestinfo.role', value: 'front' }],
  firmware: 'efi',
  'bootOptions.bootDelay': 3000,
  'bootOptions.enterBIOSSetup': true,
  'bootOptions.bootOrder': [{ _typeName: 'VirtualMachineBootOptionsBootableCdromDevice' }],
};
const elsewhere: Readonly<Record<string, string>> = {
  changeVersion: 'reconfigure.test.ts: a stale one is ConcurrentAccess',
  createDate: 'reconfigure.test.ts: kept with the registration',
  deviceChange: 'devices.test.ts: every kind of device',
  vAppConfig: 'apply-vapp.test.ts',
  vAppConfigRemoved: 'apply-vapp.test.ts',
  changeTrackingEnabled: 'changes.test.ts',
  'bootOptions.efiSecureBootEnabled': 'below: with EFI only',
};
const settingValues: Readonly<Record<string, unknown>> = {
  bootRetryDelay: 5000,
  maxMksConnections: 7,
};

function* members(type: string, prefix = ''): Generator<string> {
  const known = schema.type(type);
  assert.ok(known?.kind === 'data', type);
  for (const { name, type: of } of known.properties) {
    if (name === 'dynamicType' || name === 'dynamicProperty') continue;
    if (prefix === '' && opened.includes(name)) yield* members(of.name, `${name}.`);
    else yield `${prefix}${name}`;
  }
}

function specOf(path: string, value: unknown): VirtualMachineConfigSpec {
  const [first = '', second] = path.split('.');
  return data('VirtualMachineConfigSpec', { [first]: second === undefined ? value : { [second]: value } });
}

function shown(configuration: MachineConfiguration): unknown {
  const datastore = {
    locate: (path: string) => ({ datastore, path }),
    name: 'ds',
    url: '/vmfs/volumes/ds',
    format: (path: string) => `[ds] ${path}`,
    resolve: (_vmx: string, name: string) => name,
  };
  const machine = {
    id: '1',
    configuration,
    datastore,
    vmxPath: 'm/m.vmx',
    modified: 'then',
    disks: new Map(),
    snapshots: { views: new Map() },
    powerState: 'poweredOff',
  } as unknown as MachineRecord;
  const names = {
    guestFullName: (id: string) => id,
    datastore: () => undefined,
    network: () => undefined,
  } as unknown as InventoryNames;
  const info = configInfo(machine, names);
  return JSON.parse(JSON.stringify(info, (_key, value) => (typeof value === 'bigint' ? Number(value) : value)));
}

test('every member of a spec has a documented outcome, and only one', () => {
  const bySetting = new Set(Object.values(settings).map(({ member }) => member));
  for (const member of members('VirtualMachineConfigSpec')) {
    const outcomes = [
      bySetting.has(member),
      member in refusedMembers,
      readOnlyMembers.has(member),
      member in applied,
      member in elsewhere,
      ['vmPathName', 'snapshotDirectory', 'suspendDirectory', 'logDirectory'].some(
        (file) => member === `files.${file}`,
      ),
    ];
    assert.equal(outcomes.filter(Boolean).length, 1, `${member} has ${outcomes.filter(Boolean).length} outcomes`);
  }
});

test('every setting is kept, shown where the client looks for it, and can be put back', () => {
  for (const [name, one] of Object.entries(settings)) {
    const words = [
      'none',
      'on',
      'hvOn',
      'hard',
      'soft',
      'powerOnSuspend',
      'high',
      'vmDirectory',
      'upgradeAtPowerCycle',
    ];
    const value =
      settingValues[name] ??
      (typeof one.byDefault === 'boolean'
        ? !one.byDefault
        : (words.find((word) => one.byDefault !== '' && word !== one.byDefault && one.print(word) !== undefined) ??
          'x'));
    const before = newConfiguration('m');
    const { configuration } = applySpec(before, specOf(one.member, value), context);
    const place = one.member.replace('powerOpInfo.', 'defaultPowerOps.').replace(/^(managedBy)\.type$/, '$1.type');
    const withOwner =
      one.member === 'managedBy.type'
        ? applySpec(configuration, specOf('managedBy.extensionKey', 'com.example'), context).configuration
        : configuration;
    assert.equal(memberOf(shown(withOwner) as object, place), value, one.member);
    assert.ok(
      configuration.extra.some(([key]) => key === one.key),
      one.member,
    );
    const back = applySpec(configuration, specOf(one.member, one.byDefault), context).configuration;
    assert.notDeepEqual(back.extra, configuration.extra, one.member);
    // One that nobody set is not written for being said.
    assert.deepEqual(applySpec(before, specOf(one.member, one.byDefault), context).configuration.extra, [], one.member);
  }
});

test('what is not possible for a setting is refused', () => {
  for (const [member, value] of [
    ['maxMksConnections', 41],
    ['bootOptions.bootRetryDelay', -1],
    ['swapPlacement', 'somewhere'],
    ['tools.toolsUpgradePolicy', 'always'],
    ['alternateGuestName', 'two\nlines'],
  ] as const) {
    assert.throws(() => applySpec(newConfiguration('m'), specOf(member, value), context), isFault('InvalidArgument'));
  }
});

test('what changes more than a key is shown as it was asked for', () => {
  const before = newConfiguration('m');
  for (const [member, value] of Object.entries(applied)) {
    const more = member === 'numCoresPerSocket' ? { numCPUs: 4 } : {};
    const { configuration } = applySpec(before, { ...specOf(member, value), ...more }, context);
    assert.notDeepEqual(shown(configuration), shown(before), member);
  }
  const efi = applySpec(before, specOf('firmware', 'efi'), context).configuration;
  const secure = applySpec(efi, specOf('bootOptions.efiSecureBootEnabled', true), context).configuration;
  assert.equal(memberOf(shown(secure) as object, 'bootOptions.efiSecureBootEnabled'), true);
  assert.throws(
    () => applySpec(before, specOf('bootOptions.efiSecureBootEnabled', true), context),
    isFault('InvalidArgument'),
  );
});

test('what nobody does is refused by name, and what asks for nothing is not', () => {
  const asking: Readonly<Record<string, unknown>> = {
    npivTemporaryDisabled: false,
    cpuAffinity: { affinitySet: [1] },
    memoryAffinity: { affinitySet: [0] },
    vmProfile: [{ _typeName: 'VirtualMachineDefinedProfileSpec', profileId: 'x' }],
    crypto: { _typeName: 'CryptoSpecEncrypt' },
    sgxInfo: { epcSize: 5n },
    virtualNuma: { coresPerNumaNode: 2 },
    guestMonitoringModeInfo: { gmmFile: 'x' },
  };
  const harmlessOnes: readonly [string, unknown][] = [
    ['vmProfile', [{ _typeName: 'VirtualMachineDefaultProfileSpec' }]],
    ['crypto', { _typeName: 'CryptoSpecNoOp' }],
    ['cpuAffinity', { affinitySet: [] }],
    ['flags.monitorType', 'release'],
    ['nestedHVEnabled', false],
    ['simultaneousThreads', 1],
    ['vcpuConfig', []],
  ];
  for (const member of Object.keys(refusedMembers)) {
    const known = memberType(member);
    const value = asking[member] ?? (known === 'boolean' ? true : known === 'string' ? 'other' : [{}]);
    assert.throws(
      () => applySpec(newConfiguration('m'), specOf(member, value), context),
      (error) => isFault('NotSupported')(error) && (error as Error).message.includes(`configSpec.${member} `),
      member,
    );
  }
  for (const [member, value] of harmlessOnes) {
    assert.deepEqual(applySpec(newConfiguration('m'), specOf(member, value), context).effects, [], member);
  }
});

test('the files of a machine stay in its folder', () => {
  const own = '[ds] web/web.vmx';
  const check = (files: object) => () => checkFiles(data('VirtualMachineConfigSpec', { files }), own);
  check({ vmPathName: own, snapshotDirectory: '[ds] web/', logDirectory: '[ds] web', suspendDirectory: '' })();
  assert.throws(check({ vmPathName: '[ds] other/web.vmx' }), isFault('InvalidArgument'));
  assert.throws(check({ snapshotDirectory: '[ds] elsewhere' }), isFault('NotSupported'));
});

test('memory that is locked is reserved, however much there is of it', () => {
  const locked = applySpec(newConfiguration('m'), specOf('memoryReservationLockedToMax', true), context).configuration;
  assert.equal(locked.memoryAllocation.reservation, 128);
  assert.equal(applySpec(locked, specOf('memoryMB', 256), context).configuration.memoryAllocation.reservation, 256);
});

function memberType(path: string): string | undefined {
  const [first, second] = path.split('.');
  const find = (type: string, name: string | undefined) => {
    const known = schema.type(type);
    return known?.kind === 'data' ? known.properties.find((one) => one.name === name)?.type : undefined;
  };
  const top = find('VirtualMachineConfigSpec', first);
  const of = second === undefined ? top : find(top?.name ?? '', second);
  return of?.array ? 'array' : of?.name;
}

function isFault(type: string) {
  return (error: unknown) => error instanceof VimFault && error.type === type;
}
