import { dirname } from 'node:path';
import { openCowd } from '../cowd/cowd-extent.ts';
import { isCowdHeader } from '../cowd/cowd-header.ts';
import type { ExtentDescription } from '../descriptor/extent-line.ts';
import { type OutsideReference, resolveReference } from '../descriptor/extent-path.ts';
import { VmdkError } from '../errors.ts';
import { FileWindow } from '../file-window.ts';
import { FlatExtent } from '../flat/flat-extent.ts';
import { ZeroExtent } from '../flat/zero-extent.ts';
import { openSesparse } from '../sesparse/sesparse-extent.ts';
import { isSesparseHeader } from '../sesparse/sesparse-header.ts';
import { sectorBytes } from '../size.ts';
import { SparseExtent } from '../sparse/sparse-extent.ts';
import { isSparseHeader, parseSparseHeader, type SparseHeader, sparseFlags } from '../sparse/sparse-header.ts';
import { CompressedExtent } from '../stream/compressed-extent.ts';
import { markerTypes } from '../stream/markers.ts';
import type { OnWarning } from './disk-warning.ts';
import type { Extent } from './extent.ts';

export interface OpenExtentOptions {
  /** Descriptor that lists the extent. */
  readonly descriptorPath: string;
  readonly writable: boolean;
  readonly allowOutside?: (reference: OutsideReference) => boolean;
  readonly onWarning?: OnWarning;
}

const extentTypes = ['FLAT', 'VMFS', 'SPARSE', 'ZERO', 'VMFSSPARSE', 'SESPARSE'];

/** Opens one extent of a descriptor that is a file of its own. */
export async function openExtent(description: ExtentDescription, options: OpenExtentOptions): Promise<Extent> {
  const { descriptorPath } = options;
  const { type, access } = description;
  const bytes = description.sectors * sectorBytes;
  if (access === 'NOACCESS' || !extentTypes.includes(type)) {
    throw new VmdkError('unsupported-extent', { file: descriptorPath, reason: `${access} extent of type ${type}` });
  }
  if (type === 'ZERO') return new ZeroExtent(bytes, descriptorPath);
  const path = resolveReference(dirname(descriptorPath), description.file ?? '', {
    kind: 'extent',
    from: descriptorPath,
    ...(options.allowOutside ? { allowOutside: options.allowOutside } : {}),
  });
  const writable = options.writable && access === 'RW';
  const file = await FileWindow.open(path, { writable, missing: 'extent-missing' });
  try {
    if (type === 'FLAT' || type === 'VMFS') {
      return new FlatExtent(file, (description.offset ?? 0) * sectorBytes, bytes);
    }
    const extent = await openMapped(file, type, options);
    if (extent.bytes >= bytes) return extent;
    const reason = `${extent.bytes} bytes of capacity, ${bytes} in ${descriptorPath}`;
    throw new VmdkError('header-invalid', { file: path, reason });
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Extent with tables of its own; its first bytes must be those of the type that the descriptor names. */
async function openMapped(file: FileWindow, type: string, options: OpenExtentOptions): Promise<Extent> {
  const magic = await file.read(0, Math.min(4, file.bytes));
  if (type === 'SPARSE' && isSparseHeader(magic)) {
    return openSparse(file, await readSparseHeader(file), options.onWarning);
  }
  // Some makers call a COWD extent SPARSE.
  const cowd = type !== 'SESPARSE' && isCowdHeader(magic);
  if (!cowd && !(type === 'SESPARSE' && isSesparseHeader(magic))) {
    const reason = `it begins like no extent of type ${type}, as ${options.descriptorPath} calls it`;
    throw new VmdkError('header-invalid', { file: file.path, place: 'byte 0', reason });
  }
  if (options.writable) {
    const reason = `${cowd ? 'vmfsSparse' : 'seSparse'} extents are only read; put a child on top, or convert the disk`;
    throw new VmdkError('read-only', { file: file.path, reason });
  }
  return cowd ? openCowd(file) : openSesparse(file);
}

/** Extent of a hosted sparse file, compressed or not. */
export function openSparse(file: FileWindow, header: SparseHeader, onWarning?: OnWarning): Promise<Extent> {
  const compressed = (header.flags & sparseFlags.compressed) !== 0;
  return compressed ? CompressedExtent.open(file, header, onWarning) : SparseExtent.open(file, header, onWarning);
}

/** Header of a sparse file; the footer where the header in front defers to it. */
export async function readSparseHeader(file: FileWindow): Promise<SparseHeader> {
  if (file.bytes < sectorBytes) {
    throw new VmdkError('truncated', { file: file.path, reason: `${file.bytes} bytes hold no header` });
  }
  const header = parseSparseHeader(await file.read(0, sectorBytes), file.path);
  if (header.overheadSectors * sectorBytes > file.bytes) {
    const reason = `${header.overheadSectors} sectors of metadata in a file of ${file.bytes} bytes`;
    throw new VmdkError('truncated', { file: file.path, reason });
  }
  if (header.directoryOffset !== 'at-end') return header;
  const place = 'footer';
  const start = file.bytes - 3 * sectorBytes;
  if (start < header.overheadSectors * sectorBytes || start % sectorBytes !== 0) {
    throw new VmdkError('truncated', { file: file.path, place, reason: 'it does not end with a footer' });
  }
  const tail = await file.read(start, 3 * sectorBytes);
  const ended = tail.readUInt32LE(8) === 0 && tail.readUInt32LE(12) === markerTypes.footer;
  if (!ended || !tail.subarray(2 * sectorBytes).equals(Buffer.alloc(sectorBytes))) {
    throw new VmdkError('truncated', { file: file.path, place, reason: 'it does not end with a footer' });
  }
  const footer = parseSparseHeader(tail.subarray(sectorBytes, 2 * sectorBytes), file.path);
  checkFooter(header, footer, file.path);
  return footer;
}

/** Refuses a footer that contradicts the header. */
export function checkFooter(header: SparseHeader, footer: SparseHeader, file: string): void {
  const same =
    header.capacity === footer.capacity &&
    header.grainSectors === footer.grainSectors &&
    header.entriesPerTable === footer.entriesPerTable &&
    header.flags === footer.flags;
  if (!same || footer.directoryOffset === 'at-end') {
    throw new VmdkError('header-invalid', { file, place: 'footer', reason: 'it contradicts the header' });
  }
}
