import type { FileHandle } from 'node:fs/promises';
import type { Generation } from '@hypostyle/contracts';
import { magic, qcow2VirtualBytes } from './qcow2.ts';

// docs/interop/qcow2.txt, "Bitmaps extension" and "Bitmap directory"; numbers are big-endian.
const bitmapsExtension = 0x23852875;
const firstExtensionVersion2 = 72;
/** Most of an image's beginning that is looked at: the extensions lie in its first cluster. */
const maxHeaderBytes = 65_536;
/** Longest directory that is read; QEMU writes at most 65,535 bitmaps, and we a few dozen. */
const maxDirectoryBytes = 1 << 20;
const entryBytes = 24;

/** Size and dirty bitmaps of a qcow2 image that no engine has. Throws where the image cannot be one. */
export async function readQcow2Bitmaps(
  file: FileHandle,
): Promise<{ readonly virtualBytes: number; readonly bitmaps: readonly Generation[] }> {
  const header = await readAt(file, 0, maxHeaderBytes);
  const directory = parseBitmapsExtension(header);
  const virtualBytes = qcow2VirtualBytes(header) ?? 0;
  if (directory === undefined) return { virtualBytes, bitmaps: [] };
  if (directory.size > maxDirectoryBytes) throw new Error('its list of bitmaps is too long');
  const entries = await readAt(file, directory.offset, directory.size);
  return { virtualBytes, bitmaps: parseBitmapDirectory(entries, directory) };
}

interface BitmapDirectory {
  readonly count: number;
  readonly size: number;
  readonly offset: number;
  /** False: the image was written by who knows nothing of bitmaps. */
  readonly valid: boolean;
}

/** Where the bitmaps are listed; undefined where there are none. Throws where `header` is not the start of qcow2. */
export function parseBitmapsExtension(header: Buffer): BitmapDirectory | undefined {
  if (header.length < 104 || header.readUInt32BE(0) !== magic) throw new Error('it is not qcow2');
  // Version 2 knows no features, so nothing in it says that bitmaps are right.
  const modern = header.readUInt32BE(4) >= 3;
  const valid = modern && (header.readBigUInt64BE(88) & 1n) === 1n;
  let at = modern ? header.readUInt32BE(100) : firstExtensionVersion2;
  while (at + 8 <= header.length) {
    const type = header.readUInt32BE(at);
    const length = header.readUInt32BE(at + 4);
    if (type === 0) return undefined;
    if (at + 8 + length > header.length) break;
    if (type === bitmapsExtension) {
      if (length < 24) break;
      const size = Number(header.readBigUInt64BE(at + 16));
      const offset = Number(header.readBigUInt64BE(at + 24));
      return { count: header.readUInt32BE(at + 8), size, offset, valid };
    }
    at += 8 + Math.ceil(length / 8) * 8;
  }
  if (at + 8 > header.length && at <= header.length) return undefined;
  throw new Error('its header is damaged');
}

/** The bitmaps that a directory lists. Throws where it ends amidst one. */
export function parseBitmapDirectory(entries: Buffer, { count, valid }: BitmapDirectory): Generation[] {
  const bitmaps: Generation[] = [];
  let at = 0;
  for (let index = 0; index < count; index += 1) {
    if (at + entryBytes > entries.length) throw new Error('its list of bitmaps is damaged');
    const flags = entries.readUInt32BE(at + 12);
    const nameBytes = entries.readUInt16BE(at + 18);
    const extraBytes = entries.readUInt32BE(at + 20);
    const nameAt = at + entryBytes + extraBytes;
    const end = nameAt + nameBytes;
    if (nameBytes === 0 || end > entries.length) throw new Error('its list of bitmaps is damaged');
    const consistent = valid && (flags & 1) === 0;
    const name = entries.toString('utf8', nameAt, end);
    bitmaps.push({ name, recording: consistent && (flags & 2) !== 0, consistent });
    at += Math.ceil((entryBytes + extraBytes + nameBytes) / 8) * 8;
  }
  return bitmaps;
}

async function readAt(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  if (!Number.isSafeInteger(offset) || offset < 0) throw new Error('its list of bitmaps is damaged');
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset);
  return buffer.subarray(0, bytesRead);
}
