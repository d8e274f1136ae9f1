import { lstat, rename } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { syncFolder } from '../../descriptor/descriptor-file.ts';
import { readRecord, unfinished } from '../../disk/operation-record.ts';
import { fileError, VmdkError } from '../../errors.ts';
import { changeImagesOf } from '../../flat/change-image.ts';
import { type ChildrenOptions, refuseChildren } from '../chain/children.ts';
import type { OperationOptions } from '../operation-options.ts';
import { diskFiles, removeFiles } from './disk-files.ts';

export interface DeleteDiskOptions extends Pick<OperationOptions, 'allowOutside'>, ChildrenOptions {
  /** Deletes what is there of a disk whose extents are not all there. Default: `extent-missing` with the file. */
  readonly incomplete?: boolean;
  /** Deletes a disk that others are made on; they cannot be read any more. Default: `has-children`. */
  readonly orphanChildren?: boolean;
}

/**
 * Deletes a disk with all its extents. Its descriptor goes out of sight first, so that nobody finds half a disk; the
 * same call made again finishes what a kill cut off.
 */
export async function deleteDisk(path: string, options: DeleteDiskOptions = {}): Promise<void> {
  const allowing = options.allowOutside ? { allowOutside: options.allowOutside } : {};
  const hidden = join(dirname(path), `.${basename(path)}.deleted`);
  const there = await exists(path);
  if (await exists(hidden)) {
    // A disk that was made since under the same name keeps its files.
    const mine = there ? new Set(await diskFiles(path, allowing)) : new Set<string>();
    await removeHidden(hidden, path, mine, allowing);
    if (!there) return;
  }
  const record = await readRecord(path);
  if (record) throw unfinished(path, record);
  const files = await diskFiles(path, allowing);
  if (!options.orphanChildren) await refuseChildren(path, options);
  for (const file of options.incomplete ? [] : files) {
    if (await exists(file)) continue;
    throw new VmdkError('extent-missing', { file: path, reason: `${file} does not exist` });
  }
  try {
    await rename(path, hidden);
    await syncFolder(dirname(path));
  } catch (error) {
    throw fileError(error, path);
  }
  await removeHidden(hidden, path, new Set(), allowing);
}

/** Removes the extents that a hidden descriptor names, and it as the last. */
async function removeHidden(
  hidden: string,
  path: string,
  keep: ReadonlySet<string>,
  options: Pick<OperationOptions, 'allowOutside'>,
): Promise<void> {
  const files = (await diskFiles(hidden, options)).filter((file) => file !== resolve(hidden) && !keep.has(file));
  // What is kept of its changes goes with it.
  await removeFiles(path, [...changeImagesOf(files), ...files, resolve(hidden)], options);
}

async function exists(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined)) !== undefined;
}
