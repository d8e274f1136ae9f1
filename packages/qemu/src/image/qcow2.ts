import type { FileHandle } from 'node:fs/promises';

/** Bytes of a cluster; QEMU's default. */
const clusterBytes = 65_536;
export const magic = 0x514649fb;
const backingFormatExtension = 0xe2792aca;
/** Length of a version 3 header with the compression type. */
const headerBytes = 112;
/** Longest backing file name that QEMU takes, in bytes. */
const maxBackingNameBytes = 1023;
/** Largest L1 table that QEMU takes, in bytes (QCOW_MAX_L1_SIZE). */
const maxL1Bytes = 32 << 20;

export interface Qcow2Layout {
  readonly virtualBytes: number;
  readonly backing?: { readonly name: string; readonly format: string };
}

/** A part of a file: what is not named reads as zeros. */
export interface FilePart {
  readonly offset: number;
  readonly bytes: Buffer;
}

/**
 * An empty qcow2 image, version 3 (docs/interop/qcow2.txt): header, refcount table, refcount block, L1 table, each in
 * clusters of its own. Throws `RangeError` for what the format does not hold.
 */
export function emptyQcow2({ virtualBytes, backing }: Qcow2Layout): {
  readonly fileBytes: number;
  readonly parts: FilePart[];
} {
  const l1Entries = Math.max(1, Math.ceil(virtualBytes / (clusterBytes * (clusterBytes / 8))));
  const l1Clusters = Math.ceil((l1Entries * 8) / clusterBytes);
  if (
    !Number.isSafeInteger(virtualBytes) ||
    virtualBytes < 0 ||
    virtualBytes % 512 !== 0 ||
    l1Entries * 8 > maxL1Bytes
  ) {
    throw new RangeError(`${virtualBytes} bytes is no size of a qcow2 image`);
  }
  const header = Buffer.alloc(clusterBytes);
  header.writeUInt32BE(magic, 0);
  header.writeUInt32BE(3, 4);
  header.writeUInt32BE(Math.log2(clusterBytes), 20);
  header.writeBigUInt64BE(BigInt(virtualBytes), 24);
  header.writeUInt32BE(l1Entries, 36);
  header.writeBigUInt64BE(BigInt(3 * clusterBytes), 40);
  header.writeBigUInt64BE(BigInt(clusterBytes), 48);
  header.writeUInt32BE(1, 56);
  // 2 to the power of 4: 16 bits a reference count.
  header.writeUInt32BE(4, 96);
  header.writeUInt32BE(headerBytes, 100);
  let end = headerBytes;
  if (backing) {
    const format = Buffer.from(backing.format);
    header.writeUInt32BE(backingFormatExtension, end);
    header.writeUInt32BE(format.length, end + 4);
    format.copy(header, end + 8);
    end += 8 + Math.ceil(format.length / 8) * 8;
  }
  // End of the extensions: eight zero bytes.
  end += 8;
  if (backing) {
    const name = Buffer.from(backing.name);
    if (name.length === 0 || name.length > maxBackingNameBytes)
      throw new RangeError('the backing file name is too long');
    name.copy(header, end);
    header.writeBigUInt64BE(BigInt(end), 8);
    header.writeUInt32BE(name.length, 16);
  }
  const clusters = 3 + l1Clusters;
  const refcountTable = Buffer.alloc(8);
  refcountTable.writeBigUInt64BE(BigInt(2 * clusterBytes));
  const refcountBlock = Buffer.alloc(clusters * 2);
  for (let cluster = 0; cluster < clusters; cluster += 1) refcountBlock.writeUInt16BE(1, cluster * 2);
  return {
    fileBytes: clusters * clusterBytes,
    parts: [
      { offset: 0, bytes: header.subarray(0, end + (backing ? Buffer.byteLength(backing.name) : 0)) },
      { offset: clusterBytes, bytes: refcountTable },
      { offset: 2 * clusterBytes, bytes: refcountBlock },
    ],
  };
}

/** Virtual size in bytes from the first 32 bytes of a qcow2 image; undefined when it is none. */
export function qcow2VirtualBytes(header: Buffer): number | undefined {
  if (header.length < 32 || header.readUInt32BE(0) !== magic) return undefined;
  const size = header.readBigUInt64BE(24);
  return size <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(size) : undefined;
}

/** Writes an empty image into a file that was just made, and makes it durable. */
export async function writeEmptyQcow2(file: FileHandle, layout: Qcow2Layout): Promise<void> {
  const { fileBytes, parts } = emptyQcow2(layout);
  await file.truncate(fileBytes);
  for (const { offset, bytes } of parts) await file.write(bytes, 0, bytes.length, offset);
  await file.sync();
}
