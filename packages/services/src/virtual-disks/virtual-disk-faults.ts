import type { VimFault } from '@hypostyle/vim';
import { VmdkError } from '@hypostyle/vmdk';
import { diskFault } from '../disks/disk-faults.ts';
import { faults } from '../errors.ts';
import { type DatastoreRoot, shownPath } from '../files/datastore-root.ts';

/** What work on a disk of a datastore failed with, as a fault of the specification. */
export function virtualDiskFault(error: unknown, root: DatastoreRoot, path: string): VimFault {
  const shown = shownPath(root, path);
  if (error instanceof VmdkError) {
    if (error.code === 'has-children') return faults.locked(shown);
    if (error.code === 'room-unsupported')
      return faults.notSupported(`The file system of datastore '${root.name}' gives no room back.`);
  }
  return diskFault(error, root, path);
}
