import type { Disk } from '../disk/disk.ts';
import { Layer } from '../disk/layer.ts';
import { LayeredDisk } from '../disk/layered-disk.ts';
import { VmdkError } from '../errors.ts';
import { FileWindow } from '../file-window.ts';
import { sectorBytes } from '../size.ts';
import { embeddedDescriptor } from '../sparse/embedded-descriptor.ts';
import { directoryEntries, parseSparseHeader, type SparseHeader, sparseFlags } from '../sparse/sparse-header.ts';
import { CompressedExtent } from './compressed-extent.ts';
import { FoundGrains } from './found-grains.ts';
import { scanStream } from './scan-stream.ts';

/** A stretch of the disk that the file does not hold whole. */
export interface LostRange {
  readonly offset: number;
  readonly length: number;
  /** `listed`: the tables say that there was data. `possible`: nothing tells whether there was. */
  readonly certainty: 'listed' | 'possible';
}

/** A place of the file that is no whole record. */
export interface StreamDamage {
  readonly position: number;
  readonly bytes: number;
  readonly reason: string;
}

export interface RecoveredStream {
  /** What is whole; the rest reads as zeros. Read only. */
  readonly disk: Disk;
  readonly wholeGrains: number;
  /** Byte of the file behind the last whole record. */
  readonly wholeBytes: number;
  readonly damages: readonly StreamDamage[];
  /** Ranges of the disk, in order. Empty: nothing is missing. */
  readonly lost: readonly LostRange[];
  /** Whether tables, footer and end marker are all there, so that it need not be recovered. */
  readonly finished: boolean;
}

export interface RecoverOptions {
  /** Where the image lies within the file. Bytes. */
  readonly window?: { readonly offset: number; readonly length: number };
  readonly signal?: AbortSignal;
  /** Called with the bytes of the file that were passed. */
  readonly onProgress?: (progress: { readonly doneBytes: number; readonly totalBytes: number }) => void;
}

/**
 * Opens a streamOptimized disk that was cut off or is damaged, by its markers: every grain is expanded, and which are
 * whole is known. Reads all of the file. Throws where the header itself cannot be read.
 */
