import { data, type VirtualMachineConfigInfo } from '@hypostyle/vim';
import type { MachineConfiguration } from '../configuration/machine-configuration.ts';
import type { MachineRecord } from '../machine/record/machine-record.ts';
import { virtualDevices } from './devices.ts';
import type { InventoryNames } from './inventory-names.ts';
import { allocationInfo } from './resource-config.ts';

// The same for all machines, and there once.
const defaultPowerOps = data('VirtualMachineDefaultPowerOpInfo', {
  powerOffType: 'soft',
  suspendType: 'hard',
  resetType: 'soft',
  defaultPowerOffType: 'soft',
  defaultSuspendType: 'hard',
  defaultResetType: 'soft',
  standbyAction: 'checkpoint',
});
const normalLatency = data('LatencySensitivity', { level: 'normal' });

/** `VirtualMachine.config`: a pure function of the record. */
export function configInfo(machine: MachineRecord, names: InventoryNames): VirtualMachineConfigInfo | undefined {
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
    alternateGuestName: '',
    annotation: c.annotation,
    files: data('VirtualMachineFileInfo', {
      vmPathName: datastore.format(vmxPath),
      snapshotDirectory: folder,
      suspendDirectory: folder,
      logDirectory: folder,
    }),
    tools: data('ToolsConfigInfo', {
      toolsVersion: 0,
      toolsInstallType: machine.agentConnected ? 'guestToolsTypeOpenVMTools' : 'guestToolsTypeUnknown',
      afterPowerOn: true,
      afterResume: true,
      beforeGuestStandby: true,
      beforeGuestShutdown: true,
      beforeGuestReboot: false,
      toolsUpgradePolicy: 'manual',
      syncTimeWithHost: false,
    }),
    flags: data('VirtualMachineFlagInfo', {
      disableAcceleration: false,
      enableLogging: true,
      useToe: false,
      runWithDebugInfo: false,
      monitorType: 'release',
      htSharing: 'any',
      snapshotDisabled: false,
      snapshotLocked: false,
      diskUuidEnabled: extraFlag(machine, 'disk.enableuuid'),
      virtualMmuUsage: 'automatic',
      virtualExecUsage: 'hvAuto',
      snapshotPowerOffBehavior: 'powerOff',
      recordReplayEnabled: false,
      vvtdEnabled: false,
      vbsEnabled: false,
    }),
    defaultPowerOps,
    hardware: data('VirtualHardware', {
      numCPU: c.cpus,
      numCoresPerSocket: c.coresPerSocket,
      memoryMB: c.memoryMiB,
      virtualICH7MPresent: false,
      virtualSMCPresent: false,
      device: virtualDevices(machine, names),
    }),
    cpuAllocation: allocationInfo(c.cpuAllocation),
    memoryAllocation: allocationInfo(c.memoryAllocation),
    latencySensitivity: normalLatency,
    memoryHotAddEnabled: c.memoryHotAdd,
    cpuHotAddEnabled: c.cpuHotAdd,
    cpuHotRemoveEnabled: false,
    extraConfig: [
      ...extraValues(machine).map(([key, value]) => data('OptionValue', { key, value })),
      ...c.nics
        .filter((nic) => nic.forwards.length > 0)
        .map((nic) => data('OptionValue', { key: `ethernet${nic.number}.forwards`, value: nic.forwards.join(',') })),
    ],
    datastoreUrl: [data('VirtualMachineConfigInfoDatastoreUrlPair', { name: datastore.name, url: datastore.url })],
    swapPlacement: 'inherit',
    bootOptions: data('VirtualMachineBootOptions', {
      bootDelay: c.bootDelayMilliseconds,
      enterBIOSSetup: c.enterSetup,
      efiSecureBootEnabled: c.secureBoot,
      bootRetryEnabled: false,
      bootRetryDelay: 10000,
      ...(c.bootOrder.length === 0 ? {} : { bootOrder: bootOrder(machine) }),
      networkBootProtocol: 'ipv4',
    }),
    ...(machine.vApp === undefined ? {} : { vAppConfig: machine.vApp }),
    vAssertsEnabled: false,
    changeTrackingEnabled: c.changeTracking,
    firmware: c.firmware,
    maxMksConnections: 40,
    guestAutoLockEnabled: false,
    memoryReservationLockedToMax: false,
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

function extraFlag(machine: MachineRecord, key: string): boolean {
  const value = machine.configuration.extra.find(([name]) => name.toLowerCase() === key)?.[1];
  return value?.toLowerCase() === 'true';
}

function bootOrder({
  configuration: c,
}: MachineRecord): NonNullable<VirtualMachineConfigInfo['bootOptions']>['bootOrder'] {
  const devices = {
    disk: () => c.disks.map((disk) => data('VirtualMachineBootOptionsBootableDiskDevice', { deviceKey: disk.key })),
    ethernet: () =>
      c.nics.map((nic) => data('VirtualMachineBootOptionsBootableEthernetDevice', { deviceKey: nic.key })),
    cdrom: () => [data('VirtualMachineBootOptionsBootableCdromDevice', {})],
    floppy: () => [data('VirtualMachineBootOptionsBootableFloppyDevice', {})],
  };
  return c.bootOrder.flatMap((name) => devices[name]());
}
