import { rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { newContentId } from '../descriptor/content-id.ts';
import type { Descriptor } from '../descriptor/descriptor.ts';
import { buildDescriptor } from '../descriptor/descriptor-edit.ts';
import { writeDescriptor } from '../descriptor/descriptor-file.ts';
import { diskDatabase } from '../descriptor/disk-database.ts';
import type { AdapterType } from '../descriptor/geometry.ts';
import { capacityInSectors } from '../size.ts';
import { type Allocation, type CreateFlatExtentOptions, createFlatExtent } from './create-flat-extent.ts';

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

export interface CreateFlatDiskOptions extends Omit<FlatDescriptorOptions, 'flatName' | 'thin'> {
  /** Descriptor's path; the bytes lie beside it in `…-flat.vmdk`. */
  readonly path: string;
  /** Default `thin`. */
  readonly allocation?: Allocation;
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
