import { writeStreamOptimized } from '@hypostyle/vmdk';
import { splitPath } from '../files/datastore-path.ts';
import type { DatastoreRoot } from '../files/datastore-root.ts';
import type { TransferTarget } from '../leases/transfer-target.ts';
import { diskFault } from './disk-faults.ts';
import { openDiskInRoot } from './open-disk-in-root.ts';

/** A disk as a streamOptimized VMDK, its whole chain in one. Nobody may write it meanwhile. Throws faults. */
export async function* provideDisk(
  root: DatastoreRoot,
  path: string,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const disk = await openDiskInRoot(root, path);
  try {
    yield* writeStreamOptimized(disk, { name: splitPath(path).name, signal });
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw diskFault(error, root, path);
  } finally {
    await disk.close();
  }
}

/** A lease's target that gives a disk. */
export function diskDownloadTarget(
  target: Omit<TransferTarget, 'receive' | 'provide' | 'disk'>,
  { root, path }: { readonly root: DatastoreRoot; readonly path: string },
): TransferTarget {
  return { ...target, disk: true, provide: ({ signal }) => provideDisk(root, path, signal) };
}
