import {
  type Call,
  type ManagedObjectReference,
  noPermission,
  type VirtualDeviceConfigSpec,
  type VirtualMachineConfigSpec,
} from '@hypostyle/vim';
import type { HostCore } from '../host-core.ts';
import type { MachineRecord } from '../machine/record/machine-record.ts';
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
  ['cpuHotAddEnabled', 'VirtualMachine.Config.CPUCount'],
  ['memoryHotAddEnabled', 'VirtualMachine.Config.Memory'],
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

/** Members that have a privilege of their own, or none since they change nothing. */
const ofTheirOwn = new Set<string>([
  ...members.map(([member]) => member),
  '_typeName',
  'changeVersion',
  'deviceChange',
  'files',
  'vAppConfig',
  'vAppConfigRemoved',
]);

/** A disk or image that is there already may be anybody's: whoever attaches it must be allowed to look for it. */
function requireForFile(
  core: HostCore,
  call: Call,
  home: string | undefined,
  object: ManagedObjectReference,
  { operation, fileOperation, device }: VirtualDeviceConfigSpec,
): void {
  const { fileName = '' } = (device.backing ?? {}) as { readonly fileName?: string };
  if (operation === 'remove') return;
  const own = core.machines.find(object.value);
  const attached = device._typeName === 'VirtualDisk' && fileOperation === undefined;
  const homeOf = () => (attached && home !== undefined ? core.datastores.parse(home).datastore : undefined);
  const named = /^\[[^\]]+\]/.test(fileName) ? core.datastores.parse(fileName).datastore : (own?.datastore ?? homeOf());
  if (named === undefined) return;
  if (device._typeName === 'VirtualDisk' && fileOperation !== undefined)
    requirePrivilege(core, call, named.ref, 'Datastore.AllocateSpace');
  else if (operation === 'add' && fileName !== '') requirePrivilege(core, call, named.ref, 'Datastore.Browse');
  else if (fileName !== '' && own !== undefined && !ownFiles(own).has(fileName))
    requirePrivilege(core, call, named.ref, 'Datastore.Browse');
}

/** Files that a machine's devices have now: an edit that repeats them asks for nothing new. */
function ownFiles({ configuration: c, datastore, vmxPath }: MachineRecord): Set<string> {
  return new Set(
    [...c.disks, ...c.cdroms, ...c.floppies, ...c.serials].flatMap(({ fileName }) =>
      fileName === undefined ? [] : [fileName, datastore.resolve(vmxPath, fileName)],
    ),
  );
}

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
  // What is in no table is a setting; a spec that changes nothing needs the right to change something.
  const others = Object.entries(spec).some(([member, value]) => value !== undefined && !ofTheirOwn.has(member));
  const changes = members.some(([member]) => spec[member] !== undefined) || (spec.deviceChange ?? []).length > 0;
  const vApp = spec.vAppConfig !== undefined || spec.vAppConfigRemoved === true;
  if (others || !(changes || vApp)) requirePrivilege(core, call, object, 'VirtualMachine.Config.Settings');
  for (const change of spec.deviceChange ?? []) {
    const { operation, fileOperation, device } = change;
    requirePrivilege(core, call, object, devicePrivilege(device._typeName ?? '', operation, fileOperation));
    requireForFile(core, call, spec.files?.vmPathName, object, change);
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
