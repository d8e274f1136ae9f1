import {
  fault,
  type VirtualDevice,
  type VirtualDeviceConfigSpec,
  type VirtualDisk,
  type VirtualEthernetCard,
} from '@hypostyle/vim';
import { applyControllerChange, isController } from './apply-controllers.ts';
import { applyDisk } from './apply-disk.ts';
import { badDevice, type DeviceDraft, type SpecContext } from './device-draft.ts';
import { deviceKey, floppyKey, maximumNics, maximumSerials, nicKey, serialKey } from './device-keys.ts';
import { existing, place } from './device-place.ts';
import { applyEquipment, isEquipment } from './equipment.ts';
import type { Cdrom, Floppy, MachineConfiguration, Nic, Serial } from './machine-configuration.ts';
import { appliedBandwidth } from './nic-bandwidth.ts';

export function applyDeviceChanges(
  before: MachineConfiguration,
  changes: readonly VirtualDeviceConfigSpec[],
  context: SpecContext,
): Pick<DeviceDraft, 'configuration' | 'effects' | 'keys' | 'connections'> {
  const draft: DeviceDraft = { configuration: before, keys: new Map(), effects: [], connections: new Map(), context };
  // Clients list devices before their controllers too: controllers are added first, and removed last.
  const order = changes.map((change, index) => ({ change, index, rank: rank(change) }));
  order.sort((a, b) => a.rank - b.rank || a.index - b.index);
  for (const { change, index } of order) applyChange(draft, change, index);
  return draft;
}

function rank({ operation, device }: VirtualDeviceConfigSpec): number {
  const controller = isController(device);
  if (operation === 'remove') return controller ? 3 : 0;
  return controller ? 1 : 2;
}

function applyChange(draft: DeviceDraft, change: VirtualDeviceConfigSpec, index: number): void {
  const { device } = change;
  if (change.operation === undefined && change.fileOperation === undefined) {
    throw badDevice(index, 'operation', 'it is unset');
  }
  const type = device._typeName ?? 'VirtualDevice';
  if (isController(device)) applyControllerChange(draft, change, index);
  else if (type === 'VirtualDisk') applyDisk(draft, change, device as VirtualDisk, index);
  else if (type === 'VirtualCdrom') applyCdrom(draft, change, index);
  else if (type === 'VirtualFloppy') applyFloppy(draft, change, index);
  else if (type === 'VirtualSerialPort') applySerial(draft, change, index);
  else if (type in nicModelOf) applyNic(draft, change, device as VirtualEthernetCard, index);
  else if (isEquipment(type)) applyEquipment(draft, change, index);
  // Every machine has these: adding the one that is there changes nothing.
  else if (!builtIn.has(type) || change.operation === 'remove') {
    throw fault(
      'DeviceUnsupportedForVmPlatform',
      { deviceIndex: index, property: 'virtualDeviceSpec.device' },
      `Device '${index}' is a ${type}, which is not supported here.`,
    );
  }
}

const builtIn = new Set(['VirtualKeyboard', 'VirtualPointingDevice', 'VirtualMachineVMCIDevice']);

const nicModelOf = {
  VirtualPCNet32: 'vlance',
  VirtualE1000: 'e1000',
  VirtualE1000e: 'e1000e',
  VirtualVmxnet3: 'vmxnet3',
  VirtualVmxnet2: 'vlance',
  VirtualVmxnet: 'vlance',
  VirtualEthernetCard: 'virtio',
} as const;

/** An edit that says nothing of it changes nothing. */
function startConnected(device: VirtualDevice, old: { readonly startConnected: boolean } | undefined): boolean {
  return device.connectable?.startConnected ?? old?.startConnected ?? true;
}

/** Whether a device is connected while the machine runs is the matter of an edit: one that is added is as at a start. */
function connect(draft: DeviceDraft, { operation, device }: VirtualDeviceConfigSpec, key: number): void {
  const connected = device.connectable?.connected;
  if (operation === 'edit' && connected !== undefined) draft.connections.set(key, connected);
}

