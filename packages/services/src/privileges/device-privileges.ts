import type { ManagedObjectReference, Schema, VirtualDevice, VirtualDeviceConfigSpec } from '@hypostyle/vim';
import { splitPath } from '../files/datastore-path.ts';
import { type Caller, datastoreOf, type PrivilegeScope, requirePrivilege } from './privilege-scope.ts';

/** The machine that devices are of, as it is now: nothing for one that is being made. */
export interface MachineDevices {
  /** What privileges are held on: the machine, or the folder that it is made in. */
  readonly object: ManagedObjectReference;
  readonly devices: readonly VirtualDevice[];
  /** Datastore path of its `.vmx`, or of the folder that it shall have. */
  readonly home: string | undefined;
}

interface Backing {
  readonly _typeName?: string;
  readonly fileName?: string | undefined;
  readonly datastore?: ManagedObjectReference | undefined;
  readonly deviceName?: string | undefined;
  readonly network?: ManagedObjectReference | undefined;
  readonly port?: { readonly portgroupKey?: string | undefined } | undefined;
}

const configuration = 'VirtualMachine.Config';

/** Members of a device whose change has a privilege of its own, by the device's type. */
const memberPrivileges: readonly (readonly [type: string, member: string, privilege: string])[] = [
  ['VirtualDevice', 'connectable', 'VirtualMachine.Interact.DeviceConnection'],
  ['VirtualCdrom', 'backing', 'VirtualMachine.Interact.SetCDMedia'],
  ['VirtualFloppy', 'backing', 'VirtualMachine.Interact.SetFloppyMedia'],
  ['VirtualDisk', 'capacityInKB', `${configuration}.DiskExtend`],
  ['VirtualDisk', 'capacityInBytes', `${configuration}.DiskExtend`],
  ['VirtualDisk', 'shares', `${configuration}.Resource`],
  ['VirtualDisk', 'storageIOAllocation', `${configuration}.Resource`],
  ['VirtualEthernetCard', 'resourceAllocation', `${configuration}.Resource`],
];

/** Devices of the host itself: adding, removing and editing them is one privilege. */
const rawBackings = ['VirtualDiskRawDiskMappingVer1BackingInfo', 'VirtualDiskRawDiskVer2BackingInfo'];
const hostUsbBackings = ['VirtualUSBUSBBackingInfo', 'VirtualUSBRemoteHostBackingInfo'];

/**
 * Checks what one change of a device needs: on the machine, on datastores and on networks. A `free` change needs
 * nothing on the machine itself.
 */
export function requireForDevice(
  scope: PrivilegeScope,
  caller: Caller,
  machine: MachineDevices,
  change: VirtualDeviceConfigSpec,
  { free = false }: { readonly free?: boolean } = {},
): void {
  const { schema } = scope.registry;
  const current = change.operation === 'add' ? undefined : deviceOf(machine, change.device.key);
  for (const privilege of free ? [] : changePrivileges(schema, change, current))
    requirePrivilege(scope, caller, machine.object, privilege);
  if (change.operation === 'remove') return;
  requireForFile(scope, caller, machine, change, current);
  requireForNetwork(scope, caller, machine, change, current);
}

/** Privileges on the machine that a change needs, as VirtualMachine.ReconfigVM_Task lists them. */
function changePrivileges(
  schema: Schema,
  { operation, fileOperation, device }: VirtualDeviceConfigSpec,
  current: VirtualDevice | undefined,
): string[] {
  const is = (type: string) => schema.isSubtype(device._typeName ?? '', type);
  const backed = (types: readonly string[]) =>
    [device, current].some((each) => types.some((type) => schema.isSubtype(backingOf(each)._typeName ?? '', type)));
  if (is('VirtualSCSIPassthrough') || backed(rawBackings)) return [`${configuration}.RawDevice`];
  if (is('VirtualUSB') && backed(hostUsbBackings)) return [`${configuration}.HostUSBDevice`];
  if (operation === 'edit') return editPrivileges(schema, device, current);
  if (!is('VirtualDisk')) return [`${configuration}.AddRemoveDevice`];
  if (operation === 'remove') return [`${configuration}.RemoveDisk`];
  return [`${configuration}.${fileOperation === undefined ? 'AddExistingDisk' : 'AddNewDisk'}`];
}

