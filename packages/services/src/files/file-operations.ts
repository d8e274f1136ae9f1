import { mkdir, rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { DiskCopying } from '@hypostyle/contracts';
import { VimFault } from '@hypostyle/vim';
import { faults, fileFault, systemCode } from '../errors.ts';
import { findEntry } from './datastore-index.ts';
import { splitPath } from './datastore-path.ts';
import { type DatastoreRoot, resolveInRoot, shownPath } from './datastore-root.ts';
import { renameNew, renameOver, syncFolder } from './durable-rename.ts';
import { copyTo, storedBytesOf } from './file-copy.ts';
import { type BusyCheck, checkIdle, deleteFile } from './file-removal.ts';
import { checkOrdinaryPath } from './file-upload.ts';
import { checkFreeSpace } from './free-space.ts';
import { partialName } from './hidden-names.ts';

/** A file or folder of a datastore. */
export interface FilePlace {
  readonly root: DatastoreRoot;
  readonly path: string;
}

export interface TransferOptions {
  /** Take the place of a file that is there; never of a folder. */
  readonly force: boolean;
  readonly isBusy: BusyCheck;
  /** Says whether a file changes while it is read: it is not copied. Default: none does. */
  readonly isWritten?: BusyCheck;
  /** Copies large files without passing their bytes through this process. */
  readonly images?: DiskCopying;
  readonly signal: AbortSignal;
  /** Told how far a copy is, 0 to 1. */
  readonly onProgress?: (fraction: number) => void;
  /** Of a move that had to copy: the copy is whole, and what was copied is deleted next. */
  readonly onCopied?: () => Promise<void>;
}

/** FileManager.MakeDirectory. Throws FileAlreadyExists, and FileNotFound without its parents unless `createParents`. */
export async function makeDirectory({ root, path }: FilePlace, createParents: boolean): Promise<void> {
  checkOrdinaryPath(root, path);
  const { folder } = splitPath(path);
  if (createParents && folder !== '') {
    const there = await entryOrNone(root, folder);
    if (there === undefined) await makeDirectory({ root, path: folder }, true);
    else if (there.kind !== 'folder') throw faults.notADirectory(shownPath(root, folder));
  }
  const full = await resolveInRoot(root, path);
  try {
    await mkdir(full);
    await syncFolder(dirname(full));
  } catch (error) {
    throw fileFault(error, shownPath(root, path), root.name);
  }
}

/** Makes the folders of a path that are not there. Answers those that it made, the deepest first. */
export async function makeMissingFolders(root: DatastoreRoot, path: string): Promise<string[]> {
  if (path === '') return [];
  checkOrdinaryPath(root, path);
  const there = await entryOrNone(root, path);
  if (there?.kind === 'folder') return [];
  if (there !== undefined) throw faults.notADirectory(shownPath(root, path));
  const made = await makeMissingFolders(root, splitPath(path).folder);
  try {
    await makeDirectory({ root, path }, false);
  } catch (error) {
    // Another upload made it meanwhile.
    if (error instanceof VimFault && error.type === 'FileAlreadyExists') return made;
    throw error;
  }
  return [path, ...made];
}

/** Removes folders that nobody has put anything into. */
export async function removeEmptyFolders(root: DatastoreRoot, paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    const full = await resolveInRoot(root, path).catch(() => undefined);
    if (full !== undefined) await rmdir(full).catch(() => {});
  }
}

/**
 * FileManager.CopyDatastoreFile: files, and folders with all that is in them. What failed or was stopped leaves nothing.
 * Throws FileLocked for what is written meanwhile.
 */
export async function copyFile(source: FilePlace, target: FilePlace, options: TransferOptions): Promise<void> {
  const kind = await checkTransfer(source, target, options);
  if (options.isWritten !== undefined) await checkIdle(source.root, source.path, options.isWritten);
  await place(source, target, kind, options);
}

/** FileManager.MoveDatastoreFile: a rename within a datastore; between two a copy, and then a deletion. */
export async function moveFile(source: FilePlace, target: FilePlace, options: TransferOptions): Promise<void> {
  const kind = await checkTransfer(source, target, options);
  await checkIdle(source.root, source.path, options.isBusy);
  const from = await resolveInRoot(source.root, source.path);
  const to = await resolveInRoot(target.root, target.path);
  try {
    if (options.force && kind === 'file') await renameOver(from, to);
    else await renameNew(from, to, kind);
    await syncFolder(dirname(from));
  } catch (error) {
    if (systemCode(error) !== 'EXDEV') throw fileFault(error, shownPath(target.root, target.path), target.root.name);
    await place(source, target, kind, options);
    await options.onCopied?.();
    await deleteFile(source.root, source.path, options.isBusy);
  }
}

/** Checks both ends; answers what the source is. */
async function checkTransfer(
  source: FilePlace,
  target: FilePlace,
  { force, isBusy }: TransferOptions,
): Promise<'file' | 'folder'> {
  checkOrdinaryPath(source.root, source.path);
  checkOrdinaryPath(target.root, target.path);
  const entry = await findEntry(source.root, source.path);
  if (entry === undefined) throw faults.notFound(shownPath(source.root, source.path));
  const shown = shownPath(target.root, target.path);
  const same = (await resolveInRoot(source.root, '')) === (await resolveInRoot(target.root, ''));
  if (same && `${target.path}/`.startsWith(`${source.path}/`)) {
    throw faults.invalidPath(shown, 'it is the source itself, or lies in it');
  }
  const there = await findEntry(target.root, target.path);
  if (there !== undefined) {
    if (!force || there.kind === 'folder' || entry.kind === 'folder') throw faults.exists(shown);
    if (await isBusy(target.root, target.path)) throw faults.locked(shown);
  }
  return entry.kind;
}

/** Copies under a hidden name, then renames. */
async function place(
  source: FilePlace,
  target: FilePlace,
  kind: 'file' | 'folder',
  { force, signal, images, onProgress }: TransferOptions,
): Promise<void> {
  const to = await resolveInRoot(target.root, target.path);
  const partial = join(dirname(to), partialName());
  try {
    const total = Math.max(1, await storedBytesOf(source.root, source.path));
    let done = 0;
    await checkFreeSpace(target.root, target.path, total);
    await copyTo(source.root, source.path, partial, {
      signal,
      ...(images === undefined ? {} : { images }),
      onBytes: (bytes) => {
        done += bytes;
        onProgress?.(Math.min(1, done / total));
      },
    });
    if (force && kind === 'file') await renameOver(partial, to);
    else await renameNew(partial, to, kind);
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    if (signal.aborted) throw signal.reason;
    throw fileFault(error, shownPath(target.root, target.path), target.root.name);
  }
}

async function entryOrNone(root: DatastoreRoot, path: string) {
  try {
    return await findEntry(root, path);
  } catch (error) {
    if (fileFault(error, path, root.name).type === 'FileNotFound') return undefined;
    throw error;
  }
}
