import { data, type VirtualMachineConfigInfo } from '@hypostyle/vim';
import type { MachineConfiguration } from '../configuration/machine-configuration.ts';
import { setting } from '../configuration/settings.ts';
import { changeIdsOf } from '../machine/changes/change-ids.ts';
import { otherDatastores } from '../machine/record/held-files.ts';
import type { MachineRecord } from '../machine/record/machine-record.ts';
import { virtualDevices } from './devices.ts';
import type { InventoryNames } from './inventory-names.ts';
import { allocationInfo } from './resource-config.ts';

/** `VirtualMachine.config`: a pure function of the record. `changeIds` are of disks, by device key. */
export function configInfo(
  machine: MachineRecord,
  names: InventoryNames,
  changeIds: ReadonlyMap<number, string> = changeIdsOf(machine),
): VirtualMachineConfigInfo | undefined {
  if (machine.problem !== undefined) return undefined;
  const { configuration: c, datastore, vmxPath } = machine;
  const folder = datastore.format(vmxPath.slice(0, vmxPath.lastIndexOf('/') + 1));
  return data('VirtualMachineConfigInfo', {
    changeVersion: machine.modified,
    modified: machine.modified,
    name: c.name,
    guestFullName: names.guestFullName(c.guestId),
    version: hardwareVersion(machine),
    uuid: c.uuid,
    ...(machine.created === undefined ? {} : { createDate: machine.created }),
    ...(c.instanceUuid === '' ? {} : { instanceUuid: c.instanceUuid }),
    npivTemporaryDisabled: true,
    template: c.template,
    guestId: c.guestId,
    alternateGuestName: setting(c, 'alternateGuestName'),
    ...(setting(c, 'locationId') === '' ? {} : { locationId: setting(c, 'locationId') }),
    annotation: c.annotation,
    files: data('VirtualMachineFileInfo', {
      vmPathName: datastore.format(vmxPath),
      snapshotDirectory: folder,
      suspendDirectory: folder,
      logDirectory: folder,
    }),
    tools: toolsInfo(machine),
    flags: flagInfo(c),
    consolePreferences: data('VirtualMachineConsolePreferences', {
      powerOnWhenOpened: setting(c, 'powerOnWhenOpened'),
      enterFullScreenOnPowerOn: setting(c, 'enterFullScreenOnPowerOn'),
      closeOnPowerOffOrSuspend: setting(c, 'closeOnPowerOffOrSuspend'),
    }),
    defaultPowerOps: powerOpInfo(c),
    rebootPowerOff: false,
    hardware: data('VirtualHardware', {
      numCPU: c.cpus,
      numCoresPerSocket: c.coresPerSocket,
      memoryMB: c.memoryMiB,
      virtualICH7MPresent: false,
      virtualSMCPresent: false,
      device: virtualDevices(machine, names, changeIds),
    }),
    cpuAllocation: allocationInfo(c.cpuAllocation),
    memoryAllocation: allocationInfo(c.memoryAllocation),
    latencySensitivity: data('LatencySensitivity', { level: setting(c, 'latency') }),
    memoryHotAddEnabled: c.memoryHotAdd,
    cpuHotAddEnabled: c.cpuHotAdd,
    cpuHotRemoveEnabled: setting(c, 'cpuHotRemove'),

    extraConfig: [
      ...extraValues(machine).map(([key, value]) => data('OptionValue', { key, value })),
      ...c.nics
        .filter((nic) => nic.forwards.length > 0)
        .map((nic) => data('OptionValue', { key: `ethernet${nic.number}.forwards`, value: nic.forwards.join(',') })),
    ],
    datastoreUrl: [datastore, ...otherDatastores(machine)].map(({ name, url }) =>
      data('VirtualMachineConfigInfoDatastoreUrlPair', { name, url }),
    ),
    swapPlacement: setting(c, 'swapPlacement'),
    bootOptions: data('VirtualMachineBootOptions', {
      bootDelay: c.bootDelayMilliseconds,
      enterBIOSSetup: c.enterSetup,
      efiSecureBootEnabled: c.secureBoot,
      bootRetryEnabled: setting(c, 'bootRetryEnabled'),
      bootRetryDelay: setting(c, 'bootRetryDelay'),
      ...(c.bootOrder.length === 0 ? {} : { bootOrder: bootOrder(machine) }),
      networkBootProtocol: 'ipv4',
    }),
    ...(machine.vApp === undefined ? {} : { vAppConfig: machine.vApp }),
    vAssertsEnabled: false,
    changeTrackingEnabled: c.changeTracking,
    firmware: c.firmware,
    maxMksConnections: setting(c, 'maxMksConnections'),
    guestAutoLockEnabled: setting(c, 'guestAutoLock'),
    ...managedBy(c),
    memoryReservationLockedToMax: setting(c, 'memoryLocked'),
    nestedHVEnabled: false,
    vPMCEnabled: false,
    messageBusTunnelEnabled: false,
  });
}

