import { VmdkError } from '../errors.ts';
import { isZero, maximumVirtualBytes, sectorBytes } from '../size.ts';

/** Where a part of a seSparse file lies, in sectors of 512 bytes. */
export interface SesparsePart {
  readonly offset: number;
  readonly size: number;
}

/** Constant header of a seSparse extent. The format is not published; QEMU reads it by these rules. */
export interface SesparseHeader {
  /** Sectors. */
  readonly capacity: number;
  readonly volatileHeader: SesparsePart;
  readonly directory: SesparsePart;
  readonly tables: SesparsePart;
  readonly grains: SesparsePart;
}

/** Sectors a grain. */
export const sesparseGrainSectors = 8;
/** Sectors a grain table, 8 bytes an entry. */
export const sesparseTableSectors = 64;
export const sesparseTableEntries = (sesparseTableSectors * sectorBytes) / 8;

const constantMagic = 0xcafebaben;
const volatileMagic = 0xcafecafen;
const version = 0x200000001n;
const constantWords = 26;

/** Whether these bytes begin like a seSparse extent. */
export function isSesparseHeader(bytes: Uint8Array): boolean {
  const magic = Buffer.from(bytes.subarray(0, 4));
  return magic.length === 4 && magic.readUInt32LE(0) === Number(constantMagic);
}

/** Tables that a capacity needs. */
export function sesparseTables(header: SesparseHeader): number {
  return Math.ceil(header.capacity / (sesparseGrainSectors * sesparseTableEntries));
}

/** Reads the 512 bytes of the constant header; whatever is not as it is known to be is `header-invalid`. */
export function parseSesparseHeader(bytes: Buffer, file: string): SesparseHeader {
  const invalid = (reason: string) => new VmdkError('header-invalid', { file, place: 'seSparse header', reason });
  if (bytes.length < sectorBytes) throw invalid(`${bytes.length} bytes, not ${sectorBytes}`);
  const word = (index: number) => bytes.readBigUInt64LE(index * 8);
  if (word(0) !== constantMagic) throw new VmdkError('not-vmdk', { file, place: 'byte 0', reason: 'no seSparse mark' });
  if (word(1) !== version) throw invalid(`version ${word(1).toString(16)}`);
  if (word(3) !== BigInt(sesparseGrainSectors)) throw invalid(`grain of ${word(3)} sectors`);
  if (word(4) !== BigInt(sesparseTableSectors)) throw invalid(`grain table of ${word(4)} sectors`);
  if (word(5) !== 0n) throw invalid(`flags ${word(5).toString(16)}`);
  if ([6, 7, 8, 9].some((index) => word(index) !== 0n) || !isZero(bytes.subarray(constantWords * 8, sectorBytes))) {
    throw invalid('reserved fields are not zero');
  }
  const sectors = (index: number, name: string) => {
    const value = word(index);
    if (value > BigInt((2 * maximumVirtualBytes) / sectorBytes)) throw invalid(`${name} of ${value} sectors`);
    return Number(value);
  };
  const part = (index: number, name: string) => ({
    offset: sectors(index, `${name} offset`),
    size: sectors(index + 1, `${name} size`),
  });
  const header: SesparseHeader = {
    capacity: sectors(2, 'capacity'),
    volatileHeader: part(10, 'volatile header'),
    directory: part(16, 'grain directory'),
    tables: part(18, 'grain tables'),
    grains: part(24, 'grains'),
  };
  if (header.capacity === 0 || header.capacity > maximumVirtualBytes / sectorBytes) {
    throw invalid(`capacity of ${header.capacity} sectors`);
  }
  if (header.directory.size * sectorBytes < sesparseTables(header) * 8) {
    throw invalid(
      `grain directory of ${header.directory.size} sectors where ${sesparseTables(header)} tables are needed`,
    );
  }
  return header;
}

/**
 * Checks the 512 bytes of the volatile header: `unclean` when the journal holds changes that are not in the tables yet.
 */
export function checkVolatileHeader(bytes: Buffer, file: string): void {
  const invalid = (reason: string) => new VmdkError('header-invalid', { file, place: 'volatile header', reason });
  if (bytes.length < sectorBytes) throw invalid(`${bytes.length} bytes, not ${sectorBytes}`);
  const magic = bytes.readBigUInt64LE(0);
  if (magic !== volatileMagic) throw invalid(`it begins with ${magic.toString(16)}`);
  if (bytes.readBigUInt64LE(24) !== 0n) {
    const reason = 'its journal is not replayed; power the machine on and off on ESXi, or consolidate the disk there';
    throw new VmdkError('unclean', { file, place: 'volatile header', reason });
  }
  if (!isZero(bytes.subarray(32, sectorBytes))) throw invalid('reserved fields are not zero');
}
