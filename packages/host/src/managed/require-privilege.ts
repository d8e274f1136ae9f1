import { type Call, type ManagedObjectReference, noPermission, type VirtualMachineConfigSpec } from '@hypostyle/vim';
import type { HostCore } from '../host-core.ts';
import type { MachineRecord } from '../machine/machine-record.ts';
import { setsValuesOnly } from '../vapp/apply-vapp.ts';

/** Throws NoPermission unless the caller holds the privilege on the object: for needs that depend on the arguments. */
export function requirePrivilege(core: HostCore, call: Call, object: ManagedObjectReference, privilege: string): void {
  if (call.session === undefined || !core.authorizer.holds(call.session, object, privilege)) {
    throw noPermission(object, privilege);
  }
}

/** Checks what making a machine needs on the datastore, pool and networks that its spec names. */
export function requireForCreate(core: HostCore, call: Call, spec: VirtualMachineConfigSpec): void {
  requirePrivilege(core, call, core.rootPool, 'Resource.AssignVMToPool');
  const path = spec.files?.vmPathName;
  if (path !== undefined)
    requirePrivilege(core, call, core.datastores.parse(path).datastore.ref, 'Datastore.AllocateSpace');
  requireForReconfigure(core, call, core.vmFolder, spec);
}

/** Checks what registering a machine needs beside its own privilege. */
export function requireForRegister(core: HostCore, call: Call, path: string): void {
  requirePrivilege(core, call, core.rootPool, 'Resource.AssignVMToPool');
  requirePrivilege(core, call, core.datastores.parse(path).datastore.ref, 'Datastore.Browse');
}

const members: readonly (readonly [keyof VirtualMachineConfigSpec, string])[] = [
  ['name', 'VirtualMachine.Config.Rename'],
  ['numCPUs', 'VirtualMachine.Config.CPUCount'],
  ['numCoresPerSocket', 'VirtualMachine.Config.CPUCount'],
  ['memoryMB', 'VirtualMachine.Config.Memory'],
  ['annotation', 'VirtualMachine.Config.Annotation'],
  ['extraConfig', 'VirtualMachine.Config.AdvancedConfig'],
  ['cpuAllocation', 'VirtualMachine.Config.Resource'],
  ['memoryAllocation', 'VirtualMachine.Config.Resource'],
  ['changeTrackingEnabled', 'VirtualMachine.Config.ChangeTracking'],
  ['guestId', 'VirtualMachine.Config.Settings'],
  ['bootOptions', 'VirtualMachine.Config.Settings'],
  ['flags', 'VirtualMachine.Config.Settings'],
  ['tools', 'VirtualMachine.Config.Settings'],
  ['powerOpInfo', 'VirtualMachine.Config.Settings'],
  ['firmware', 'VirtualMachine.Config.Settings'],
  ['version', 'VirtualMachine.Config.UpgradeVirtualHardware'],
  ['uuid', 'VirtualMachine.Config.Settings'],
  ['instanceUuid', 'VirtualMachine.Config.Settings'],
];

/** Checks what a reconfiguration needs, member by member, as ReconfigVM_Task documents it. */
export function requireForReconfigure(
  core: HostCore,
  call: Call,
  object: ManagedObjectReference,
  spec: VirtualMachineConfigSpec,
): void {
  for (const [member, privilege] of members) {
    if (spec[member] !== undefined) requirePrivilege(core, call, object, privilege);
  }
  for (const { operation, fileOperation, device } of spec.deviceChange ?? []) {
    requirePrivilege(core, call, object, devicePrivilege(device._typeName ?? '', operation, fileOperation));
    const network = (device.backing as { readonly deviceName?: string } | undefined)?.deviceName;
    const found = network === undefined ? undefined : core.networks.find(network);
    if (found !== undefined && operation !== 'remove') requirePrivilege(core, call, found.ref, 'Network.Assign');
  }
}

/** Setting values of a vApp's properties is a smaller right than saying which there are (VmConfigSpec). */
export function requireForVApp(
  core: HostCore,
  call: Call,
  machine: MachineRecord,
  spec: VirtualMachineConfigSpec,
): void {
  if (spec.vAppConfig === undefined && spec.vAppConfigRemoved !== true) return;
  const privilege = setsValuesOnly(machine.vApp, spec) ? 'VApp.InstanceConfig' : 'VApp.ApplicationConfig';
  requirePrivilege(core, call, machine.ref, privilege);
}

function devicePrivilege(type: string, operation: string | undefined, fileOperation: string | undefined): string {
  if (type === 'VirtualDisk') {
    if (operation === 'remove') return 'VirtualMachine.Config.RemoveDisk';
    if (operation === 'edit') return 'VirtualMachine.Config.DiskExtend';
    return fileOperation === undefined ? 'VirtualMachine.Config.AddExistingDisk' : 'VirtualMachine.Config.AddNewDisk';
  }
  return operation === 'edit' ? 'VirtualMachine.Config.EditDevice' : 'VirtualMachine.Config.AddRemoveDevice';
}
