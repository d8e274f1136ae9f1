import { setImmediate as turn } from 'node:timers/promises';
import type { FileWindow } from '../file-window.ts';
import { ForwardWindow } from '../forward-window.ts';
import { roundUp, sectorBytes } from '../size.ts';
import { directoryEntries, type SparseHeader, sparseFlags } from '../sparse/sparse-header.ts';
import { usualPlaces, usualTableSector } from '../sparse/sparse-layout.ts';
import { GrainRoom } from './grain-room.ts';

const entryBytes = 4;

/** A grain directory as it stands in the file. */
export interface FoundDirectory {
  /** Sector where it stands or belongs; undefined when that is not known. */
  readonly sector: number | undefined;
  /** Undefined where it does not lie within the file. */
  readonly bytes: Buffer | undefined;
}

/** One of the two copies of a grain table. */
export interface FoundTable {
  /** Sector that the directory names; undefined where it names none or one that cannot be. */
  readonly sector: number | undefined;
  readonly bytes: Buffer | undefined;
}

/** What two copies of a grain table say together. */
export interface MergedTable {
  readonly index: number;
  readonly first: FoundTable;
  /** Undefined where the extent has no redundant directory. */
  readonly copy: FoundTable | undefined;
  /** Entries of which at least one copy makes sense; where neither does, those of the first. Empty without both. */
  readonly merged: Buffer;
  /** Grains of which the first, the copy, or both make no sense. */
  readonly firstDamaged: readonly number[];
  readonly copyDamaged: readonly number[];
  readonly lost: readonly number[];
  /** Grains that only one copy lists, and those of them that only the redundant one does. */
  readonly single: readonly number[];
  readonly copyOnly: readonly number[];
  /** Grains that the copies place differently. */
  readonly conflicts: readonly number[];
}

export interface Directories {
  readonly first: FoundDirectory;
  readonly copy: FoundDirectory | undefined;
  /** Whether both have the places that every maker gives them, and their tables too unless an entry is damaged. */
  readonly usual: boolean;
}

/** Both grain directories, where they belong if that is known, otherwise where the header names them. */
export async function readDirectories(file: FileWindow, header: SparseHeader): Promise<Directories> {
  const redundant = (header.flags & sparseFlags.redundantDirectory) !== 0;
  const named = header.directoryOffset === 'at-end' ? 0 : header.directoryOffset;
  const places = usualPlaces(header);
  const first = await readDirectory(file, header, named, places?.first);
  const copy = redundant ? await readDirectory(file, header, header.redundantDirectoryOffset, places?.copy) : undefined;
  const usual = places !== undefined && first.sector === places.first && copy?.sector === places.copy;
  return { first, copy, usual };
}

async function readDirectory(
  file: FileWindow,
  header: SparseHeader,
  named: number,
  usual: number | undefined,
): Promise<FoundDirectory> {
  const bytes = directoryEntries(header) * entryBytes;
  const overheadBytes = header.overheadSectors * sectorBytes;
  // One that begins in the metadata ends there: else the capacity is wrong, and grains would be read as tables.
  const end = (start: number) => (start < overheadBytes ? overheadBytes : file.bytes);
  const within = (sector: number) => sector >= 1 && sector * sectorBytes + bytes <= end(sector * sectorBytes);
  if (within(named)) {
    const directory = await file.read(named * sectorBytes, bytes);
    const moved = usual !== undefined && usual !== named;
    // In another place than the usual one it counts if its tables follow it.
    if (!moved || followsItself(header, directory, named)) return { sector: named, bytes: directory };
  }
  if (usual === undefined || !within(usual)) return { sector: undefined, bytes: undefined };
  return { sector: usual, bytes: await file.read(usual * sectorBytes, bytes) };
}

function followsItself(header: SparseHeader, directory: Buffer, sector: number): boolean {
  for (let index = 0; index * entryBytes < directory.length; index += 1) {
    if (directory.readUInt32LE(index * entryBytes) !== usualTableSector(header, sector, index)) return false;
  }
  return true;
}

export function tableSectors(header: SparseHeader): number {
  return roundUp(header.entriesPerTable * entryBytes, sectorBytes) / sectorBytes;
}

/**
 * Every grain table that either directory names, put together entry by entry. What only one copy says, or both say
 * differently, is judged by the room in the file: a place that another grain has is wrong.
 */
