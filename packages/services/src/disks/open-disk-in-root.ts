import { realpathSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { sep } from 'node:path';
import { type Disk, openDisk } from '@hypostyle/vmdk';
import { type DatastoreRoot, openInRoot, resolveInRoot } from '../files/datastore-root.ts';
import { diskFault } from './disk-faults.ts';

/** Opens a disk, for reading unless told, with extents and parents anywhere in its datastore and nowhere else. Throws faults. */
export async function openDiskInRoot(
  root: DatastoreRoot,
  path: string,
  { writable = false }: { readonly writable?: boolean } = {},
): Promise<Disk> {
  const full = await resolveInRoot(root, path);
  // No pipes and no links: openDisk would follow.
  await (await openInRoot(root, path)).close();
  const base = await realpath(root.directory);
  try {
    return await openDisk(full, { writable, allowOutside: (reference) => isBelow(base, reference.path) });
  } catch (error) {
    throw diskFault(error, root, path);
  }
}

/** Whether a file lies in a folder, whatever links lead there. */
export function isBelow(base: string, path: string): boolean {
  try {
    return realpathSync(path).startsWith(base + sep);
  } catch {
    return false;
  }
}