export function hardwareVersion(machine: MachineRecord): string {
  return `vmx-${String(machine.configuration.hardwareVersion).padStart(2, '0')}`;
}

/** With what the guest is told in this run, in the place of a value that the `.vmx` has. */
function extraValues({ configuration, powerState, guestEnvironment }: MachineRecord): MachineConfiguration['extra'] {
  if (powerState !== 'poweredOn' || guestEnvironment === undefined) return configuration.extra;
  const others = configuration.extra.filter(([key]) => key.toLowerCase() !== 'guestinfo.ovfenv');
  return [...others, ['guestinfo.ovfEnv', guestEnvironment]];
}

function toolsInfo(machine: MachineRecord) {
  const c = machine.configuration;
  return data('ToolsConfigInfo', {
    toolsVersion: 0,
    toolsInstallType: machine.agentConnected ? 'guestToolsTypeOpenVMTools' : 'guestToolsTypeUnknown',
    afterPowerOn: setting(c, 'afterPowerOn'),
    afterResume: setting(c, 'afterResume'),
    beforeGuestStandby: setting(c, 'beforeGuestStandby'),
    beforeGuestShutdown: setting(c, 'beforeGuestShutdown'),
    beforeGuestReboot: setting(c, 'beforeGuestReboot'),
    toolsUpgradePolicy: setting(c, 'toolsUpgradePolicy'),
    syncTimeWithHostAllowed: setting(c, 'syncTimeAllowed'),
    syncTimeWithHost: setting(c, 'syncTimeWithHost'),
    lastInstallInfo: data('ToolsConfigInfoToolsLastInstallInfo', { counter: 0 }),
  });
}

function flagInfo(c: MachineConfiguration) {
  return data('VirtualMachineFlagInfo', {
    disableAcceleration: false,
    enableLogging: setting(c, 'enableLogging'),
    useToe: false,
    runWithDebugInfo: false,
    monitorType: 'release',
    htSharing: setting(c, 'htSharing'),
    snapshotDisabled: setting(c, 'snapshotDisabled'),
    snapshotLocked: setting(c, 'snapshotLocked'),
    diskUuidEnabled: setting(c, 'diskUuidEnabled'),
    virtualMmuUsage: setting(c, 'virtualMmuUsage'),
    virtualExecUsage: setting(c, 'virtualExecUsage'),
    snapshotPowerOffBehavior: 'powerOff',
    recordReplayEnabled: false,
    vvtdEnabled: false,
    vbsEnabled: false,
  });
}

function powerOpInfo(c: MachineConfiguration) {
  const powerOffType = setting(c, 'powerOffType');
  const suspendType = setting(c, 'suspendType');
  const resetType = setting(c, 'resetType');
  return data('VirtualMachineDefaultPowerOpInfo', {
    powerOffType,
    suspendType,
    resetType,
    defaultPowerOffType: powerOffType === 'preset' ? 'soft' : powerOffType,
    defaultSuspendType: suspendType === 'preset' ? 'hard' : suspendType,
    defaultResetType: resetType === 'preset' ? 'soft' : resetType,
    standbyAction: setting(c, 'standbyAction'),
  });
}

/** The extension that the machine belongs to, if any. */
export function managedBy(c: MachineConfiguration): Pick<VirtualMachineConfigInfo, 'managedBy'> {
  const extensionKey = setting(c, 'managedByExtension');
  if (extensionKey === '') return {};
  return { managedBy: data('ManagedByInfo', { extensionKey, type: setting(c, 'managedByType') }) };
}

function bootOrder({
  configuration: c,
}: MachineRecord): NonNullable<VirtualMachineConfigInfo['bootOptions']>['bootOrder'] {
  const keysOf = (named: readonly number[], all: readonly { readonly key: number }[]) =>
    named.length > 0 ? named : all.map(({ key }) => key);
  const devices = {
    disk: () =>
      keysOf(c.bootDisks, c.disks).map((deviceKey) =>
        data('VirtualMachineBootOptionsBootableDiskDevice', { deviceKey }),
      ),
    ethernet: () =>
      keysOf(c.bootNics, c.nics).map((deviceKey) =>
        data('VirtualMachineBootOptionsBootableEthernetDevice', { deviceKey }),
      ),
    cdrom: () => [data('VirtualMachineBootOptionsBootableCdromDevice', {})],
    floppy: () => [data('VirtualMachineBootOptionsBootableFloppyDevice', {})],
  };
  return c.bootOrder.flatMap((name) => devices[name]());
}