export async function* mergedTables(
  file: FileWindow,
  header: SparseHeader,
  directories: Directories,
): AsyncGenerator<MergedTable, void, undefined> {
  const room = new GrainRoom(file, header);
  let doubtful = false;
  for await (const table of foundTables(file, header, directories)) {
    const doubted = new Set([...table.single, ...table.conflicts]);
    const copyOnly = new Set(table.copyOnly);
    doubtful ||= doubted.size > 0;
    for (const { grain, sector } of storedGrains(header, table)) if (!doubted.has(grain)) room.take(sector);
    for (const grain of doubted) {
      if (!copyOnly.has(grain)) for (const sector of placesOf(header, table, grain)) room.dispute(sector);
    }
  }
  for await (const table of foundTables(file, header, directories)) {
    yield doubtful ? settleSingle(header, await settleConflicts(file, header, table, room), room) : table;
  }
}

/** What the two copies say of a grain. */
function placesOf(header: SparseHeader, table: MergedTable, grain: number): [first: number, copy: number] {
  const at = (grain - table.index * header.entriesPerTable) * entryBytes;
  return [table.first.bytes?.readUInt32LE(at) ?? 0, table.copy?.bytes?.readUInt32LE(at) ?? 0];
}

/** Gives up what only one copy lists where its room is another's; for the redundant one, where it may be. */
function settleSingle(header: SparseHeader, table: MergedTable, room: GrainRoom): MergedTable {
  const copyOnly = new Set(table.copyOnly);
  const wrong = new Set<number>();
  for (const grain of table.single) {
    const [first, copy] = placesOf(header, table, grain);
    // Both may list it after all, in two places that hold the same.
    if (first !== 0 && copy !== 0) continue;
    const isCopy = copyOnly.has(grain);
    const sector = isCopy ? copy : first;
    if (room.isFree(sector) && !(isCopy && room.isDisputed(sector))) {
      if (isCopy) room.take(sector);
      continue;
    }
    wrong.add(grain);
    table.merged.writeUInt32LE(0, (grain - table.index * header.entriesPerTable) * entryBytes);
  }
  if (wrong.size === 0) return table;
  const kept = (grains: readonly number[]) => grains.filter((grain) => !wrong.has(grain));
  return {
    ...table,
    single: kept(table.single),
    copyOnly: kept(table.copyOnly),
    firstDamaged: [...table.firstDamaged, ...[...wrong].filter((grain) => !copyOnly.has(grain))],
    copyDamaged: [...table.copyDamaged, ...[...wrong].filter((grain) => copyOnly.has(grain))],
  };
}

/** Grains that a table stores, as far as their places make sense. */
export function* storedGrains(
  header: SparseHeader,
  table: MergedTable,
): Generator<{ readonly grain: number; readonly sector: number }, void, undefined> {
  const base = table.index * header.entriesPerTable;
  const grains = Math.ceil(header.capacity / header.grainSectors) - base;
  const entries = Math.min(grains, Math.floor(table.merged.length / entryBytes));
  const least = header.flags & sparseFlags.zeroedGrains ? 2 : 1;
  const lost = new Set(table.lost);
  for (let entry = 0; entry < entries; entry += 1) {
    const sector = table.merged.readUInt32LE(entry * entryBytes);
    if (sector >= least && !lost.has(base + entry)) yield { grain: base + entry, sector };
  }
}

async function* foundTables(
  file: FileWindow,
  header: SparseHeader,
  directories: Directories,
): AsyncGenerator<MergedTable, void, undefined> {
  const { usual } = directories;
  const [firstWindow, copyWindow] = [new ForwardWindow(file), new ForwardWindow(file)];
  for (let index = 0; index < directoryEntries(header); index += 1) {
    // Tables that are not there cost no read, and nothing else would have its turn.
    if (index % 1024 === 1023) await turn();
    const first = await readTable(firstWindow, header, directories.first, index, usual);
    const copy = directories.copy ? await readTable(copyWindow, header, directories.copy, index, usual) : undefined;
    if (first === 'none' && (copy === undefined || copy === 'none')) continue;
    const nothing: FoundTable = { sector: undefined, bytes: undefined };
    const one = first === 'none' ? nothing : first;
    // A table is not its own copy.
    const same = copy !== undefined && copy !== 'none' && copy.sector === one.sector;
    yield merge(file, header, index, one, copy === 'none' || same ? nothing : copy);
  }
}

async function readTable(
  file: ForwardWindow,
  header: SparseHeader,
  directory: FoundDirectory,
  index: number,
  usual: boolean,
): Promise<FoundTable | 'none'> {
  const sector = directory.bytes?.readUInt32LE(index * entryBytes) ?? 0;
  if (usual && directory.sector !== undefined && sector !== usualTableSector(header, directory.sector, index)) {
    return { sector: undefined, bytes: undefined };
  }
  if (sector === 0 && directory.bytes) return 'none';
  const bytes = header.entriesPerTable * entryBytes;
  if (sector === 0 || sector * sectorBytes + bytes > file.bytes) return { sector: undefined, bytes: undefined };
  return { sector, bytes: Buffer.from(await file.read(sector * sectorBytes, bytes)) };
}

