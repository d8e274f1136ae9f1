import { constants } from 'node:fs';
import { type FileHandle, lstat, open, readlink, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { faults, fileFault, systemCode } from '../errors.ts';
import { checkRelativePath, formatDatastorePath, splitPath } from './datastore-path.ts';

/** A datastore as a folder of this host. */
export interface DatastoreRoot {
  /** The datastore's name. */
  readonly name: string;
  /** Absolute path on the host; may itself be a symbolic link. */
  readonly directory: string;
}

/** A path in datastore syntax, for faults. */
export function shownPath(root: DatastoreRoot, path: string): string {
  return formatDatastorePath({ datastore: root.name, path });
}

/**
 * The absolute host path of a relative one, whose last part need not exist. Throws InvalidDatastorePath where it would
 * leave the datastore or leads through a symbolic link below its root, FileNotFound where its folder is not there.
 */
export async function resolveInRoot(root: DatastoreRoot, path: string): Promise<string> {
  const shown = shownPath(root, path);
  const checked = checkRelativePath(path, shown);
  const base = await realRoot(root);
  if (checked === '') return base;
  const { folder, name } = splitPath(checked);
  const parent = join(base, folder);
  let real: string;
  try {
    real = await realpath(parent);
  } catch (error) {
    throw fileFault(error, shown, root.name);
  }
  if (real !== parent) throw faults.invalidPath(shown, 'it leads through a symbolic link');
  const full = join(parent, name);
  if (await isSymbolicLink(full)) throw faults.invalidPath(shown, 'it is a symbolic link');
  return full;
}

/**
 * Opens a file that can't be outside of the datastore: no link is followed, and what was opened is looked at again.
 * `flags` are those of open(2).
 */
export async function openInRoot(
  root: DatastoreRoot,
  path: string,
  flags: number = constants.O_RDONLY,
  mode = 0o600,
): Promise<FileHandle> {
  const shown = shownPath(root, path);
  const full = await resolveInRoot(root, path);
  let handle: FileHandle;
  try {
    // O_NONBLOCK: opening a pipe would wait for its other end.
    handle = await open(full, flags | constants.O_NOFOLLOW | constants.O_NONBLOCK, mode);
  } catch (error) {
    throw fileFault(error, shown, root.name);
  }
  try {
    const opened = await pathOfHandle(handle);
    if (opened !== undefined && opened !== full) throw faults.invalidPath(shown, 'it was moved while being opened');
    const stats = await handle.stat();
    if (!stats.isFile() && !stats.isDirectory()) throw faults.notAFile(shown);
  } catch (error) {
    await handle.close();
    throw error;
  }
  return handle;
}

async function realRoot(root: DatastoreRoot): Promise<string> {
  try {
    return await realpath(root.directory);
  } catch (error) {
    throw faults.cannotAccess(
      `[${root.name}]`,
      `the datastore is not accessible (${systemCode(error) ?? 'unknown'})`,
      error,
    );
  }
}

async function isSymbolicLink(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isSymbolicLink();
  } catch {
    return false;
  }
}

/** Undefined where the system has no /proc. */
async function pathOfHandle(handle: FileHandle): Promise<string | undefined> {
  try {
    return await readlink(`/proc/self/fd/${handle.fd}`);
  } catch {
    return undefined;
  }
}
