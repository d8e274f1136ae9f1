import type { FileWindow } from '../file-window.ts';
import { sectorBytes } from '../size.ts';
import type { SparseHeader } from '../sparse/sparse-header.ts';
import { ExtentRoom } from './extent-room.ts';
import type { Findings } from './findings.ts';
import {
  type Directories,
  type MergedTable,
  mergedTables,
  readDirectories,
  storedGrains,
  tableSectors,
} from './merged-tables.ts';

const entryBytes = 4;
/** Files up to this size have their room kept by sectors without a look at how their grains are aligned. */
const plainRoomBytes = 2 ** 37;

export interface ExtentCheck {
  /** Grains that are stored. */
  readonly grains: number;
  /** Room of the file that nothing refers to, in order. */
  readonly leaks: readonly { readonly start: number; readonly bytes: number }[];
  /** Whether the header can be trusted enough to take that room back. */
  readonly reclaimable?: boolean;
}

export interface CheckSparseOptions {
  readonly signal?: AbortSignal | undefined;
  /** Told of bytes of capacity that were passed. */
  readonly advance?: (bytes: number) => void;
}

/** Checks directories, tables and the places of grains of a hosted sparse extent without compression. */
export async function checkSparse(
  file: FileWindow,
  header: SparseHeader,
  findings: Findings,
  options: CheckSparseOptions = {},
): Promise<ExtentCheck> {
  if (header.unclean) findings.add('unclean', file.path, 'the mark in its header is set', 'byte 72');
  const directories = await readDirectories(file, header);
  checkDirectories(file, header, directories, findings);
  if (!directories.first.bytes && !directories.copy?.bytes) return { grains: 0, leaks: [], reclaimable: false };
  const room = new ExtentRoom({ file, findings, unitBytes: await roomUnit(file, header, directories) });
  room.take(0, Math.min(file.bytes, header.overheadSectors * sectorBytes), 'metadata');
  let grains = 0;
  let bits = 0;
  for await (const table of mergedTables(file, header, directories)) {
    options.signal?.throwIfAborted();
    checkTable(file, table, findings);
    for (const found of [table.first, table.copy]) {
      // Those within the metadata are taken with it.
      if (!found?.bytes || found.sector === undefined || found.sector < header.overheadSectors) continue;
      const bytes = tableSectors(header) * sectorBytes;
      room.take(found.sector * sectorBytes, bytes, `grain table ${table.index}`);
    }
    for (const { grain, sector } of storedGrains(header, table)) {
      grains += 1;
      bits |= sector - header.overheadSectors;
      takeGrain(file, header, grain, sector, room, findings);
    }
    for (const grain of table.conflicts) {
      const other = table.copy?.bytes?.readUInt32LE((grain % header.entriesPerTable) * entryBytes) ?? 0;
      if (other > 1) takeGrain(file, header, grain, other, room, findings);
    }
    options.advance?.(header.entriesPerTable * header.grainSectors * sectorBytes);
  }
  const found = await leaks(file, header, room, findings);
  // Were every second grain's room leaked, the header would rather name half the true grain size.
  const halved = grains > 3 && (bits & header.grainSectors) === 0;
  return { grains, leaks: found, reclaimable: directories.usual && !halved };
}

function checkDirectories(file: FileWindow, header: SparseHeader, directories: Directories, findings: Findings): void {
  const named = header.directoryOffset === 'at-end' ? 0 : header.directoryOffset;
  const { first, copy } = directories;
  const wrong = (sector: number) => `the header places it at sector ${sector}`;
  if (!first.bytes && !copy?.bytes) findings.add('table-lost', file.path, wrong(named), 'grain directory');
  else if (first.sector !== named) findings.add('directory-damaged', file.path, wrong(named), 'grain directory');
  if (copy && copy.sector !== header.redundantDirectoryOffset) {
    findings.add('copy-damaged', file.path, wrong(header.redundantDirectoryOffset), 'redundant grain directory');
  }
}

function checkTable(file: FileWindow, table: MergedTable, findings: Findings): void {
  const place = `grain table ${table.index}`;
  const { first, copy, lost, single, conflicts, firstDamaged, copyDamaged } = table;
  if (!first.bytes && !copy?.bytes) {
    findings.add('table-lost', file.path, 'the directory names no place within the file for it', place);
    return;
  }
  const grainList = (grains: readonly number[]) =>
    grains.length > 3
      ? `grains ${grains.slice(0, 3).join(', ')} and ${grains.length - 3} more`
      : `grain ${grains.join(', ')}`;
  // Copies that disagree for good stay as they are, and so does what else is wrong with them.
  const keep = conflicts.length > 0;
  if (!first.bytes) findings.add('table-damaged', file.path, 'the directory names no place for it', place);
  else if (firstDamaged.length > 0) findings.add('table-damaged', file.path, grainList(firstDamaged), place, { keep });
  if (copy && !copy.bytes) findings.add('copy-damaged', file.path, 'the directory names no place for it', place);
  else if (copyDamaged.length > 0) findings.add('copy-damaged', file.path, grainList(copyDamaged), place, { keep });
  if (single.length > 0) findings.add('copies-differ', file.path, grainList(single), place, { keep });
  if (conflicts.length > 0) findings.add('copies-conflict', file.path, grainList(conflicts), place);
  if (lost.length > 0) findings.add('grain-lost', file.path, grainList(lost), place);
}

function takeGrain(
  file: FileWindow,
  header: SparseHeader,
  grain: number,
  sector: number,
  room: ExtentRoom,
  findings: Findings,
): void {
  const start = sector * sectorBytes;
  const used = Math.min(header.grainSectors, header.capacity - grain * header.grainSectors) * sectorBytes;
  if (start + used > file.bytes) {
    const reason = `${file.bytes - start} of its ${used} bytes are there; the rest reads as zeros`;
    findings.add('grain-cut', file.path, reason, `grain ${grain}`);
  }
  room.take(start, Math.min(header.grainSectors * sectorBytes, file.bytes - start), `grain ${grain}`);
}

async function leaks(
  file: FileWindow,
  header: SparseHeader,
  room: ExtentRoom,
  findings: Findings,
): Promise<ExtentCheck['leaks']> {
  const found: { start: number; bytes: number }[] = [];
  // What is smaller than a grain is room between grains that are aligned.
  for await (const leak of room.leaked(header.overheadSectors * sectorBytes, header.grainSectors * sectorBytes)) {
    found.push(leak);
    findings.add('grains-leaked', file.path, `${leak.bytes} bytes`, `byte ${leak.start}`);
  }
  return found;
}

/** Bytes that every grain's place is a multiple of; sectors for a file that is not large. */
async function roomUnit(file: FileWindow, header: SparseHeader, directories: Directories): Promise<number> {
  if (file.bytes <= plainRoomBytes) return sectorBytes;
  // The lowest bit of all places together.
  let bits = header.grainSectors;
  for await (const table of mergedTables(file, header, directories)) {
    for (const { sector } of storedGrains(header, table)) bits |= sector;
  }
  return (bits & -bits) * sectorBytes;
}
