import { access, rename, rm } from 'node:fs/promises';
import { basename, dirname, relative } from 'node:path';
import { HypervisorError, type ImageTool, type RunningMachine } from '@hypostyle/contracts';
import {
  readDescriptor,
  type SettlingPlaces,
  settledDescriptor,
  settlingPlaces,
  withSettlingFlat,
  writeDescriptor,
} from '@hypostyle/vmdk';
import { syncFolder } from '../files/durable-rename.ts';
import { removeRecord } from './settle-record.ts';
import type { SettlingDisk } from './settling-disk.ts';

export interface FinishDisk {
  /** The machine's engine, while it has one. */
  readonly engine: () => RunningMachine | undefined;
  readonly images: ImageTool;
  /** Stops before the disk is a plain one; nothing is lost. */
  readonly signal: AbortSignal;
  /** 0 to 1. */
  readonly onProgress: (fraction: number) => void;
}

/** A disk to be made a plain one; JSON, so that it can be journaled. */
export type UnfinishedDisk = Pick<SettlingDisk, 'id' | 'descriptorPath' | 'files' | 'above'>;

/**
 * Makes a disk whose source is inflated a plain flat one: the flat file takes the source's place below the overlay, the
 * overlay is merged into it, and both go. For whoever has the machine to itself. Each step is found done when it is
 * made again, and so is the whole: a guest that stood still for it when its owner was killed goes on.
 */
export async function finishDisk(disk: UnfinishedDisk, options: FinishDisk): Promise<void> {
  const { descriptorPath, files } = disk;
  const places = await placesOf(descriptorPath);
  if (places !== undefined && places.flatName === undefined) await takeFlat(disk);
  if (!(await mergeLive(disk, options)) && places !== undefined) {
    const layers = [
      { format: 'qcow2', path: files.overlay },
      { format: 'raw', path: files.flat },
    ] as const;
    const { signal, onProgress } = options;
    await options.images.commit({ layers, signal, onProgress });
    await becomeFlat(disk);
    if (disk.above !== undefined) {
      const relativePath = relative(dirname(disk.above), files.flat);
      await options.images.setBacking({ path: disk.above, backing: { format: 'raw', path: files.flat, relativePath } });
    }
  }
  for (const path of [files.overlay, files.source, files.partial]) await rm(path, { force: true });
  await removeRecord(descriptorPath);
  await syncFolder(dirname(descriptorPath));
}

async function takeFlat({ descriptorPath, files }: UnfinishedDisk): Promise<void> {
  // A crash may have come between the two.
  if (await isThere(files.partial)) await rename(files.partial, files.flat);
  await syncFolder(dirname(descriptorPath));
  const descriptor = await readDescriptor(descriptorPath);
  await writeDescriptor(descriptorPath, withSettlingFlat(descriptor, basename(files.flat)), { replace: true });
}

/** Written from what is there now: its content id is another since, where the machine was started meanwhile. */
async function becomeFlat({ descriptorPath, files }: UnfinishedDisk): Promise<void> {
  if ((await placesOf(descriptorPath)) === undefined) return;
  const descriptor = await readDescriptor(descriptorPath);
  await writeDescriptor(descriptorPath, settledDescriptor(descriptor, basename(files.flat)), { replace: true });
}

async function placesOf(descriptorPath: string): Promise<SettlingPlaces | undefined> {
  return settlingPlaces(await readDescriptor(descriptorPath), descriptorPath);
}

/** Merges under a machine that runs. False: none runs, or its engine ended meanwhile. */
async function mergeLive(disk: UnfinishedDisk, options: FinishDisk): Promise<boolean> {
  const engine = options.engine();
  if (engine === undefined || engine.state === 'stopped') return false;
  const { id: diskId, files } = disk;
  try {
    const backing = { format: 'raw', path: files.flat } as const;
    if ((await placesOf(disk.descriptorPath)) !== undefined) {
      await engine.replaceBacking({ diskId, path: files.overlay, former: files.source, backing });
    }
    await engine.commitLayer({
      jobId: `settle-${diskId}`,
      diskId,
      path: files.overlay,
      into: files.flat,
      backingName: disk.above === undefined ? basename(files.flat) : relative(dirname(disk.above), files.flat),
      signal: options.signal,
      onProgress: options.onProgress,
      onMerged: () => becomeFlat(disk),
    });
    return true;
  } catch (error) {
    if (error instanceof HypervisorError && error.code === 'not-running') return false;
    throw error;
  }
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
