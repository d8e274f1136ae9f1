import { mkdir, readdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { deleteDisk } from '@hypostyle/vmdk';
import { faults } from '../errors.ts';
import { type DatastoreRoot, resolveInRoot, shownPath } from '../files/datastore-root.ts';
import { renameNew } from '../files/durable-rename.ts';
import { checkOrdinaryPath } from '../files/file-upload.ts';
import { isPartialName, partialName } from '../files/hidden-names.ts';
import { isThere } from './is-there.ts';
import { virtualDiskFault } from './virtual-disk-faults.ts';

/** Where the making of a disk is: written down before each step, so that another process can clear it away. */
export interface DiskStep {
  /** Hidden folder beside the disk. */
  readonly staging: string;
  /** Names that its files are just given, beside one another. */
  readonly placing?: readonly string[];
}

/** A disk that is to be, and how to follow its making. */
export interface DiskMaking {
  readonly root: DatastoreRoot;
  /** Path of the descriptor in the datastore; its folder must exist. */
  readonly path: string;
  /** Take the place of a disk that is there. */
  readonly replace: boolean;
  readonly signal: AbortSignal;
  /** Durable when it resolves. */
  journal(step: DiskStep): Promise<void>;
}

/**
 * Makes a disk in a hidden folder and gives it its name when it is whole and durable, the descriptor last. What failed,
 * was stopped or killed leaves nothing under its name. Throws FileAlreadyExists and the faults of files.
 */
export async function makeStaged(making: DiskMaking, make: (path: string) => Promise<void>): Promise<void> {
  const { root, path, replace, signal, journal } = making;
  checkOrdinaryPath(root, path);
  const full = await resolveInRoot(root, path);
  if (!replace && (await isThere(full))) throw faults.exists(shownPath(root, path));
  const [folder, staging] = [dirname(full), partialName()];
  await journal({ staging });
  let step: DiskStep = { staging };
  try {
    await mkdir(join(folder, staging));
    await make(join(folder, staging, basename(full)));
    signal.throwIfAborted();
    if (replace && (await isThere(full))) await deleteDisk(full, { incomplete: true });
    const names = await readdir(join(folder, staging));
    for (const name of names) if (await isThere(join(folder, name))) throw faults.exists(shownPath(root, path));
    step = { staging, placing: names };
    await journal(step);
    const main = basename(full);
    for (const name of [...names.filter((each) => each !== main), main])
      await renameNew(join(folder, staging, name), join(folder, name), 'file');
    await rm(join(folder, staging), { recursive: true, force: true });
  } catch (error) {
    await undoStaged(full, step);
    if (signal.aborted) throw signal.reason;
    throw virtualDiskFault(error, root, path);
  }
}

/** Clears away what the making of a disk left; true where the disk was whole already, which stays. */
export async function undoStaged(full: string, { staging, placing = [] }: DiskStep): Promise<boolean> {
  const folder = dirname(full);
  const whole = placing.length > 0 && (await isThere(full));
  // Names that were free when they were written down: what stands under them is of this disk.
  if (!whole) for (const name of placing) if (name === basename(name)) await rm(join(folder, name), { force: true });
  if (isPartialName(staging)) await rm(join(folder, staging), { recursive: true, force: true });
  return whole;
}
