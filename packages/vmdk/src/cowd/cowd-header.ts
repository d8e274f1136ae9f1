import { VmdkError } from '../errors.ts';
import { sectorBytes } from '../size.ts';

/** Bytes of a COWD header. */
export const cowdHeaderBytes = 2048;

/** Entries of every COWD grain table; a table is 32 sectors. */
export const cowdTableEntries = 4096;

/**
 * Header of an ESX copy-on-write extent (Virtual Disk Format 5.0, "ESX Server Sparse Extents"); offsets and sizes in
 * sectors of 512 bytes.
 */
export interface CowdHeader {
  readonly version: number;
  readonly flags: number;
  readonly capacity: number;
  /** Sectors a grain: a power of two from 1 to 4096. */
  readonly grainSectors: number;
  readonly directoryOffset: number;
  readonly directoryEntries: number;
  /** First sector that no grain and no table has taken. */
  readonly freeSector: number;
  /** Name of the parent's extent that a child carries; undefined for a root. */
  readonly parentFileName?: string;
  /** Whether the last writer did not close it. */
  readonly unclean: boolean;
}

const magic = 'COWD';
const maximumGrainSectors = 4096;
const unionOffset = 32;
const parentNameBytes = 1024;
const uncleanOffset = 1648;

/** Whether these bytes begin like a COWD extent. */
export function isCowdHeader(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.subarray(0, 4)).toString('latin1') === magic;
}

/** Tables that a capacity needs. */
export function cowdTables(header: CowdHeader): number {
  return Math.ceil(header.capacity / (header.grainSectors * cowdTableEntries));
}

/** Reads 2048 bytes of header and checks every field that sizes an allocation or a read; `header-invalid`. */
export function parseCowdHeader(bytes: Buffer, file: string): CowdHeader {
  const invalid = (reason: string) => new VmdkError('header-invalid', { file, place: 'COWD header', reason });
  if (bytes.length < cowdHeaderBytes) throw invalid(`${bytes.length} bytes, not ${cowdHeaderBytes}`);
  if (!isCowdHeader(bytes)) throw new VmdkError('not-vmdk', { file, place: 'byte 0', reason: `no "${magic}"` });
  const parentFileName = parentName(bytes);
  const header: CowdHeader = {
    version: bytes.readUInt32LE(4),
    flags: bytes.readUInt32LE(8),
    capacity: bytes.readUInt32LE(12),
    grainSectors: bytes.readUInt32LE(16),
    directoryOffset: bytes.readUInt32LE(20),
    directoryEntries: bytes.readUInt32LE(24),
    freeSector: bytes.readUInt32LE(28),
    ...(parentFileName === undefined ? {} : { parentFileName }),
    unclean: bytes.readUInt32LE(uncleanOffset) !== 0,
  };
  if (header.version !== 1) throw invalid(`version ${header.version}`);
  if (header.capacity === 0) throw invalid('capacity of 0 sectors');
  const { grainSectors } = header;
  if (grainSectors < 1 || grainSectors > maximumGrainSectors || (grainSectors & (grainSectors - 1)) !== 0) {
    throw invalid(`grain of ${grainSectors} sectors, not a power of two from 1 to ${maximumGrainSectors}`);
  }
  if (header.directoryOffset * sectorBytes < cowdHeaderBytes) {
    throw invalid(`grain directory at sector ${header.directoryOffset}, within the header`);
  }
  if (header.directoryEntries < cowdTables(header)) {
    throw invalid(`${header.directoryEntries} grain directory entries where ${cowdTables(header)} are needed`);
  }
  return header;
}

/** The name of a child's parent stands where a root has its geometry, whose first number is never this large. */
function parentName(bytes: Buffer): string | undefined {
  const field = bytes.subarray(unionOffset, unionOffset + parentNameBytes);
  if (field[3] === 0) return undefined;
  const end = field.indexOf(0);
  return field.subarray(0, end < 0 ? field.length : end).toString('utf8');
}
