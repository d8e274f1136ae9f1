import type { VirtualDisk } from '@hypostyle/vim';
import type { VmxFile } from '../vmx/vmx-file.ts';
import { badDevice } from './device-draft.ts';
import type { Disk, DiskIo } from './machine-configuration.ts';

/** Shares of a disk by their level, and those that a client may choose itself (StorageIOAllocationInfo). */
const levelShares = { low: 500, normal: 1000, high: 2000 } as const;
const shareRange = { least: 200, most: 4000 } as const;
/** Most reads and writes a second that a limit says. */
const mostOperations = 2 ** 31 - 1;
const everything: DiskIo = { limit: -1, level: 'normal', shares: levelShares.normal };

export function diskIo({ io = everything }: Pick<Disk, 'io'>): DiskIo {
  return io;
}

/** What a spec makes of a disk's allocation: members that it leaves out stay. InvalidDeviceSpec. */
export function appliedDiskIo(before: Pick<Disk, 'io'>, device: VirtualDisk, index: number): Pick<Disk, 'io'> {
  // `VirtualDisk.shares` is the older place of the same.
  const asked = { shares: device.shares, ...device.storageIOAllocation };
  const kept = before.io === undefined ? {} : { io: before.io };
  if (asked.shares === undefined && asked.limit === undefined) return kept;
  const was = diskIo(before);
  const limit = asked.limit === undefined ? was.limit : Number(asked.limit);
  const bad = (property: string, reason: string) => badDevice(index, `device.storageIOAllocation.${property}`, reason);
  // The specification has 16 as the least that may be granted.
  if (limit !== was.limit && limit !== -1 && (!Number.isSafeInteger(limit) || limit < 16 || limit > mostOperations))
    throw bad('limit', `${limit} is neither -1 nor from 16 to ${mostOperations}`);
  const level = asked.shares?.level ?? was.level;
  const shares = level === 'custom' ? Number(asked.shares?.shares ?? was.shares) : levelShares[level];
  if (!Number.isSafeInteger(shares) || shares < shareRange.least || shares > shareRange.most)
    throw bad('shares', `${shares} is not from ${shareRange.least} to ${shareRange.most}`);
  const io: DiskIo = { limit, level, shares };
  return limit === was.limit && level === was.level && shares === was.shares ? kept : { io };
}

const capKey = (node: string) => `sched.${node}.throughputCap`;
const sharesKey = (node: string) => `sched.${node}.shares`;

/** `node`: such as `scsi0:0`. What cannot be understood counts as not said. */
export function readDiskIo(vmx: Pick<VmxFile, 'get'>, node: string): Pick<Disk, 'io'> {
  const cap = /^\d{1,9}$/.exec(vmx.get(capKey(node)) ?? '')?.[0];
  const limit = cap === undefined || Number(cap) === 0 ? -1 : Number(cap);
  const text = vmx.get(sharesKey(node))?.toLowerCase() ?? 'normal';
  if (text === 'low' || text === 'normal' || text === 'high') {
    return limit < 0 && text === 'normal' ? {} : { io: { limit, level: text, shares: levelShares[text] } };
  }
  const shares = Math.min(shareRange.most, Math.max(shareRange.least, Number(text)));
  return Number.isInteger(shares)
    ? { io: { limit, level: 'custom', shares } }
    : limit < 0
      ? {}
      : { io: { ...everything, limit } };
}

export function writeDiskIo(
  writer: { unless(key: string, value: string, byDefault: string): void },
  node: string,
  disk: Pick<Disk, 'io'>,
): void {
  const { limit, level, shares } = diskIo(disk);
  writer.unless(capKey(node), limit < 0 ? 'off' : String(limit), 'off');
  writer.unless(sharesKey(node), level === 'custom' ? String(shares) : level, 'normal');
}
