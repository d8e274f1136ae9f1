import { rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { DiskCopying } from '@hypostyle/contracts';
import {
  type AdapterType,
  flatDescriptor,
  flatNameOf,
  formatDiskUuid,
  thickenDisk,
  thinDisk,
  writeDescriptor,
} from '@hypostyle/vmdk';
import { chainLayers, type DiskChain } from './disk-chain.ts';

/** Room for a copied disk: taken as it is written, reserved, or filled with zeros. */
export type DiskAllocation = 'thin' | 'thick' | 'eager';

export interface CopyMachineDisk {
  readonly source: DiskChain;
  /** Absolute path of the new descriptor; its folder must exist, and neither of the disk's files. */
  readonly path: string;
  readonly allocation: DiskAllocation;
  readonly adapter: AdapterType;
  readonly hardwareVersion: number;
  /** UUID by which guests know the disk; a new one unless told, since a copy is another disk. */
  readonly uuid?: string | undefined;
  readonly images: DiskCopying;
  readonly signal: AbortSignal;
  /** Told how far it is, 0 to 1. */
  readonly onProgress?: (fraction: number) => void;
}

/**
 * Makes a flat disk that reads as another one with all that it lies on, descriptor last. Nothing stays when it fails.
 * Nobody may write the source meanwhile.
 */
export async function copyMachineDisk(copy: CopyMachineDisk): Promise<void> {
  const { source, path, allocation, images, signal, onProgress } = copy;
  const flatName = flatNameOf(path);
  const flat = join(dirname(path), flatName);
  try {
    await images.copyDisk({
      // The flat extent has every byte, whether or not changes of it are kept.
      layers: chainLayers(source).map(({ changesPath: _changes, ...layer }) => layer),
      path: flat,
      sparse: allocation === 'thin' && !source.thin,
      signal,
      onProgress: (fraction) => onProgress?.(allocation === 'thin' ? fraction : fraction * 0.8),
    });
    const descriptor = flatDescriptor({
      virtualBytes: source.capacityBytes,
      flatName,
      thin: allocation === 'thin',
      adapterType: copy.adapter,
      hardwareVersion: copy.hardwareVersion,
      ...(copy.uuid === undefined ? {} : { ddb: { uuid: formatDiskUuid(copy.uuid, path) } }),
    });
    await writeDescriptor(path, descriptor);
    if (allocation !== 'thin')
      await thickenDisk({
        path,
        allocation,
        signal,
        onProgress: ({ doneBytes, totalBytes }) => onProgress?.(0.8 + (0.2 * doneBytes) / Math.max(1, totalBytes)),
      });
  } catch (error) {
    for (const file of [path, flat]) await rm(file, { force: true });
    throw error;
  }
}

/**
 * Has a flat disk take its room as it is written, have it reserved, or filled with zeros. No byte of it changes, so it
 * may be cut off at any moment, and done again. Nobody may write the disk meanwhile.
 */
export async function changeDiskRoom(
  change: Pick<CopyMachineDisk, 'path' | 'allocation' | 'signal' | 'onProgress'>,
): Promise<void> {
  const { path, allocation, signal } = change;
  const onProgress = ({ doneBytes, totalBytes }: { doneBytes: number; totalBytes: number }) =>
    change.onProgress?.(doneBytes / Math.max(1, totalBytes));
  if (allocation === 'thin') await thinDisk({ path, signal, onProgress });
  else await thickenDisk({ path, allocation, signal, onProgress });
}

/** Bytes that the files of a disk take now. */
export async function storedBytes({ links }: DiskChain): Promise<number> {
  let bytes = 0;
  for (const { extentPaths, descriptorPath } of links)
    for (const path of extentPaths.length === 0 ? [descriptorPath] : extentPaths)
      bytes += (await stat(path)).blocks * 512;
  return bytes;
}
