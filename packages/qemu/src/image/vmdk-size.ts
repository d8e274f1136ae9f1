/** Longest descriptor that is read, in bytes. */
export const maxDescriptorBytes = 1 << 20;
const sectorBytes = 512;

export interface VmdkSize {
  readonly virtualBytes: number;
  /** Extent files that a descriptor names, relative to it; none when the image is one file. */
  readonly extents: readonly string[];
}

/** Reads size and extents from the beginning of a VMDK: sparse header, COWD header or descriptor; undefined for others. */
export function parseVmdkSize(beginning: Buffer): VmdkSize | undefined {
  if (beginning.length < 512) return parseDescriptor(beginning.toString('latin1'));
  const signature = beginning.toString('latin1', 0, 4);
  if (signature === 'KDMV') return fromSectors(beginning.readBigUInt64LE(12));
  if (signature === 'COWD') return fromSectors(BigInt(beginning.readUInt32LE(12)));
  return parseDescriptor(beginning.toString('latin1'));
}

function fromSectors(sectors: bigint): VmdkSize | undefined {
  const bytes = sectors * BigInt(sectorBytes);
  return bytes <= BigInt(Number.MAX_SAFE_INTEGER) ? { virtualBytes: Number(bytes), extents: [] } : undefined;
}

/** Lines such as `RW 83886080 SPARSE "disk-s001.vmdk"`. */
function parseDescriptor(text: string): VmdkSize | undefined {
  if (!/^# *Disk *DescriptorFile/im.test(text.slice(0, 1024))) return undefined;
  let sectors = 0;
  const extents: string[] = [];
  for (const line of text.split(/\r?\n/)) {
    const match = /^(?:RW|RDONLY|NOACCESS)\s+(\d{1,15})\s+([A-Z0-9]+)(?:\s+"([^"\0]{1,1024})")?/.exec(line);
    if (!match) continue;
    sectors += Number(match[1]);
    if (match[3] !== undefined && match[2] !== 'ZERO') extents.push(match[3]);
  }
  const virtualBytes = sectors * sectorBytes;
  return Number.isSafeInteger(virtualBytes) ? { virtualBytes, extents } : undefined;
}
