import { dirname, join } from 'node:path';
import { type AdapterType, createFlatDisk, flatNameOf, formatDiskUuid } from '@hypostyle/vmdk';
import type { DatastoreRoot } from '../files/datastore-root.ts';
import { diskFault } from './disk-faults.ts';

export interface CreateMachineDisk {
  readonly root: DatastoreRoot;
  /** Path of the descriptor in the datastore; its folder must exist. */
  readonly path: string;
  readonly capacityBytes: number;
  readonly allocation: 'thin' | 'thick' | 'eager';
  readonly adapter: AdapterType;
  readonly hardwareVersion: number;
  /** UUID by which the guest knows the disk; a new one unless told. */
  readonly uuid?: string | undefined;
  readonly signal: AbortSignal;
  /** Told how far it is, 0 to 1. */
  readonly onProgress?: (fraction: number) => void;
}

/** Makes an empty flat disk as machines use them; answers the absolute paths of its files. Throws the faults of files. */
export async function createMachineDisk(disk: CreateMachineDisk): Promise<string[]> {
  const path = join(disk.root.directory, disk.path);
  try {
    await createFlatDisk({
      path,
      virtualBytes: disk.capacityBytes,
      allocation: disk.allocation,
      adapterType: disk.adapter,
      hardwareVersion: disk.hardwareVersion,
      ...(disk.uuid === undefined ? {} : { ddb: { uuid: formatDiskUuid(disk.uuid, path) } }),
      signal: disk.signal,
      onProgress: ({ doneBytes, totalBytes }) => disk.onProgress?.(doneBytes / totalBytes),
    });
  } catch (error) {
    if (disk.signal.aborted) throw disk.signal.reason;
    throw diskFault(error, disk.root, disk.path);
  }
  return machineDiskFiles(disk.root, disk.path);
}

/** Absolute paths of the files that a disk made there has. */
export function machineDiskFiles(root: DatastoreRoot, path: string): string[] {
  const descriptor = join(root.directory, path);
  return [descriptor, join(dirname(descriptor), flatNameOf(descriptor))];
}