function merge(
  file: FileWindow,
  header: SparseHeader,
  index: number,
  first: FoundTable,
  copy: FoundTable | undefined,
): MergedTable {
  const nothing = { lost: [], single: [], copyOnly: [], conflicts: [], firstDamaged: [], copyDamaged: [] };
  // A header with a wrong capacity has hundreds of thousands of these: none is looked at entry by entry.
  if (!first.bytes && !copy?.bytes) return { index, first, copy, merged: Buffer.alloc(0), ...nothing };
  const base = index * header.entriesPerTable;
  const entries = Math.min(header.entriesPerTable, Math.ceil(header.capacity / header.grainSectors) - base);
  const merged = Buffer.from(first.bytes ?? copy?.bytes ?? Buffer.alloc(header.entriesPerTable * entryBytes));
  const found = { firstDamaged: [], copyDamaged: [], lost: [], single: [], copyOnly: [], conflicts: [] } as Record<
    'firstDamaged' | 'copyDamaged' | 'lost' | 'single' | 'copyOnly' | 'conflicts',
    number[]
  >;
  const makesSense = entryTest(file, header);
  for (let entry = 0; entry < entries; entry += 1) {
    const one = first.bytes?.readUInt32LE(entry * entryBytes);
    const other = copy?.bytes?.readUInt32LE(entry * entryBytes);
    const oneFits = one !== undefined && makesSense(one);
    const otherFits = other !== undefined && makesSense(other);
    if (copy && oneFits && otherFits && one === other) continue;
    const grain = base + entry;
    if (!copy) {
      if (!oneFits) found.lost.push(grain);
      continue;
    }
    if (oneFits && otherFits) {
      if (one !== 0 && other !== 0) found.conflicts.push(grain);
      else found.single.push(grain);
      if (one === 0) {
        found.copyOnly.push(grain);
        merged.writeUInt32LE(other, entry * entryBytes);
      }
    } else if (oneFits) found.copyDamaged.push(grain);
    else if (otherFits) {
      found.firstDamaged.push(grain);
      merged.writeUInt32LE(other, entry * entryBytes);
    } else found.lost.push(grain);
  }
  return { index, first, copy, merged, ...found };
}

/**
 * Copies that place a grain differently agree all the same where both places hold the same: it was being moved. And one
 * of them is wrong whose place is another grain's, if the other's is not.
 */
async function settleConflicts(
  file: FileWindow,
  header: SparseHeader,
  table: MergedTable,
  room: GrainRoom,
): Promise<MergedTable> {
  if (table.conflicts.length === 0) return table;
  const conflicts: number[] = [];
  const single = [...table.single];
  const firstDamaged = [...table.firstDamaged];
  const copyDamaged = [...table.copyDamaged];
  for (const grain of table.conflicts) {
    const places = placesOf(header, table, grain);
    const [first, copy] = places;
    if (room.isFree(first) !== room.isFree(copy)) {
      const right = room.isFree(first) ? first : copy;
      (right === first ? copyDamaged : firstDamaged).push(grain);
      table.merged.writeUInt32LE(right, (grain - table.index * header.entriesPerTable) * entryBytes);
      continue;
    }
    const [one, other] = await Promise.all(places.map((sector) => grainAt(file, header, sector)));
    if (one && other?.equals(one)) single.push(grain);
    else conflicts.push(grain);
  }
  return { ...table, single, firstDamaged, copyDamaged, conflicts };
}

/** A grain's bytes, with zeros where the file ends within it; undefined for one that is marked as zeros. */
async function grainAt(file: FileWindow, header: SparseHeader, sector: number): Promise<Buffer | undefined> {
  if (sector <= 1) return undefined;
  const grain = Buffer.alloc(header.grainSectors * sectorBytes);
  const start = sector * sectorBytes;
  await file.readInto(grain.subarray(0, Math.max(0, Math.min(grain.length, file.bytes - start))), start);
  return grain;
}

/** Whether a grain table entry can be: absent, zeros, or a sector of the file behind the metadata. */
function entryTest(file: FileWindow, header: SparseHeader): (sector: number) => boolean {
  const zeroed = (header.flags & sparseFlags.zeroedGrains) !== 0;
  const least = Math.max(1, header.overheadSectors);
  const end = file.bytes / sectorBytes;
  return (sector) => sector === 0 || (sector === 1 && zeroed) || (sector >= least && sector < end);
}
