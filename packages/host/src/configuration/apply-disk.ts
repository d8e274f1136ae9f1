import type { VirtualDeviceConfigSpec, VirtualDisk } from '@hypostyle/vim';
import { badDevice, type DeviceDraft } from './device-draft.ts';
import { deviceKey } from './device-keys.ts';
import { existing, place } from './device-place.ts';
import { appliedDiskIo } from './disk-io.ts';
import type { Disk } from './machine-configuration.ts';
import { isShared, unshareableFault } from './shared-disk.ts';

const diskModes: Readonly<Record<string, Disk['mode']>> = {
  persistent: 'persistent',
  independent_persistent: 'independent_persistent',
  independent_nonpersistent: 'independent_nonpersistent',
};

interface DiskBacking {
  readonly _typeName?: string;
  readonly fileName?: string;
  readonly diskMode?: string;
  readonly thinProvisioned?: boolean;
  readonly eagerlyScrub?: boolean;
  readonly writeThrough?: boolean;
  readonly sharing?: string;
  readonly digestEnabled?: boolean;
  readonly keyId?: unknown;
  readonly parent?: { readonly fileName?: string };
  readonly datastore?: { readonly value: string };
}

export function applyDisk(
  draft: DeviceDraft,
  change: VirtualDeviceConfigSpec,
  device: VirtualDisk,
  index: number,
): void {
  const { configuration: c } = draft;
  if (change.operation === 'remove') {
    const disk = existing(c.disks, device.key, index);
    draft.configuration = { ...c, disks: c.disks.filter((known) => known !== disk) };
    if (change.fileOperation === 'destroy') draft.effects.push({ kind: 'destroy-disk', fileName: disk.fileName });
    else if (change.fileOperation !== undefined)
      throw badDevice(index, 'fileOperation', `a disk is not removed and '${change.fileOperation}'d`);
    return;
  }
  refuseDisk(device, index);
  if (change.operation === 'edit') editDisk(draft, change, device, index);
  else addDisk(draft, change, device, index);
}

/** What a client may ask of a disk and nobody does here. */
function refuseDisk(device: VirtualDisk, index: number): void {
  const backing = device.backing as DiskBacking | undefined;
  const type = backing?._typeName;
  if (type !== undefined && !/^VirtualDisk(FlatVer2|FlatVer1|SparseVer2|SparseVer1|SeSparse)BackingInfo$/.test(type)) {
    throw badDevice(index, 'device.backing', `a ${type} is not supported here`);
  }
  if (backing?.diskMode !== undefined && !(backing.diskMode in diskModes))
    throw badDevice(index, 'device.backing.diskMode', `'${backing.diskMode}' is not supported here`);
  if (backing?.sharing !== undefined && !['', 'sharingNone', 'sharingMultiWriter'].includes(backing.sharing))
    throw badDevice(index, 'device.backing.sharing', `'${backing.sharing.slice(0, 40)}' is not known`);
  if (backing?.digestEnabled === true) throw badDevice(index, 'device.backing.digestEnabled', 'there are no digests');
  if (backing?.keyId !== undefined) throw badDevice(index, 'device.backing.keyId', 'disks are not encrypted here');
  if (Number(device.storageIOAllocation?.reservation ?? 0) > 0)
    throw badDevice(index, 'device.storageIOAllocation.reservation', 'nothing is reserved for a disk here');
  if (device.guestReadOnly === true) throw badDevice(index, 'device.guestReadOnly', 'guests write their disks here');
  if (Number(device.vFlashCacheConfigInfo?.reservationInMB ?? 0) > 0)
    throw badDevice(index, 'device.vFlashCacheConfigInfo', 'there is no flash cache here');
}