export async function recoverStream(path: string, options: RecoverOptions = {}): Promise<RecoveredStream> {
  const file = await FileWindow.open(path, { ...options.window });
  try {
    const scan = await scanFile(file, options);
    const extent = CompressedExtent.over(file, scan.grains);
    const layer = new Layer(path, [{ extent, bytes: extent.bytes, access: 'RDONLY' }]);
    const descriptor = await embeddedDescriptor(file, scan.header).catch(() => undefined);
    const disk = new LayeredDisk({ path, layers: [layer], writable: false, ...(descriptor ? { descriptor } : {}) });
    const { damages, finished, wholeBytes } = scan;
    return { disk, wholeGrains: scan.grains.count, wholeBytes, damages, lost: scan.lost, finished };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** A grain table that came among the grains. */
export interface PlacedTable {
  /** Sector of its first entry. */
  readonly sector: number;
  readonly entries: Buffer;
}

export interface StreamScan {
  readonly header: SparseHeader;
  readonly grains: FoundGrains;
  /** Whole tables among and behind the grains, by their index. */
  readonly tables: ReadonlyMap<number, PlacedTable>;
  readonly wholeBytes: number;
  /** Byte behind the last whole grain. */
  readonly grainsEnd: number;
  readonly damages: readonly StreamDamage[];
  readonly lost: readonly LostRange[];
  readonly finished: boolean;
}

/** What the markers of an open stream say. */
export async function scanFile(file: FileWindow, options: RecoverOptions = {}): Promise<StreamScan> {
  const header = await streamHeader(file);
  const grains = new FoundGrains(header);
  const damages: StreamDamage[] = [];
  /** Grains between which something could not be read. */
  const doubts: { after: number; before: number }[] = [];
  const tables: PlacedTable[] = [];
  let directory: Buffer | undefined;
  let wholeBytes = header.overheadSectors * sectorBytes;
  let grainsEnd = wholeBytes;
  let last = -1;
  let doubted = false;
  let footer = false;
  let ended = false;
  for await (const record of scanStream(file, header, options.signal)) {
    const end = record.position + record.bytes;
    if (record.type === 'damage') {
      damages.push({ position: record.position, bytes: record.bytes, reason: record.reason });
      doubted = true;
      continue;
    }
    wholeBytes = end;
    if (record.type === 'grain') {
      const grain = record.lba / header.grainSectors;
      if (doubted) doubts.push({ after: last, before: grain });
      doubted = false;
      last = grain;
      grainsEnd = end;
      grains.set(grain, record.position / sectorBytes);
      options.onProgress?.({ doneBytes: end, totalBytes: file.bytes });
    } else if (record.type === 'table') {
      tables.push({ sector: record.position / sectorBytes + 1, entries: record.entries });
    } else if (record.type === 'directory') directory = record.entries;
    else if (record.type === 'footer') footer = true;
    else ended = true;
  }
  const total = Math.ceil(header.capacity / header.grainSectors);
  const leading = await leadingTables(file, header);
  const placed = placedTables(header, tables, directory, grains);
  const listed = leading ?? new Map([...placed].map(([index, { entries }]) => [index, entries]));
  doubts.push({ after: last, before: total });
  // A table says all about its own grains, and a directory which tables there are.
  const named = (index: number) =>
    directory === undefined || (directory.length > index * 4 && directory.readUInt32LE(index * 4) !== 0);
  const unknown = (index: number) => leading === undefined && !listed.has(index) && named(index);
  const lost = lostRanges(header, grains, listed, doubts, unknown);
  const finished = damages.length === 0 && (leading !== undefined || (footer && ended));
  options.onProgress?.({ doneBytes: file.bytes, totalBytes: file.bytes });
  return { header, grains, tables: placed, wholeBytes, grainsEnd, damages, lost, finished };
}

/** The header in front, or where that is damaged its copy in the footer. */
async function streamHeader(file: FileWindow): Promise<SparseHeader> {
  if (file.bytes < sectorBytes) {
    throw new VmdkError('truncated', { file: file.path, reason: `${file.bytes} bytes hold no header` });
  }
  const header = parseSparseHeader(await file.read(0, sectorBytes), file.path);
  const wanted = sparseFlags.compressed | sparseFlags.markers;
  if ((header.flags & wanted) === wanted) return header;
  throw new VmdkError('header-invalid', { file: file.path, reason: 'it is no streamOptimized disk' });
}

/** Tables in front of the grains, as `qemu-img` writes them, by their index; undefined where there are none. */
async function leadingTables(file: FileWindow, header: SparseHeader): Promise<Map<number, Buffer> | undefined> {
  const offset = header.directoryOffset;
  const bytes = directoryEntries(header) * 4;
  const metadata = Math.min(file.bytes, header.overheadSectors * sectorBytes);
  if (offset === 'at-end' || offset === 0 || offset * sectorBytes + bytes > metadata) return undefined;
  const directory = await file.read(offset * sectorBytes, bytes);
  const tables = new Map<number, Buffer>();
  for (let index = 0; index * 4 < bytes; index += 1) {
    const sector = directory.readUInt32LE(index * 4);
    const length = header.entriesPerTable * 4;
    if (sector === 0 || sector * sectorBytes + length > metadata) continue;
    tables.set(index, await file.read(sector * sectorBytes, length));
  }
  return tables;
}

/** Tables among the grains, by their index: the directory says it, or a grain that one of them lists. */
function placedTables(
  header: SparseHeader,
  tables: readonly PlacedTable[],
  directory: Buffer | undefined,
  grains: FoundGrains,
): Map<number, PlacedTable> {
  const placed = new Map<number, PlacedTable>();
  const indexes = new Map<number, number>();
  for (let at = 0; directory && at + 4 <= directory.length && at / 4 < directoryEntries(header); at += 4) {
    const sector = directory.readUInt32LE(at);
    if (sector !== 0) indexes.set(sector, at / 4);
  }
  for (const table of tables) {
    const index = indexes.get(table.sector) ?? grains.tableListing(table.entries);
    if (index !== undefined) placed.set(index, table);
  }
  return placed;
}

/** Grains that tables list and that are not whole, and those of which nothing is known. */
function lostRanges(
  header: SparseHeader,
  grains: FoundGrains,
  listed: ReadonlyMap<number, Buffer>,
  doubts: readonly { after: number; before: number }[],
  unknown: (table: number) => boolean,
): LostRange[] {
  const ranges: { first: number; end: number; certainty: LostRange['certainty'] }[] = [];
  const add = (first: number, end: number, certainty: LostRange['certainty']) => {
    const last = ranges.at(-1);
    if (last?.certainty === certainty && last.end === first) last.end = end;
    else ranges.push({ first, end, certainty });
  };
  for (const [index, entries] of [...listed].sort(([one], [other]) => one - other)) {
    for (let entry = 0; entry < header.entriesPerTable; entry += 1) {
      const grain = index * header.entriesPerTable + entry;
      if (grain * header.grainSectors >= header.capacity) break;
      if (entries.readUInt32LE(entry * 4) > 1 && grains.sector(grain) === 0) add(grain, grain + 1, 'listed');
    }
  }
  for (const { after, before } of doubts) {
    let first = after + 1;
    while (first < before) {
      const table = Math.floor(first / header.entriesPerTable);
      const end = Math.min(before, (table + 1) * header.entriesPerTable);
      if (unknown(table)) add(first, end, 'possible');
      first = end;
    }
  }
  const grainBytes = header.grainSectors * sectorBytes;
  const capacity = header.capacity * sectorBytes;
  return ranges
    .map(({ first, end, certainty }) => {
      const offset = first * grainBytes;
      return { offset, length: Math.min(end * grainBytes, capacity) - offset, certainty };
    })
    .sort((one, other) => one.offset - other.offset);
}
