import { statfs } from 'node:fs/promises';
import { faults } from '../errors.ts';
import { type DatastoreRoot, shownPath } from './datastore-root.ts';

/** Bytes that an ordinary user can still write to the datastore. */
export async function freeBytesOf(root: DatastoreRoot): Promise<number> {
  const { bavail, bsize } = await statfs(root.directory);
  return bavail * bsize;
}

/** Throws NoDiskSpace where `bytes` more do not fit; a file system that does not tell is believed to have room. */
export async function checkFreeSpace(root: DatastoreRoot, path: string, bytes: number): Promise<void> {
  let free: number;
  try {
    free = await freeBytesOf(root);
  } catch {
    return;
  }
  if (bytes > free) throw faults.noSpace(shownPath(root, path), root.name);
}
