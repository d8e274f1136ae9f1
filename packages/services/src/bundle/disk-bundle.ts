import { type AdapterType, encodeDescriptor, flatDescriptor, flatNameOf, formatDiskUuid } from '@hypostyle/vmdk';
import type { DiskAllocation } from '../disks/copy-machine-disk.ts';
import { diskFault } from '../disks/disk-faults.ts';
import { type LeasedDiskPlace, openLeasedDisk } from '../disks/open-leased-disk.ts';
import type { BundleEntry } from './bundle-entry.ts';
import { contentEntry } from './file-bundle.ts';

export interface DiskAsFlat {
  /** The disk that is read, its whole chain as one. Nobody may write it meanwhile. */
  readonly place: LeasedDiskPlace;
  readonly capacityBytes: number;
  /** Name of the descriptor in the bundle. */
  readonly name: string;
  readonly allocation: DiskAllocation;
  readonly adapter: AdapterType;
  readonly hardwareVersion: number;
  /** Of the disk; another one unless told. */
  readonly uuid?: string | undefined;
}

/** The two files of a flat disk that reads as another one: its bytes, then its descriptor. */
export function flatDiskEntries(disk: DiskAsFlat): BundleEntry[] {
  const { place, capacityBytes, name, allocation, adapter, hardwareVersion, uuid } = disk;
  const flatName = flatNameOf(name);
  const descriptor = flatDescriptor({
    virtualBytes: capacityBytes,
    flatName,
    thin: allocation === 'thin',
    adapterType: adapter,
    hardwareVersion,
    ...(uuid === undefined ? {} : { ddb: { uuid: formatDiskUuid(uuid, name) } }),
  });
  return [
    {
      path: flatName,
      kind: 'file',
      size: capacityBytes,
      ...(allocation === 'thin' ? {} : { full: true }),
      content: (signal) => diskBlocks(place, signal),
    },
    contentEntry(name, encodeDescriptor(descriptor)),
  ];
}

async function* diskBlocks(place: LeasedDiskPlace, signal: AbortSignal) {
  const leased = await openLeasedDisk({ ...place, writable: false });
  try {
    yield* leased.disk.blocks({ signal });
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw diskFault(error, place.root, place.path);
  } finally {
    await leased.close();
  }
}