function editDisk(draft: DeviceDraft, change: VirtualDeviceConfigSpec, device: VirtualDisk, index: number): void {
  const { configuration: c } = draft;
  // Clients made of govmomi say `replace` of every disk that they edit; its file stays the one that it is.
  if (change.fileOperation !== undefined && change.fileOperation !== 'replace')
    throw badDevice(index, 'fileOperation', 'the files of a disk that is there are not made anew');
  const disk = existing(c.disks, device.key, index);
  const backing = device.backing as DiskBacking | undefined;
  const { controller, unit } =
    device.controllerKey === undefined
      ? { controller: existing(c.controllers, disk.controllerKey, index), unit: disk.unit }
      : place(draft, device, index, disk.key);
  const { multiWriter: _former, ...plain } = disk;
  const edited: Disk = {
    ...plain,
    key: deviceKey(controller.family, controller.bus, unit),
    controllerKey: controller.key,
    unit,
    mode: diskModes[backing?.diskMode ?? disk.mode] ?? disk.mode,
    writeThrough: backing?.writeThrough ?? disk.writeThrough,
    ...multiWriter(backing, disk),
    ...appliedDiskIo(disk, device, index),
  };
  // What a client says of it again is taken as it is.
  const known = isShared(c, disk) && disk.mode === edited.mode;
  if (isShared(c, edited) && !known) draft.effects.push({ kind: 'share-disk', key: edited.key, index });
  draft.keys.set(device.key, edited.key);
  draft.configuration = { ...c, disks: c.disks.map((known) => (known === disk ? edited : known)) };
  // A client that edits a disk gives back the file that it was told of.
  if (backing?.fileName) draft.effects.push({ kind: 'same-disk', key: edited.key, fileName: backing.fileName, index });
  const capacityBytes = capacityOf(device);
  // A client that knows the older member alone gives the newer one back as it was told.
  const kibibytes = Number(device.capacityInKB ?? 0);
  const differs = kibibytes > 0 && kibibytes !== Math.floor(capacityBytes / 1024);
  const other = differs ? { otherBytes: kibibytes * 1024 } : {};
  if (capacityBytes > 0) draft.effects.push({ kind: 'grow-disk', key: edited.key, capacityBytes, ...other, index });
}

function addDisk(draft: DeviceDraft, change: VirtualDeviceConfigSpec, device: VirtualDisk, index: number): void {
  const { configuration: c } = draft;
  const backing = device.backing as DiskBacking | undefined;
  const { controller, unit } = place(draft, device, index);
  const key = deviceKey(controller.family, controller.bus, unit);
  const fileName = backing?.fileName ?? '';
  const { fileOperation } = change;
  const parent = backing?.parent?.fileName ?? '';
  if (fileOperation === 'destroy') throw badDevice(index, 'fileOperation', 'a disk that is added is not destroyed');
  if (fileOperation !== undefined && parent !== '') {
    draft.effects.push({ kind: 'create-child', key, parent, fileName });
  } else if (fileOperation !== undefined) {
    const capacityBytes = capacityOf(device);
    if (capacityBytes < 512) throw badDevice(index, 'device.capacityInKB', 'a new disk needs a capacity');
    const replace = fileOperation === 'replace';
    draft.effects.push({
      kind: 'create-disk',
      key,
      capacityBytes,
      allocation: allocationOf(backing),
      fileName,
      ...(backing?.datastore === undefined ? {} : { datastore: backing.datastore.value }),
      ...(replace ? { replace } : {}),
    });
  } else {
    if (!fileName.toLowerCase().endsWith('.vmdk'))
      throw badDevice(index, 'device.backing.fileName', 'it names no .vmdk');
    draft.effects.push({ kind: 'attach-disk', key, fileName });
  }
  const disk: Disk = {
    key,
    controllerKey: controller.key,
    unit,
    fileName,
    mode: diskModes[backing?.diskMode ?? 'persistent'] ?? 'persistent',
    writeThrough: backing?.writeThrough ?? false,
    tracked: true,
    ...multiWriter(backing, undefined),
    ...appliedDiskIo({}, device, index),
  };
  if (isShared(c, disk)) {
    if (parent !== '') throw badDevice(index, 'device.backing.parent', 'what lies on another disk is not shared');
    if (fileOperation !== undefined && allocationOf(backing) !== 'eager')
      throw unshareableFault('A new disk', 'it must be thick and zeroed (eagerlyScrub)', index);
    draft.effects.push({ kind: 'share-disk', key, index });
  }
  draft.keys.set(device.key, key);
  draft.configuration = { ...c, disks: [...c.disks, disk] };
}

/** An edit that says nothing of it changes nothing. */
function multiWriter(
  backing: DiskBacking | undefined,
  old: Pick<Disk, 'multiWriter'> | undefined,
): Pick<Disk, 'multiWriter'> {
  const shared = backing?.sharing ? backing.sharing === 'sharingMultiWriter' : old?.multiWriter === true;
  return shared ? { multiWriter: true } : {};
}

/** Where a client does not say, a disk is thin. */
function allocationOf(backing: DiskBacking | undefined): 'thin' | 'thick' | 'eager' {
  if (backing?.eagerlyScrub === true) return 'eager';
  return backing?.thinProvisioned === false ? 'thick' : 'thin';
}

/** Bytes; 0 where the client says nothing. */
function capacityOf(device: VirtualDisk): number {
  const bytes = Number(device.capacityInBytes ?? 0);
  return bytes > 0 ? Math.ceil(bytes / 512) * 512 : Number(device.capacityInKB ?? 0) * 1024;
}