function applyCdrom(draft: DeviceDraft, change: VirtualDeviceConfigSpec, index: number): void {
  const { operation, device } = change;
  const { configuration: c } = draft;
  const old = operation === 'add' ? undefined : existing(c.cdroms, device.key, index);
  if (operation === 'remove') {
    draft.configuration = { ...c, cdroms: c.cdroms.filter((known) => known !== old) };
    return;
  }
  const { controller, unit } =
    old !== undefined && device.controllerKey === undefined
      ? { controller: existing(c.controllers, old.controllerKey, index), unit: old.unit }
      : place(draft, device, index, old?.key);
  const backing = device.backing as { readonly _typeName?: string; readonly fileName?: string } | undefined;
  const iso = backing?._typeName === 'VirtualCdromIsoBackingInfo';
  const cdrom: Cdrom = {
    key: deviceKey(controller.family, controller.bus, unit),
    controllerKey: controller.key,
    unit,
    ...(backing === undefined && old !== undefined
      ? { kind: old.kind, fileName: old.fileName }
      : {
          kind: iso ? 'iso' : backing?._typeName === 'VirtualCdromAtapiBackingInfo' ? 'atapi' : 'passthrough',
          fileName: iso && backing.fileName ? backing.fileName : undefined,
        }),
    startConnected: startConnected(device, old),
  };
  draft.keys.set(device.key, cdrom.key);
  connect(draft, change, cdrom.key);
  draft.configuration = { ...c, cdroms: [...c.cdroms.filter((known) => known !== old), cdrom] };
}

function applyNic(
  draft: DeviceDraft,
  change: VirtualDeviceConfigSpec,
  device: VirtualEthernetCard,
  index: number,
): void {
  const { operation, device: any } = change;
  const { configuration: c } = draft;
  const old = operation === 'add' ? undefined : existing(c.nics, any.key, index);
  if (operation === 'remove') {
    draft.configuration = { ...c, nics: c.nics.filter((known) => known !== old) };
    return;
  }
  const number = old?.number ?? firstFree(c.nics, maximumNics);
  if (number === undefined) throw badDevice(index, 'device', `a machine has at most ${maximumNics} network adapters`);
  const model = nicModelOf[(device._typeName ?? 'VirtualEthernetCard') as keyof typeof nicModelOf];
  const addressType = macAddressType(device.addressType, old, index);
  const mac = device.macAddress
    ? macAddress(device.macAddress, index)
    : addressType === old?.addressType
      ? old.mac
      : '';
  if (addressType === 'static' && mac === '') throw badDevice(index, 'device.macAddress', 'a manual address is needed');
  const nic: Nic = {
    key: nicKey(number),
    number,
    model,
    networkName: networkName(draft, device, old, index),
    addressType,
    mac: addressType === 'static' || old?.mac === mac ? mac : '',
    startConnected: startConnected(device, old),
    wakeOnLan: device.wakeOnLanEnabled ?? old?.wakeOnLan ?? false,
    forwards: old?.forwards ?? [],
    ...appliedBandwidth(old ?? {}, device, index),
  };
  draft.keys.set(device.key, nic.key);
  connect(draft, change, nic.key);
  const nics = [...c.nics.filter((known) => known !== old), nic].sort((a, b) => a.number - b.number);
  draft.configuration = { ...c, nics };
}

function macAddressType(asked: string | undefined, old: Nic | undefined, index: number): Nic['addressType'] {
  switch (asked?.toLowerCase()) {
    case undefined:
    case '':
      return old?.addressType ?? 'generated';
    case 'generated':
      return 'generated';
    case 'manual':
      return 'static';
    case 'assigned':
      return 'vpx';
    default:
      throw badDevice(index, 'device.addressType', `'${asked}' is none of Generated, Manual and Assigned`);
  }
}

function macAddress(text: string, index: number): string {
  const mac = text.toLowerCase().replaceAll('-', ':');
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(mac))
    throw badDevice(index, 'device.macAddress', `'${text.slice(0, 40)}' is no MAC address`);
  if ((Number.parseInt(mac.slice(0, 2), 16) & 1) === 1)
    throw badDevice(index, 'device.macAddress', `${mac} is a group address`);
  return mac;
}

