import { rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { syncFolder } from '../../descriptor/descriptor-file.ts';
import { resolveReference } from '../../descriptor/extent-path.ts';
import { fileError, VmdkError } from '../../errors.ts';
import { FileWindow } from '../../file-window.ts';
import { sectorBytes } from '../../size.ts';
import { isSparseHeader, parseSparseHeader, uncleanOffset } from '../../sparse/sparse-header.ts';
import type { OperationOptions } from '../operation-options.ts';
import { findDescriptor } from './disk-descriptor.ts';

type Allowing = Pick<OperationOptions, 'allowOutside'>;

/** A file with the bytes of one extent, and its place in the descriptor's list. */
export interface ExtentFile {
  readonly path: string;
  readonly index: number;
}

/** Files with a disk's extents, in order. Absolute paths. */
export async function extentFiles(path: string, options: Allowing = {}): Promise<ExtentFile[]> {
  const { descriptor, header } = await findDescriptor(path);
  if (header) return [{ path: resolve(path), index: 0 }];
  return descriptor.extents.flatMap((extent, index) => {
    if (extent.file === undefined) return [];
    const reference = { kind: 'extent', from: path, ...options } as const;
    return [{ path: resolveReference(resolve(dirname(path)), extent.file, reference), index }];
  });
}

/** Every file of a disk, the one with its descriptor first. Absolute paths. */
export async function diskFiles(path: string, options: Allowing = {}): Promise<string[]> {
  const extents = await extentFiles(path, options);
  return [...new Set([resolve(path), ...extents.map((extent) => extent.path)])];
}

/** Removes files of a disk in that order; those that are gone already are no failure. */
export async function removeFiles(path: string, files: readonly string[], options: Allowing = {}): Promise<void> {
  const folder = resolve(dirname(path));
  for (const file of files) {
    const inside = dirname(file) === folder || options.allowOutside?.({ path: file, kind: 'extent', from: path });
    if (!inside) throw new VmdkError('outside-folder', { file: path, reason: `${file} is not removed` });
    try {
      await rm(file, { force: true });
    } catch (error) {
      throw fileError(error, file);
    }
  }
  await syncFolder(folder);
}

/** Refuses a disk that somebody has open for writing, or that was not closed: `unclean`. Only sparse ones tell. */
export async function refuseUnclean(path: string, options: Allowing = {}): Promise<void> {
  for (const { file } of await uncleanExtents(path, options)) {
    throw new VmdkError('unclean', { file, reason: 'its last writer did not close it' });
  }
}

/**
 * Takes the unclean mark off the extents of a disk that an operation of ours was killed on. The order of our writes
 * (grain, redundant table, table) leaves nothing worse than an unused grain at any moment.
 */
export async function settleUnclean(path: string, options: Allowing = {}): Promise<void> {
  for (const { file } of await uncleanExtents(path, options)) {
    const extent = await FileWindow.open(file, { writable: true });
    try {
      await extent.write(Uint8Array.of(0), uncleanOffset);
      await extent.sync();
    } finally {
      await extent.close();
    }
  }
}

async function uncleanExtents(path: string, options: Allowing): Promise<{ readonly file: string }[]> {
  const unclean: { file: string }[] = [];
  for (const { path: file } of await extentFiles(path, options)) {
    const extent = await FileWindow.open(file, { missing: 'extent-missing' });
    try {
      const head = await extent.read(0, Math.min(sectorBytes, extent.bytes));
      if (isSparseHeader(head) && parseSparseHeader(head, file).unclean) unclean.push({ file });
    } finally {
      await extent.close();
    }
  }
  return unclean;
}
