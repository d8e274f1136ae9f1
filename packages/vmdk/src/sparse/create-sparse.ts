import { open, rm } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { newContentId } from '../descriptor/content-id.ts';
import { type Descriptor, noParent } from '../descriptor/descriptor.ts';
import { buildDescriptor } from '../descriptor/descriptor-edit.ts';
import { encodeDescriptor } from '../descriptor/descriptor-encoding.ts';
import { syncFolder } from '../descriptor/descriptor-file.ts';
import { diskDatabase } from '../descriptor/disk-database.ts';
import type { AdapterType } from '../descriptor/geometry.ts';
import { fileError, VmdkError } from '../errors.ts';
import { capacityInSectors, roundUp, sectorBytes } from '../size.ts';
import { directoryEntries, formatSparseHeader, type SparseHeader, sparseFlags } from './sparse-header.ts';

const descriptorOffset = 1;
const descriptorSectors = 20;
const entriesPerTable = 512;
const tableSectors = 4;

export interface CreateSparseDiskOptions {
  readonly path: string;
  readonly virtualBytes: number;
  /** Power of two from 4096 to 2097152. Default 65536. */
  readonly grainBytes?: number;
  /** Default `lsilogic`. */
  readonly adapterType?: AdapterType;
  readonly hardwareVersion?: number;
  /** Default random. */
  readonly contentId?: number;
  /** Makes a child: what it does not store itself it reads from there. */
  readonly parent?: { readonly contentId: number; readonly fileNameHint: string };
}

/** Makes an empty monolithicSparse disk with both grain directories; `exists` when there is such a file. */
export async function createSparseDisk(options: CreateSparseDiskOptions): Promise<Descriptor> {
  const { path, virtualBytes } = options;
  const header = sparseLayout(capacityInSectors(virtualBytes, path), (options.grainBytes ?? 65536) / sectorBytes, path);
  const contentId = options.contentId ?? newContentId();
  const descriptor = buildDescriptor({
    createType: 'monolithicSparse',
    contentId,
    parentContentId: options.parent?.contentId ?? noParent,
    ...(options.parent ? { parentFileNameHint: options.parent.fileNameHint } : {}),
    extents: [{ access: 'RW', sectors: header.capacity, type: 'SPARSE', file: basename(path) }],
    ddb: diskDatabase({
      virtualBytes,
      adapterType: options.adapterType ?? 'lsilogic',
      contentId,
      ...(options.hardwareVersion === undefined ? {} : { hardwareVersion: options.hardwareVersion }),
    }),
  });
  const text = encodeDescriptor(descriptor, path);
  if (text.length > descriptorSectors * sectorBytes) {
    throw new VmdkError('too-large', { file: path, reason: `descriptor of ${text.length} bytes` });
  }
  let made = false;
  try {
    const handle = await open(path, 'wx');
    made = true;
    try {
      await handle.truncate(header.overheadSectors * sectorBytes);
      await handle.write(formatSparseHeader(header), 0, sectorBytes, 0);
      await handle.write(text, 0, text.length, descriptorOffset * sectorBytes);
      for (const sector of [header.redundantDirectoryOffset, header.directoryOffset as number]) {
        const directory = directoryAt(header, sector);
        await handle.write(directory, 0, directory.length, sector * sectorBytes);
      }
      await handle.sync();
    } finally {
      await handle.close();
    }
    await syncFolder(dirname(path));
  } catch (error) {
    if (made) await rm(path, { force: true });
    throw fileError(error, path);
  }
  return descriptor;
}

/** Header, descriptor, redundant directory with its tables, directory with its tables, then grains. */
function sparseLayout(capacity: number, grainSectors: number, file: string): SparseHeader {
  if (!Number.isInteger(Math.log2(grainSectors)) || grainSectors < 8 || grainSectors > 4096) {
    throw new VmdkError('size-invalid', { file, reason: `grains of ${grainSectors} sectors` });
  }
  const redundantDirectoryOffset = descriptorOffset + descriptorSectors;
  const header: SparseHeader = {
    version: 1,
    flags: sparseFlags.newlineTest | sparseFlags.redundantDirectory,
    capacity,
    grainSectors,
    descriptorOffset,
    descriptorSectors,
    entriesPerTable,
    redundantDirectoryOffset,
    directoryOffset: 0,
    overheadSectors: 0,
    unclean: false,
    compression: 0,
  };
  const directoryOffset = redundantDirectoryOffset + directoryBlockSectors(header);
  const overheadSectors = roundUp(directoryOffset + directoryBlockSectors(header), grainSectors);
  if (overheadSectors + capacity > 0xffffffff) {
    throw new VmdkError('size-invalid', {
      file,
      reason: `${capacity} sectors do not fit a hosted sparse disk (2 TiB)`,
    });
  }
  return { ...header, directoryOffset, overheadSectors };
}

function directorySectors(header: SparseHeader): number {
  return Math.ceil((directoryEntries(header) * 4) / sectorBytes);
}

function directoryBlockSectors(header: SparseHeader): number {
  return directorySectors(header) + directoryEntries(header) * tableSectors;
}

function directoryAt(header: SparseHeader, sector: number): Buffer {
  const directory = Buffer.alloc(directorySectors(header) * sectorBytes);
  const tables = sector + directorySectors(header);
  for (let index = 0; index < directoryEntries(header); index += 1) {
    directory.writeUInt32LE(tables + index * tableSectors, index * 4);
  }
  return directory;
}