function editPrivileges(schema: Schema, device: VirtualDevice, current: VirtualDevice | undefined): string[] {
  const edit = `${configuration}.EditDevice`;
  if (current === undefined) return [edit];
  const found = new Set<string>();
  for (const [member, value] of Object.entries(device)) {
    if (member === 'key' || within(value, current[member as keyof VirtualDevice])) continue;
    const own = memberPrivileges.find(
      ([type, each]) => each === member && schema.isSubtype(device._typeName ?? '', type),
    );
    found.add(own?.[2] ?? edit);
  }
  // An edit that changes nothing is still one.
  return found.size === 0 ? [edit] : [...found];
}

/** A file that is there already may be anybody's: whoever attaches it must be allowed to look for it. */
function requireForFile(
  scope: PrivilegeScope,
  caller: Caller,
  { object, devices, home }: MachineDevices,
  { fileOperation, device }: VirtualDeviceConfigSpec,
  current: VirtualDevice | undefined,
): void {
  const { fileName, datastore } = backingOf(device);
  const isDisk = scope.registry.schema.isSubtype(device._typeName ?? '', 'VirtualDisk');
  if (fileName === undefined && datastore === undefined && !(isDisk && current === undefined)) return;
  const named = fileName !== undefined && /^\[[^\]]+\]/.test(fileName) ? fileName : home;
  const place = named === undefined ? undefined : datastoreOf(scope, named, object);
  // Both may be said: the file's name decides where it is, and a reference must not widen it.
  const places = new Map([place, datastore].flatMap((ref) => (ref === undefined ? [] : [[ref.value, ref] as const])));
  if (isDisk && fileOperation !== undefined) {
    for (const ref of places.values()) requirePrivilege(scope, caller, ref, 'Datastore.AllocateSpace');
    return;
  }
  if (fileName === undefined || fileName === '') return;
  if (current !== undefined && ownFiles(devices, home).has(fullName(fileName, home))) return;
  for (const ref of places.values()) requirePrivilege(scope, caller, ref, 'Datastore.Browse');
}

/** A card that is put on another network needs that network. */
function requireForNetwork(
  scope: PrivilegeScope,
  caller: Caller,
  { object }: MachineDevices,
  { device }: VirtualDeviceConfigSpec,
  current: VirtualDevice | undefined,
): void {
  const { registry } = scope;
  if (!registry.schema.isSubtype(device._typeName ?? '', 'VirtualEthernetCard')) return;
  const backing = backingOf(device);
  if (current !== undefined && within(backing, backingOf(current))) return;
  const { network, port, deviceName } = backing;
  const group = port?.portgroupKey === undefined ? undefined : registry.byValue(port.portgroupKey)?.ref;
  const named = deviceName === undefined ? undefined : scope.network(deviceName, object);
  for (const ref of [network, group, named]) {
    if (ref !== undefined) requirePrivilege(scope, caller, ref, 'Network.Assign');
  }
}

/** Files that a machine's devices have now: an edit that repeats them asks for nothing new. */
function ownFiles(devices: readonly VirtualDevice[], home: string | undefined): Set<string> {
  return new Set(
    devices.flatMap((device) => {
      const { fileName } = backingOf(device);
      return fileName === undefined ? [] : [fullName(fileName, home)];
    }),
  );
}

/** `[name] folder/file` of a name that may lie beside the `.vmx`. */
function fullName(fileName: string, home: string | undefined): string {
  if (home === undefined || /^[[/]/.test(fileName)) return fileName;
  const { folder } = splitPath(home);
  return folder === '' ? `${home.slice(0, home.indexOf(']') + 1)} ${fileName}` : `${folder}/${fileName}`;
}

function deviceOf({ devices }: MachineDevices, key: number): VirtualDevice | undefined {
  return devices.find((device) => device.key === key);
}

function backingOf(device: VirtualDevice | undefined): Backing {
  return (device?.backing ?? {}) as Backing;
}

/** True when everything that `value` says is said by `current` too. */
function within(value: unknown, current: unknown): boolean {
  if (value === undefined || value === current) return true;
  if (typeof value === 'bigint' || typeof current === 'bigint') {
    return ['bigint', 'number'].includes(typeof value) && ['bigint', 'number'].includes(typeof current)
      ? BigInt(value as number) === BigInt(current as number)
      : false;
  }
  if (typeof value !== 'object' || typeof current !== 'object' || value === null || current === null) return false;
  if (Array.isArray(value)) {
    return (
      Array.isArray(current) &&
      current.length === value.length &&
      value.every((each, index) => within(each, current[index]))
    );
  }
  return Object.entries(value).every(([member, each]) => within(each, (current as Record<string, unknown>)[member]));
}
