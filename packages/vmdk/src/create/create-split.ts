import { lstat, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { newContentId } from '../descriptor/content-id.ts';
import { type Descriptor, noParent } from '../descriptor/descriptor.ts';
import { buildDescriptor } from '../descriptor/descriptor-edit.ts';
import { syncFolder, writeDescriptor } from '../descriptor/descriptor-file.ts';
import { diskDatabase } from '../descriptor/disk-database.ts';
import type { AdapterType } from '../descriptor/geometry.ts';
import { VmdkError } from '../errors.ts';
import { type Allocation, createFlatExtent } from '../flat/create-flat-extent.ts';
import { capacityInSectors, sectorBytes } from '../size.ts';
import { type ParentReference, writeSparseExtent } from '../sparse/create-sparse.ts';
import { sparseLayout } from '../sparse/sparse-layout.ts';

/**
 * Sectors of every extent but the last: 2047 MiB, as in the example of Virtual Disk Format 5.0, so that even a full
 * sparse extent with its tables stays under the 2 GB that the kind is named for.
 */
export const splitSectors = 4192256;

/** As many extents as are opened. */
const maximumExtents = 4096;

export interface CreateSplitDiskOptions {
  readonly path: string;
  readonly kind: 'twoGbMaxExtentSparse' | 'twoGbMaxExtentFlat';
  readonly virtualBytes: number;
  readonly allocation?: Allocation;
  readonly grainBytes?: number;
  readonly zeroedGrains?: boolean;
  readonly adapterType?: AdapterType;
  readonly hardwareVersion?: number;
  readonly contentId?: number;
  readonly parent?: ParentReference;
  readonly ddb?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: { readonly doneBytes: number; readonly totalBytes: number }) => void;
}

/** Makes a disk in extents of at most 2047 MiB, `disk-s001.vmdk` or `disk-f001.vmdk` and on, descriptor last. */
export async function createSplitDisk(options: CreateSplitDiskOptions): Promise<Descriptor> {
  const { path, virtualBytes } = options;
  const capacity = capacityInSectors(virtualBytes, path);
  const count = Math.ceil(capacity / splitSectors);
  if (count > maximumExtents) throw new VmdkError('too-large', { file: path, reason: `it needs ${count} extents` });
  const sparse = options.kind === 'twoGbMaxExtentSparse';
  const stem = basename(path).replace(/\.vmdk$/i, '');
  const extents = Array.from({ length: count }, (_, index) => ({
    file: splitName(stem, options.kind, index),
    sectors: Math.min(splitSectors, capacity - index * splitSectors),
  }));
  const contentId = options.contentId ?? newContentId();
  const descriptor = buildDescriptor({
    createType: options.kind,
    contentId,
    parentContentId: options.parent?.contentId ?? noParent,
    ...(options.parent ? { parentFileNameHint: options.parent.fileNameHint } : {}),
    extents: extents.map(({ file, sectors }) => ({
      access: 'RW',
      sectors,
      file,
      ...(sparse ? { type: 'SPARSE' } : { type: 'FLAT', offset: 0 }),
    })),
    ddb: {
      ...diskDatabase({
        virtualBytes,
        adapterType: options.adapterType ?? 'lsilogic',
        contentId,
        ...(options.hardwareVersion === undefined ? {} : { hardwareVersion: options.hardwareVersion }),
      }),
      ...options.ddb,
    },
  });
  await expectNothing(path);
  const made: string[] = [];
  try {
    let done = 0;
    for (const { file, sectors } of extents) {
      options.signal?.throwIfAborted();
      const extentPath = join(dirname(path), file);
      await (sparse ? makeSparse(extentPath, sectors, options) : makeFlat(extentPath, sectors, done, options));
      made.push(extentPath);
      done += sectors * sectorBytes;
      options.onProgress?.({ doneBytes: done, totalBytes: virtualBytes });
    }
    await syncFolder(dirname(path));
    await writeDescriptor(path, descriptor);
  } catch (error) {
    for (const file of made) await rm(file, { force: true });
    throw error;
  }
  return descriptor;
}

/** File name of an extent, counted from 0. */
export function splitName(stem: string, kind: CreateSplitDiskOptions['kind'], index: number): string {
  return `${stem}-${kind === 'twoGbMaxExtentSparse' ? 's' : 'f'}${String(index + 1).padStart(3, '0')}.vmdk`;
}

async function makeSparse(path: string, capacity: number, options: CreateSplitDiskOptions): Promise<void> {
  const header = sparseLayout({
    capacity,
    grainBytes: options.grainBytes ?? 65536,
    descriptorSectors: 0,
    zeroedGrains: options.zeroedGrains ?? false,
    file: path,
  });
  await writeSparseExtent(path, header);
}

async function makeFlat(path: string, sectors: number, before: number, options: CreateSplitDiskOptions): Promise<void> {
  const { virtualBytes: totalBytes, allocation, signal, onProgress } = options;
  await createFlatExtent({
    path,
    virtualBytes: sectors * sectorBytes,
    ...(allocation ? { allocation } : {}),
    ...(signal ? { signal } : {}),
    ...(onProgress ? { onProgress: ({ doneBytes }) => onProgress({ doneBytes: before + doneBytes, totalBytes }) } : {}),
  });
}

/** Says that the name is taken before gigabytes are written. */
async function expectNothing(path: string): Promise<void> {
  const there = await lstat(path).catch(() => undefined);
  if (there) throw new VmdkError('exists', { file: path, reason: 'there is a file of this name' });
}
