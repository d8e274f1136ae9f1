import { link, open, rm } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { newContentId } from '../descriptor/content-id.ts';
import { type Descriptor, noParent } from '../descriptor/descriptor.ts';
import { buildDescriptor } from '../descriptor/descriptor-edit.ts';
import { encodeDescriptor } from '../descriptor/descriptor-encoding.ts';
import { syncFolder, temporaryBeside } from '../descriptor/descriptor-file.ts';
import { diskDatabase } from '../descriptor/disk-database.ts';
import type { AdapterType } from '../descriptor/geometry.ts';
import { fileError, VmdkError } from '../errors.ts';
import { capacityInSectors, sectorBytes } from '../size.ts';
import { formatSparseHeader, type SparseHeader } from './sparse-header.ts';
import { directoryAt, sparseLayout } from './sparse-layout.ts';

/** Room for an embedded descriptor, as every maker leaves it. */
const descriptorSectors = 20;

/** A disk that a child reads what it does not store itself from. */
export interface ParentReference {
  /** CID of the parent now. */
  readonly contentId: number;
  /** Parent's descriptor, relative to the child's folder. */
  readonly fileNameHint: string;
}

export interface CreateSparseDiskOptions {
  readonly path: string;
  readonly virtualBytes: number;
  /** Power of two from 4096, which not every tool reads, to 2097152. Default 65536. */
  readonly grainBytes?: number;
  /** Lets a grain be marked as zeros without room of its own (header version 2). Default false. */
  readonly zeroedGrains?: boolean;
  /** Default `lsilogic`. */
  readonly adapterType?: AdapterType;
  readonly hardwareVersion?: number;
  /** Default random. */
  readonly contentId?: number;
  readonly parent?: ParentReference;
  /** More entries of the disk database, keys without the `ddb.` in front. */
  readonly ddb?: Readonly<Record<string, string>>;
}

/**
 * Makes an empty monolithicSparse disk with both grain directories; `exists` when there is such a file. The name
 * appears when all of it is written.
 */
export async function createSparseDisk(options: CreateSparseDiskOptions): Promise<Descriptor> {
  const { path, virtualBytes } = options;
  const header = sparseLayout({
    capacity: capacityInSectors(virtualBytes, path),
    grainBytes: options.grainBytes ?? 65536,
    descriptorSectors,
    zeroedGrains: options.zeroedGrains ?? false,
    file: path,
  });
  const contentId = options.contentId ?? newContentId();
  const descriptor = buildDescriptor({
    createType: 'monolithicSparse',
    contentId,
    parentContentId: options.parent?.contentId ?? noParent,
    ...(options.parent ? { parentFileNameHint: options.parent.fileNameHint } : {}),
    extents: [{ access: 'RW', sectors: header.capacity, type: 'SPARSE', file: basename(path) }],
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
  const text = encodeDescriptor(descriptor, path);
  if (text.length > descriptorSectors * sectorBytes) {
    throw new VmdkError('too-large', { file: path, reason: `descriptor of ${text.length} bytes` });
  }
  const temporary = temporaryBeside(path);
  try {
    await writeSparseExtent(temporary, header, text);
    await link(temporary, path);
    await syncFolder(dirname(path));
  } catch (error) {
    throw fileError(error, path);
  } finally {
    await rm(temporary, { force: true });
  }
  return descriptor;
}

/** Makes an empty sparse extent, durably; `exists` when there is such a file, and it is gone again when it fails. */
export async function writeSparseExtent(path: string, header: SparseHeader, descriptor?: Uint8Array): Promise<void> {
  let made = false;
  try {
    const handle = await open(path, 'wx');
    made = true;
    try {
      await handle.truncate(header.overheadSectors * sectorBytes);
      await handle.write(formatSparseHeader(header), 0, sectorBytes, 0);
      if (descriptor) await handle.write(descriptor, 0, descriptor.length, header.descriptorOffset * sectorBytes);
      for (const sector of [header.redundantDirectoryOffset, header.directoryOffset as number]) {
        const directory = directoryAt(header, sector);
        await handle.write(directory, 0, directory.length, sector * sectorBytes);
      }
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (made) await rm(path, { force: true });
    throw fileError(error, path);
  }
}
