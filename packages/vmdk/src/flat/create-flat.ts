import { open, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { newContentId } from '../descriptor/content-id.ts';
import type { Descriptor } from '../descriptor/descriptor.ts';
import { buildDescriptor } from '../descriptor/descriptor-edit.ts';
import { syncFolder, writeDescriptor } from '../descriptor/descriptor-file.ts';
import { diskDatabase } from '../descriptor/disk-database.ts';
import type { AdapterType } from '../descriptor/geometry.ts';
import { fileError } from '../errors.ts';
import { capacityInSectors } from '../size.ts';

export interface FlatDescriptorOptions {
  readonly virtualBytes: number;
  /** Name of the file with the bytes, in the descriptor's folder. */
  readonly flatName: string;
  /** `vmfs` as ESXi writes it, `monolithicFlat` as hosted products do. Default `vmfs`. */
  readonly createType?: 'vmfs' | 'monolithicFlat';
  /** Space is taken as it is written. Default true. */
  readonly thin?: boolean;
  /** Default `lsilogic`. */
  readonly adapterType?: AdapterType;
  /** Virtual hardware version. Default 13. */
  readonly hardwareVersion?: number;
  /** Default random. */
  readonly contentId?: number;
  /** More entries of the disk database, keys without the `ddb.` in front. */
  readonly ddb?: Readonly<Record<string, string>>;
}

/** Descriptor of a flat disk; `thin` sets `ddb.thinProvisioned`. */
export function flatDescriptor(options: FlatDescriptorOptions): Descriptor {
  const { virtualBytes } = options;
  const sectors = capacityInSectors(virtualBytes, options.flatName);
  const contentId = options.contentId ?? newContentId();
  const vmfs = (options.createType ?? 'vmfs') === 'vmfs';
  return buildDescriptor({
    createType: vmfs ? 'vmfs' : 'monolithicFlat',
    contentId,
    extents: [
      { access: 'RW', sectors, file: options.flatName, ...(vmfs ? { type: 'VMFS' } : { type: 'FLAT', offset: 0 }) },
    ],
    ddb: {
      ...diskDatabase({
        virtualBytes,
        adapterType: options.adapterType ?? 'lsilogic',
        contentId,
        thin: vmfs && (options.thin ?? true),
        ...(options.hardwareVersion === undefined ? {} : { hardwareVersion: options.hardwareVersion }),
      }),
      ...options.ddb,
    },
  });
}

/** Name of the file with a flat disk's bytes: `disk.vmdk` has `disk-flat.vmdk`. */
export function flatNameOf(descriptorPath: string): string {
  return `${basename(descriptorPath).replace(/\.vmdk$/i, '')}-flat.vmdk`;
}

export interface CreateFlatExtentOptions {
  readonly path: string;
  readonly virtualBytes: number;
  /** `thin`: one hole. `eager`: zeros written throughout. Default `thin`. */
  readonly allocation?: 'thin' | 'eager';
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: { readonly doneBytes: number; readonly totalBytes: number }) => void;
}

/** Makes the file with a flat disk's bytes; `exists` when there is one. It is gone again when it fails. */
export async function createFlatExtent(options: CreateFlatExtentOptions): Promise<void> {
  const { path, virtualBytes } = options;
  capacityInSectors(virtualBytes, path);
  let made = false;
  try {
    const handle = await open(path, 'wx');
    made = true;
    try {
      await handle.truncate(virtualBytes);
      if (options.allocation === 'eager') {
        const zeros = Buffer.alloc(2 ** 20);
        for (let done = 0; done < virtualBytes; ) {
          options.signal?.throwIfAborted();
          done += (await handle.write(zeros, 0, Math.min(zeros.length, virtualBytes - done), done)).bytesWritten;
          options.onProgress?.({ doneBytes: done, totalBytes: virtualBytes });
        }
      }
      await handle.sync();
    } finally {
      await handle.close();
    }
    await syncFolder(dirname(path));
  } catch (error) {
    if (made) await rm(path, { force: true });
    if (options.signal?.aborted) throw error;
    throw fileError(error, path);
  }
}

export interface CreateFlatDiskOptions extends Omit<FlatDescriptorOptions, 'flatName' | 'thin'> {
  /** Descriptor's path; the bytes lie beside it in `…-flat.vmdk`. */
  readonly path: string;
  readonly allocation?: 'thin' | 'eager';
  readonly signal?: AbortSignal;
  readonly onProgress?: CreateFlatExtentOptions['onProgress'];
}

/** Makes a flat disk, descriptor last; nothing stays when it fails, and nothing is overwritten (`exists`). */
export async function createFlatDisk(options: CreateFlatDiskOptions): Promise<Descriptor> {
  const { path, virtualBytes, allocation = 'thin', signal, onProgress, ...fields } = options;
  const flatName = flatNameOf(path);
  const flatPath = join(dirname(path), flatName);
  const descriptor = flatDescriptor({ ...fields, virtualBytes, flatName, thin: allocation === 'thin' });
  await createFlatExtent({
    path: flatPath,
    virtualBytes,
    allocation,
    ...(signal ? { signal } : {}),
    ...(onProgress ? { onProgress } : {}),
  });
  try {
    await writeDescriptor(path, descriptor);
  } catch (error) {
    await rm(flatPath, { force: true });
    throw error;
  }
  return descriptor;
}
