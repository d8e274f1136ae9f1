import type { FileWindow } from '../file-window.ts';
import { sectorBytes } from '../size.ts';
import type { SparseHeader } from '../sparse/sparse-header.ts';
import { usualTableSector } from '../sparse/sparse-layout.ts';
import { type FoundTable, type MergedTable, mergedTables, readDirectories, tableSectors } from './merged-tables.ts';

const entryBytes = 4;
/** Byte of the header with the offsets of both directories, the redundant one first. */
const directoryOffsets = 48;

/**
 * Writes each grain table as both copies together have it, the redundant one first, so that a kill leaves one of them
 * whole. What neither copy tells stays as it is, and so does a table of which the copies disagree for good, and all of an
 * extent that is not laid out as usual. Answers what was done.
 */
export async function repairTables(file: FileWindow, header: SparseHeader): Promise<string[]> {
  const directories = await readDirectories(file, header);
  if (!directories.usual) return [];
  const first = directories.first as PlacedDirectory;
  const copy = directories.copy as PlacedDirectory;
  const done: string[] = [];
  let tables = 0;
  for await (const table of mergedTables(file, header, directories)) {
    if (!table.first.bytes && !table.copy?.bytes) continue;
    // A reader takes all of a table from its copy when it is damaged: made whole, it would show its own side of these.
    if (table.conflicts.length > 0) continue;
    const changed = await repairTable(file, header, copy, table, table.copy);
    if ((await repairTable(file, header, first, table, table.first)) || changed) tables += 1;
  }
  if (tables > 0) done.push(`${tables} grain tables were made whole from their copies`);
  if (header.directoryOffset !== first.sector || header.redundantDirectoryOffset !== copy.sector) {
    const offsets = Buffer.alloc(16);
    offsets.writeBigUInt64LE(BigInt(copy.sector), 0);
    offsets.writeBigUInt64LE(BigInt(first.sector), 8);
    await file.write(offsets, directoryOffsets);
    done.push('both grain directories have their places in the header again');
  }
  if (done.length > 0) await file.sync();
  return done;
}

interface PlacedDirectory {
  readonly sector: number;
  readonly bytes: Buffer;
}

/** Writes one copy of a table and its entry in the directory where they differ; says whether they did. */
async function repairTable(
  file: FileWindow,
  header: SparseHeader,
  directory: PlacedDirectory,
  table: MergedTable,
  found: FoundTable | undefined,
): Promise<boolean> {
  const wanted = Buffer.from(table.merged);
  // Nobody knows better about these than the copy itself.
  const base = table.index * header.entriesPerTable;
  for (const grain of found?.bytes ? table.lost : []) {
    const at = (grain - base) * entryBytes;
    found?.bytes?.copy(wanted, at, at, at + entryBytes);
  }
  let changed = false;
  const sector = usualTableSector(header, directory.sector, table.index);
  if (!found?.bytes?.equals(wanted)) {
    const padded = Buffer.alloc(tableSectors(header) * sectorBytes);
    wanted.copy(padded);
    await file.write(padded, sector * sectorBytes);
    changed = true;
  }
  if (found?.sector !== sector) {
    const entry = Buffer.alloc(entryBytes);
    entry.writeUInt32LE(sector);
    await file.write(entry, directory.sector * sectorBytes + table.index * entryBytes);
    changed = true;
  }
  return changed;
}
