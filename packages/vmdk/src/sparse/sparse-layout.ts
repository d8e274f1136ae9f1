import { VmdkError } from '../errors.ts';
import { roundUp, sectorBytes } from '../size.ts';
import { directoryEntries, type SparseHeader, sparseFlags } from './sparse-header.ts';

const entriesPerTable = 512;
const tableSectors = 4;

export interface SparseLayoutOptions {
  /** Sectors. */
  readonly capacity: number;
  /** Power of two from 4096 to 2097152. */
  readonly grainBytes: number;
  /** Room for an embedded descriptor; 0 where the descriptor is a file of its own. */
  readonly descriptorSectors: number;
  readonly zeroedGrains: boolean;
  /** Name for messages. */
  readonly file: string;
}

/**
 * Header of a new sparse extent: descriptor, redundant directory with its tables, directory with its tables, all of it
 * padded to a whole grain, then grains (Virtual Disk Format 5.0, "Hosted Sparse Extents").
 */
export function sparseLayout(options: SparseLayoutOptions): SparseHeader {
  const { capacity, descriptorSectors, file } = options;
  const grainSectors = options.grainBytes / sectorBytes;
  if (!Number.isInteger(Math.log2(grainSectors)) || grainSectors < 8 || grainSectors > 4096) {
    throw new VmdkError('size-invalid', { file, reason: `grains of ${options.grainBytes} bytes` });
  }
  const redundantDirectoryOffset = 1 + descriptorSectors;
  const header: SparseHeader = {
    version: options.zeroedGrains ? 2 : 1,
    flags:
      sparseFlags.newlineTest | sparseFlags.redundantDirectory | (options.zeroedGrains ? sparseFlags.zeroedGrains : 0),
    capacity,
    grainSectors,
    // The specification wants 0 in every extent whose descriptor is a file of its own.
    descriptorOffset: descriptorSectors > 0 ? 1 : 0,
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
  if (overheadSectors + roundUp(capacity, grainSectors) > 0xffffffff) {
    throw new VmdkError('size-invalid', {
      file,
      reason: `${capacity} sectors do not fit a hosted sparse extent (2 TiB)`,
    });
  }
  return { ...header, directoryOffset, overheadSectors };
}

/** Where both directories belong. */
export interface DirectoryPlaces {
  readonly first: number;
  readonly copy: number;
}

/**
 * Where both directories of an extent belong when it is laid out as every maker does; undefined when the rest of its
 * header tells of another layout.
 */
export function usualPlaces(header: SparseHeader): DirectoryPlaces | undefined {
  if (!(header.flags & sparseFlags.redundantDirectory) || header.entriesPerTable !== entriesPerTable) return undefined;
  const copy = header.descriptorOffset === 0 ? 1 : header.descriptorOffset + header.descriptorSectors;
  const first = copy + directoryBlockSectors(header);
  const end = roundUp(first + directoryBlockSectors(header), header.grainSectors);
  return end === header.overheadSectors ? { first, copy } : undefined;
}

/** Sector of a table in that layout: right behind its directory, one after another. */
export function usualTableSector(header: SparseHeader, directorySector: number, index: number): number {
  return directorySector + directorySectors(header) + index * tableSectors;
}

function directorySectors(header: SparseHeader): number {
  return Math.ceil((directoryEntries(header) * 4) / sectorBytes);
}

function directoryBlockSectors(header: SparseHeader): number {
  return directorySectors(header) + directoryEntries(header) * tableSectors;
}

/** Bytes of an empty directory at a sector; its tables follow it. */
export function directoryAt(header: SparseHeader, sector: number): Buffer {
  const directory = Buffer.alloc(directorySectors(header) * sectorBytes);
  const tables = sector + directorySectors(header);
  for (let index = 0; index < directoryEntries(header); index += 1) {
    directory.writeUInt32LE(tables + index * tableSectors, index * 4);
  }
  return directory;
}
