import { resolve } from 'node:path';
import { openLayers } from '../../disk/open-disk.ts';
import {
  type ConsolidateRecord,
  readRecord,
  removeRecord,
  unfinished,
  writeRecord,
} from '../../disk/operation-record.ts';
import { VmdkError } from '../../errors.ts';
import { findDescriptor } from '../files/disk-descriptor.ts';
import { diskFiles, removeFiles } from '../files/disk-files.ts';
import { openingOptions } from '../operation-options.ts';
import { findChildren } from './children.ts';
import { type MergeOptions, mergeIntoParent } from './merge-into-parent.ts';
import { namesParent } from './parent-link.ts';
import { rebaseDisk } from './rebase-disk.ts';

export interface ConsolidateOptions extends MergeOptions {
  /** Disk in the middle of a chain, or at its base, that is to go. */
  readonly path: string;
  /**
   * Where its data goes. `child`: up, into every known child; its parent stays as it is. `parent`: down, into its
   * parent, which must have no other child. Default `child`.
   */
  readonly into?: 'child' | 'parent';
}

/**
 * Takes a disk out of its chain, with the content of every known child kept, and removes it. `no-children` when none
 * is known: then it is the last, see `commitDisk`. Cut off or aborted in the middle all still read the same, and the
 * same call finishes it.
 */
export async function consolidateDisk(options: ConsolidateOptions): Promise<void> {
  const { path } = options;
  const found = await readRecord(path);
  const known = found === undefined ? await findChildren(path, options) : [];
  if (found === undefined && known.length === 0) {
    throw new VmdkError('no-children', { file: path, reason: 'none lies in its folder or those that were named' });
  }
  if (options.into === 'parent') await mergeIntoParent(path, known, options);
  else {
    if (found !== undefined && found.operation !== 'consolidate') throw unfinished(path, found);
    await mergeIntoChildren(path, found ?? (await begin(path, known, options)), options);
  }
}

async function begin(path: string, children: readonly string[], options: MergeOptions): Promise<ConsolidateRecord> {
  const layers = await openLayers(path, openingOptions(options));
  await Promise.all(layers.map(({ layer }) => layer.close()));
  const parent = layers[1]?.path;
  const record: ConsolidateRecord = {
    operation: 'consolidate',
    phase: 'begun',
    ...(parent === undefined ? {} : { parent: resolve(parent) }),
    children,
    files: await diskFiles(path, openingOptions(options)),
  };
  await writeRecord(path, record);
  return record;
}

/** Ends what failed at a child that still names the disk: nothing depends on the record then. */
async function giveUp(path: string, options: MergeOptions): Promise<void> {
  if ((await findChildren(path, options)).length > 0) await removeRecord(path);
}

async function mergeIntoChildren(path: string, record: ConsolidateRecord, options: MergeOptions): Promise<void> {
  const { children, parent } = record;
  const share = 1 / children.length;
  for (const [index, child] of record.phase === 'begun' ? children.entries() : []) {
    const { descriptor } = await findDescriptor(child);
    const pending = await readRecord(child);
    // One that was done before, or has another parent by now, needs it no more.
    if (!namesParent(descriptor, child, path) && pending === undefined) continue;
    const { onProgress } = options;
    const moved = rebaseDisk({
      path: child,
      ...(parent === undefined ? {} : { parent }),
      ...openingOptions(options),
      ...(options.signal ? { signal: options.signal } : {}),
      ...(onProgress
        ? {
            onProgress: ({ doneBytes, totalBytes }) =>
              onProgress({ doneBytes: Math.floor(totalBytes * index * share + doneBytes * share), totalBytes }),
          }
        : {}),
    });
    await moved.catch(async (error: unknown) => {
      await giveUp(path, options);
      throw error;
    });
  }
  if (record.phase === 'begun') await writeRecord(path, { ...record, phase: 'copied' });
  await removeFiles(path, record.files, openingOptions(options));
  await removeRecord(path);
}
