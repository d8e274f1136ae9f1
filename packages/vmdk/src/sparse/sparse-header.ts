import { VmdkError } from '../errors.ts';
import { maximumVirtualBytes, sectorBytes } from '../size.ts';

/** Flags of a sparse header (Virtual Disk Format 5.0, "Hosted Sparse Extent Header"). */
export const sparseFlags = {
  newlineTest: 0x1,
  redundantDirectory: 0x2,
  zeroedGrains: 0x4,
  compressed: 0x10000,
  markers: 0x20000,
} as const;

/** Header of a hosted sparse extent; offsets and sizes in sectors of 512 bytes. */
export interface SparseHeader {
  /** 1, 2 or 3. */
  readonly version: number;
  readonly flags: number;
  readonly capacity: number;
  /** Sectors a grain: a power of two from 8 to 4096. */
  readonly grainSectors: number;
  readonly descriptorOffset: number;
  readonly descriptorSectors: number;
  /** Grain table entries a table, 1 to 512. */
  readonly entriesPerTable: number;
  readonly redundantDirectoryOffset: number;
  /** `at-end`: the true header is the footer, 1024 bytes before the end. */
  readonly directoryOffset: number | 'at-end';
  readonly overheadSectors: number;
  readonly unclean: boolean;
  /** 0 none, 1 deflate. */
  readonly compression: number;
}

const magic = 'KDMV';
const directoryAtEnd = 0xffffffffffffffffn;
const maximumDirectoryEntries = 2 ** 22;
const maximumGrainSectors = 4096;
/** Byte of the header that is 1 while a writer has the extent open. */
export const uncleanOffset = 72;
const newlines = Buffer.from('\n \r\n', 'latin1');

/** Whether these bytes begin like a hosted sparse extent. */
export function isSparseHeader(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.subarray(0, 4)).toString('latin1') === magic;
}

/**
 * Reads 512 bytes of header and checks every field that sizes an allocation or a read. Throws `not-vmdk`,
 * `header-corrupted` (line ends rewritten by a text-mode transfer) or `header-invalid`.
 */
export function parseSparseHeader(bytes: Buffer, file: string): SparseHeader {
  const invalid = (reason: string) => new VmdkError('header-invalid', { file, place: 'sparse header', reason });
  if (bytes.length < sectorBytes) throw invalid(`${bytes.length} bytes, not ${sectorBytes}`);
  if (!isSparseHeader(bytes)) throw new VmdkError('not-vmdk', { file, place: 'byte 0', reason: `no "${magic}"` });
  const flags = bytes.readUInt32LE(8);
  if (flags & sparseFlags.newlineTest && !bytes.subarray(73, 77).equals(newlines)) {
    const reason = `${newlineDamage(bytes)}; copy it again in binary mode`;
    throw new VmdkError('header-corrupted', { file, place: 'byte 73', reason });
  }
  const sectorsAt = (offset: number, name: string) => {
    const value = bytes.readBigUInt64LE(offset);
    if (value > BigInt(maximumVirtualBytes / sectorBytes)) throw invalid(`${name} of ${value} sectors`);
    return Number(value);
  };
  const header: SparseHeader = {
    version: bytes.readUInt32LE(4),
    flags,
    capacity: sectorsAt(12, 'capacity'),
    grainSectors: sectorsAt(20, 'grain size'),
    descriptorOffset: sectorsAt(28, 'descriptor offset'),
    descriptorSectors: sectorsAt(36, 'descriptor size'),
    entriesPerTable: bytes.readUInt32LE(44),
    redundantDirectoryOffset: sectorsAt(48, 'redundant grain directory offset'),
    directoryOffset: bytes.readBigUInt64LE(56) === directoryAtEnd ? 'at-end' : sectorsAt(56, 'grain directory offset'),
    overheadSectors: sectorsAt(64, 'overhead'),
    unclean: bytes[uncleanOffset] !== 0,
    compression: bytes.readUInt16LE(77),
  };
  if (header.version < 1 || header.version > 3) throw invalid(`version ${header.version}`);
  if (header.capacity === 0) throw invalid('capacity of 0 sectors');
  const { grainSectors } = header;
  if (grainSectors < 8 || grainSectors > maximumGrainSectors || (grainSectors & (grainSectors - 1)) !== 0) {
    throw invalid(`grain of ${grainSectors} sectors, not a power of two from 8 to ${maximumGrainSectors}`);
  }
  if (header.entriesPerTable < 1 || header.entriesPerTable > 512) {
    throw invalid(`${header.entriesPerTable} grain table entries`);
  }
  if (directoryEntries(header) > maximumDirectoryEntries) {
    throw invalid(`${directoryEntries(header)} grain directory entries`);
  }
  if (header.compression > 1) throw invalid(`compression method ${header.compression}`);
  const compressed = (flags & sparseFlags.compressed) !== 0;
  if (compressed !== (header.compression === 1)) throw invalid('compression flag and method disagree');
  return header;
}

/** What text-mode transfers make of the test bytes. */
const newlineDamages: readonly (readonly [found: string, damage: string])[] = [
  ['\r\n \r\r\n', 'every LF became CR LF'],
  ['\r\n \r\n', 'single LFs became CR LF'],
  ['\n \n\n', 'every CR became LF'],
  ['\n \n', 'CR LF became LF, or CRs were taken away'],
  ['\r \r\r', 'every LF became CR'],
  ['\r \r', 'CR LF and LF became CR'],
  [' \r', 'LFs were taken away'],
];

/** Names the damage. Earlier bytes may have moved the test bytes, so they are looked for nearby. */
function newlineDamage(bytes: Buffer): string {
  const area = bytes.subarray(64, 96).toString('latin1');
  const damage = newlineDamages.find(([found]) => area.includes(found))?.[1];
  return damage === undefined
    ? 'the line ends that it carries as a test were changed'
    : `the line ends that it carries as a test show that ${damage}`;
}

/** The 512 bytes of a header. */
export function formatSparseHeader(header: SparseHeader): Buffer {
  const bytes = Buffer.alloc(sectorBytes);
  bytes.write(magic, 0, 'latin1');
  bytes.writeUInt32LE(header.version, 4);
  bytes.writeUInt32LE(header.flags, 8);
  bytes.writeBigUInt64LE(BigInt(header.capacity), 12);
  bytes.writeBigUInt64LE(BigInt(header.grainSectors), 20);
  bytes.writeBigUInt64LE(BigInt(header.descriptorOffset), 28);
  bytes.writeBigUInt64LE(BigInt(header.descriptorSectors), 36);
  bytes.writeUInt32LE(header.entriesPerTable, 44);
  bytes.writeBigUInt64LE(BigInt(header.redundantDirectoryOffset), 48);
  bytes.writeBigUInt64LE(header.directoryOffset === 'at-end' ? directoryAtEnd : BigInt(header.directoryOffset), 56);
  bytes.writeBigUInt64LE(BigInt(header.overheadSectors), 64);
  bytes[uncleanOffset] = header.unclean ? 1 : 0;
  newlines.copy(bytes, 73);
  bytes.writeUInt16LE(header.compression, 77);
  return bytes;
}

/** Number of grain tables that the capacity needs. */
export function directoryEntries(header: SparseHeader): number {
  return Math.ceil(header.capacity / (header.grainSectors * header.entriesPerTable));
}
