import { rename, rm, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { faults, fileFault } from '../errors.ts';
import { findEntry, listFolder } from './datastore-index.ts';
import { joinPath } from './datastore-path.ts';
import { type DatastoreRoot, resolveInRoot, shownPath } from './datastore-root.ts';
import { syncFolder } from './durable-rename.ts';
import { checkOrdinaryPath } from './file-upload.ts';
import { partialName } from './hidden-names.ts';

/** Says whether a file, or anything in a folder, is in use. */
export type BusyCheck = (root: DatastoreRoot, path: string) => boolean | Promise<boolean>;

/**
 * Deletes a file, or a folder with all that is in it: a folder disappears at once. Throws FileNotFound, FileLocked
 * where something in it is in use, and CannotDeleteFile.
 */
export async function deleteFile(root: DatastoreRoot, path: string, isBusy: BusyCheck): Promise<void> {
  checkOrdinaryPath(root, path);
  const shown = shownPath(root, path);
  const full = await resolveInRoot(root, path);
  const entry = await findEntry(root, path);
  if (entry === undefined) throw faults.notFound(shown);
  await checkIdle(root, path, isBusy);
  try {
    if (entry.kind === 'file') {
      await unlink(full);
    } else {
      const doomed = join(dirname(full), partialName());
      await rename(full, doomed);
      await rm(doomed, { recursive: true });
    }
    await syncFolder(dirname(full));
  } catch (error) {
    const typed = fileFault(error, shown, root.name);
    throw typed.type === 'FileNotFound' ? typed : faults.cannotDelete(shown, typed.message, error);
  }
}

/** Throws FileLocked for the first thing in use, there or anywhere below. */
export async function checkIdle(root: DatastoreRoot, path: string, isBusy: BusyCheck): Promise<void> {
  if (await isBusy(root, path)) throw faults.locked(shownPath(root, path));
  const entry = await findEntry(root, path);
  if (entry?.kind !== 'folder') return;
  for (const { name } of await listFolder(root, path)) await checkIdle(root, joinPath(path, name), isBusy);
}
