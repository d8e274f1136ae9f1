import { link, lstat, open, rename, rm, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { systemCode } from '../errors.ts';

/** Makes the names in a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const withoutHardLinks = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']);

/** Renames durably, putting the file in the place of one that is there. */
export async function renameOver(from: string, to: string): Promise<void> {
  await rename(from, to);
  await syncFolder(dirname(to));
}

/** Renames a file or folder durably; fails with EEXIST where something is there, even something made meanwhile. */
export async function renameNew(from: string, to: string, kind: 'file' | 'folder'): Promise<void> {
  if (kind === 'folder' || !(await linkNew(from, to))) {
    // rename(2) takes the place of a file, or of an empty folder.
    if (await isThere(to)) throw Object.assign(new Error('it exists already'), { code: 'EEXIST' });
    await rename(from, to);
  }
  await syncFolder(dirname(to));
}

/** False on a file system without hard links. */
async function linkNew(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
  } catch (error) {
    if (withoutHardLinks.has(systemCode(error) ?? '')) return false;
    throw error;
  }
  try {
    await unlink(from);
  } catch (error) {
    await rm(to, { force: true });
    throw error;
  }
  return true;
}

async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false;
    throw error;
  }
}
