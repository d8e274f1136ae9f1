import type {
  ManagedObjectReference,
  VAppPropertyInfo,
  VirtualMachineConfigInfo,
  VirtualMachineConfigSpec,
} from '@hypostyle/vim';
import { type MachineDevices, requireForDevice } from './device-privileges.ts';
import { type Caller, type PrivilegeScope, requirePrivilege } from './privilege-scope.ts';

type ConfigMember = keyof VirtualMachineConfigSpec;

const configuration = 'VirtualMachine.Config';
const settings = `${configuration}.Settings`;

/** What VirtualMachine.ReconfigVM_Task lists, by member. A member in no table is a setting. */
const memberPrivileges: { readonly [member in ConfigMember]?: string } = {
  name: `${configuration}.Rename`,
  annotation: `${configuration}.Annotation`,
  numCPUs: `${configuration}.CPUCount`,
  numCoresPerSocket: `${configuration}.CPUCount`,
  simultaneousThreads: `${configuration}.CPUCount`,
  cpuHotAddEnabled: `${configuration}.CPUCount`,
  cpuHotRemoveEnabled: `${configuration}.CPUCount`,
  memoryMB: `${configuration}.Memory`,
  memoryHotAddEnabled: `${configuration}.Memory`,
  cpuAllocation: `${configuration}.Resource`,
  memoryAllocation: `${configuration}.Resource`,
  memoryReservationLockedToMax: `${configuration}.Resource`,
  latencySensitivity: `${configuration}.Resource`,
  cpuAffinity: `${configuration}.Resource`,
  memoryAffinity: `${configuration}.Resource`,
  networkShaper: `${configuration}.Resource`,
  extraConfig: `${configuration}.AdvancedConfig`,
  cpuFeatureMask: `${configuration}.AdvancedConfig`,
  swapPlacement: `${configuration}.SwapPlacement`,
  changeTrackingEnabled: `${configuration}.ChangeTracking`,
  maxMksConnections: `${configuration}.MksControl`,
  guestAutoLockEnabled: `${configuration}.MksControl`,
  managedBy: `${configuration}.ManagedBy`,
  version: `${configuration}.UpgradeVirtualHardware`,
  scheduledHardwareUpgradeInfo: `${configuration}.UpgradeVirtualHardware`,
  repConfig: 'VirtualMachine.Hbr.ConfigureReplication',
  crypto: 'Cryptographer.Encrypt',
};

/** What Folder.CreateVM_Task lists beside devices: the rest is said by the right to create. */
const creationMembers: readonly ConfigMember[] = [
  'extraConfig',
  'swapPlacement',
  'changeTrackingEnabled',
  'managedBy',
  'repConfig',
  'crypto',
];

/** Members that are looked at on their own, or that change nothing. */
const ofTheirOwn: readonly string[] = ['_typeName', 'changeVersion', 'deviceChange', 'vAppConfig', 'vAppConfigRemoved'];

/** Checks what a reconfiguration needs, member by member and device by device, as ReconfigVM_Task documents it. */
export function requireForReconfigure(
  scope: PrivilegeScope,
  caller: Caller,
  machine: ManagedObjectReference,
  spec: VirtualMachineConfigSpec,
): void {
  const config = configOf(scope, machine);
  requireForChange(scope, caller, devicesOf(scope, machine), spec);
  if (spec.vAppConfig === undefined && spec.vAppConfigRemoved !== true) return;
  requirePrivilege(scope, caller, machine, vAppPrivilege(config, spec));
}

/** The same on any object: a clone is changed as it is made, by rights on the folder that it comes to. */
export function requireForChange(
  scope: PrivilegeScope,
  caller: Caller,
  machine: MachineDevices,
  spec: VirtualMachineConfigSpec,
): void {
  const members = Object.entries(spec)
    .filter(([member, value]) => value !== undefined && !ofTheirOwn.includes(member))
    .map(([member]) => member as ConfigMember);
  // Backup tools say it by the keys of the `.vmx`: it needs the right that its own member needs.
  const tracks = (spec.extraConfig ?? []).some(({ key }) => /(?:^|\.)ctkEnabled$/i.test(key));
  const needed = tracks ? [...members, 'changeTrackingEnabled' as const] : members;
  for (const privilege of new Set(needed.map((member) => memberPrivileges[member] ?? settings)))
    requirePrivilege(scope, caller, machine.object, privilege);
  const changes = spec.deviceChange ?? [];
  const vApp = spec.vAppConfig !== undefined || spec.vAppConfigRemoved === true;
  // A spec that changes nothing needs the right to change something.
  if (members.length === 0 && changes.length === 0 && !vApp) requirePrivilege(scope, caller, machine.object, settings);
  for (const change of changes) requireForDevice(scope, caller, machine, change);
}

/** Checks what the spec of a new machine needs beside the right to create one, on the folder that it comes to. */
export function requireForNew(
  scope: PrivilegeScope,
  caller: Caller,
  folder: ManagedObjectReference,
  spec: VirtualMachineConfigSpec,
): void {
  for (const member of creationMembers) {
    if (spec[member] !== undefined) requirePrivilege(scope, caller, folder, memberPrivileges[member] ?? settings);
  }
  const machine = { object: folder, devices: [], home: spec.files?.vmPathName };
  for (const change of spec.deviceChange ?? []) {
    const { device } = change;
    const is = (type: string) => scope.registry.schema.isSubtype(device._typeName ?? '', type);
    // Other devices come with the right to create, but what they name does not.
    const free = !is('VirtualDisk') && !is('VirtualUSB') && !is('VirtualSCSIPassthrough');
    requireForDevice(scope, caller, machine, change, { free });
  }
}

/** What a machine has now. */
export function devicesOf(scope: PrivilegeScope, machine: ManagedObjectReference): MachineDevices {
  const config = configOf(scope, machine);
  return { object: machine, devices: config?.hardware?.device ?? [], home: config?.files?.vmPathName };
}

export function configOf(
  { registry }: PrivilegeScope,
  machine: ManagedObjectReference,
): VirtualMachineConfigInfo | undefined {
  return registry.get(machine)?.value('config') as VirtualMachineConfigInfo | undefined;
}

/** Setting values of a vApp's properties is a smaller right than saying which there are (VmConfigSpec). */
function vAppPrivilege(config: VirtualMachineConfigInfo | undefined, spec: VirtualMachineConfigSpec): string {
  if (spec.vAppConfigRemoved === true || spec.vAppConfig === undefined) return 'VApp.ApplicationConfig';
  const { property = [], ...others } = spec.vAppConfig;
  const known = new Map(config?.vAppConfig?.property?.map((each) => [each.key, each]));
  const valuesOnly =
    Object.entries(others).every(([member, value]) => member === '_typeName' || isNothing(value)) &&
    property.every(({ operation, info }) => {
      const before = info && known.get(info.key);
      if (operation !== 'edit' || info === undefined || before === undefined) return false;
      return Object.entries(info).every(
        ([member, value]) =>
          member === 'value' ||
          member === '_typeName' ||
          value === undefined ||
          before[member as keyof VAppPropertyInfo] === value,
      );
    });
  return valuesOnly ? 'VApp.InstanceConfig' : 'VApp.ApplicationConfig';
}

function isNothing(value: unknown): boolean {
  return value === undefined || (Array.isArray(value) && value.length === 0);
}