function networkName(draft: DeviceDraft, device: VirtualEthernetCard, old: Nic | undefined, index: number): string {
  const backing = device.backing as
    | { readonly _typeName?: string; readonly deviceName?: string; readonly network?: { readonly value: string } }
    | undefined;
  if (backing === undefined) {
    if (old !== undefined) return old.networkName;
    throw badDevice(index, 'device.backing', 'it names no network');
  }
  if (backing._typeName !== undefined && backing._typeName !== 'VirtualEthernetCardNetworkBackingInfo') {
    throw badDevice(index, 'device.backing', `a ${backing._typeName} is not supported here`);
  }
  const name = (backing.network && draft.context.networkName(backing.network.value)) || backing.deviceName || '';
  if (!draft.context.networkExists(name))
    throw badDevice(index, 'device.backing.deviceName', `there is no network '${name.slice(0, 80)}' here`);
  return name;
}

function firstFree(devices: readonly { readonly number: number }[], count: number): number | undefined {
  const taken = new Set(devices.map((device) => device.number));
  for (let number = 0; number < count; number += 1) if (!taken.has(number)) return number;
  return undefined;
}

function applySerial(draft: DeviceDraft, { operation, device }: VirtualDeviceConfigSpec, index: number): void {
  const { configuration: c } = draft;
  const old = operation === 'add' ? undefined : existing(c.serials, device.key, index);
  if (operation === 'remove') {
    draft.configuration = { ...c, serials: c.serials.filter((known) => known !== old) };
    return;
  }
  const number = old?.number ?? firstFree(c.serials, maximumSerials);
  if (number === undefined) throw badDevice(index, 'device', `a machine has at most ${maximumSerials} serial ports`);
  const backing = device.backing as
    | {
        readonly _typeName?: string;
        readonly fileName?: string;
        readonly pipeName?: string;
        readonly serviceURI?: string;
        readonly deviceName?: string;
      }
    | undefined;
  const kinds = {
    VirtualSerialPortFileBackingInfo: ['file', backing?.fileName],
    VirtualSerialPortPipeBackingInfo: ['pipe', backing?.pipeName],
    VirtualSerialPortURIBackingInfo: ['network', backing?.serviceURI],
    VirtualSerialPortDeviceBackingInfo: ['device', backing?.deviceName],
  } as const;
  const [kind, fileName] =
    backing === undefined && old !== undefined
      ? ([old.kind, old.fileName] as const)
      : (kinds[backing?._typeName as keyof typeof kinds] ?? ['device', '']);
  const serial: Serial = {
    key: serialKey(number),
    number,
    kind,
    // A port to a file that nobody named writes beside the machine.
    fileName: fileName || (kind === 'file' ? `serial${number}.log` : ''),
    startConnected: startConnected(device, old),
    yieldOnPoll: (device as { readonly yieldOnPoll?: boolean }).yieldOnPoll ?? old?.yieldOnPoll ?? true,
  };
  draft.keys.set(device.key, serial.key);
  draft.configuration = { ...c, serials: [...c.serials.filter((known) => known !== old), serial] };
}

function applyFloppy(draft: DeviceDraft, change: VirtualDeviceConfigSpec, index: number): void {
  const { operation, device } = change;
  const { configuration: c } = draft;
  const old = operation === 'add' ? undefined : existing(c.floppies, device.key, index);
  if (operation === 'remove') {
    draft.configuration = { ...c, floppies: c.floppies.filter((known) => known !== old) };
    return;
  }
  const number = old?.number ?? firstFree(c.floppies, 2);
  if (number === undefined) throw badDevice(index, 'device', 'a machine has at most 2 floppy drives');
  const backing = device.backing as { readonly _typeName?: string; readonly fileName?: string } | undefined;
  const image = backing?._typeName === 'VirtualFloppyImageBackingInfo' ? backing.fileName : undefined;
  const floppy: Floppy = {
    key: floppyKey(number),
    number,
    fileName: backing === undefined ? old?.fileName : image,
    startConnected: startConnected(device, old),
  };
  draft.keys.set(device.key, floppy.key);
  connect(draft, change, floppy.key);
  draft.configuration = { ...c, floppies: [...c.floppies.filter((known) => known !== old), floppy] };
}
