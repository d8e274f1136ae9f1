import { writeStreamOptimized } from '@hypostyle/vmdk';
import { splitPath } from '../files/datastore-path.ts';
import type { TransferTarget } from '../leases/transfer-target.ts';
import { diskFault } from './disk-faults.ts';
import { type LeasedDiskPlace, openLeasedDisk } from './open-leased-disk.ts';

/** A disk as a streamOptimized VMDK, its whole chain in one. Nobody may write it meanwhile. Throws faults. */
export async function* provideDisk(
  place: LeasedDiskPlace,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { root, path } = place;
  const leased = await openLeasedDisk({ ...place, writable: false });
  try {
    yield* writeStreamOptimized(leased.disk, { name: splitPath(path).name, signal });
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw diskFault(error, root, path);
  } finally {
    await leased.close();
  }
}

/** A lease's target that gives a disk: whole, as a streamOptimized VMDK, or at random. */
export function diskDownloadTarget(
  target: Omit<TransferTarget, 'receive' | 'provide' | 'openDisk' | 'disk'>,
  place: LeasedDiskPlace,
): TransferTarget {
  return {
    ...target,
    disk: true,
    provide: ({ signal }) => provideDisk(place, signal),
    openDisk: () => openLeasedDisk(place),
  };
}
