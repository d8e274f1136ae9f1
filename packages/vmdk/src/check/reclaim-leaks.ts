import { truncate } from 'node:fs/promises';
import { fileError } from '../errors.ts';
import type { FileWindow } from '../file-window.ts';
import { roundUp, sectorBytes } from '../size.ts';
import { GrainTables } from '../sparse/grain-tables.ts';
import type { SparseHeader } from '../sparse/sparse-header.ts';
import type { ExtentCheck } from './check-sparse.ts';
import { mergedTables, readDirectories, storedGrains } from './merged-tables.ts';

/** Grains moved between two syncs. */
const movesAtOnce = 256;

/**
 * Gives room back that nothing refers to: the last grains of the file move into it, and the file is cut behind what is
 * left. A grain's old place stays as it is until both tables name the new one, so a kill loses nothing. Only for an
 * extent that is otherwise sound. Answers the bytes that the file lost.
 */
export async function reclaimLeaks(
  file: FileWindow,
  header: SparseHeader,
  leaks: ExtentCheck['leaks'],
  signal?: AbortSignal,
): Promise<number> {
  const grainBytes = header.grainSectors * sectorBytes;
  const slots = leaks.flatMap(({ start, bytes }) => slotsOf(start, start + bytes, grainBytes));
  const directories = await readDirectories(file, header);
  const leaked = leaks.reduce((sum, { bytes }) => sum + bytes, 0);
  // No more grains than there is room for can move, and those lie behind here.
  const threshold = file.bytes - 2 * leaked - grainBytes;
  const last: { grain: number; start: number }[] = [];
  let tablesEnd = header.overheadSectors * sectorBytes;
  let kept = tablesEnd;
  for await (const table of mergedTables(file, header, directories)) {
    for (const found of [table.first, table.copy]) {
      if (found?.sector === undefined) continue;
      tablesEnd = Math.max(tablesEnd, found.sector * sectorBytes + roundUp(header.entriesPerTable * 4, sectorBytes));
    }
    for (const { grain, sector } of storedGrains(header, table)) {
      const start = sector * sectorBytes;
      if (start >= threshold) last.push({ grain, start });
      else kept = Math.max(kept, start + grainBytes);
    }
  }
  last.sort((one, other) => other.start - one.start);
  const tables = await GrainTables.load(file, header);
  let moved = 0;
  while (moved < last.length && moved < slots.length) {
    signal?.throwIfAborted();
    const batch: { grain: number; slot: number }[] = [];
    for (; batch.length < movesAtOnce && moved < last.length && moved < slots.length; moved += 1) {
      const { grain, start } = last[moved] as { grain: number; start: number };
      const slot = slots[moved] as number;
      if (slot >= start) break;
      const data = Buffer.alloc(grainBytes);
      await file.readInto(data.subarray(0, Math.min(grainBytes, file.bytes - start)), start);
      await file.write(data, slot);
      batch.push({ grain, slot });
    }
    if (batch.length === 0) break;
    await file.sync();
    for (const { grain, slot } of batch) await tables.setEntry(grain, slot / sectorBytes);
    await tables.writePending();
    await file.sync();
    for (const { slot } of batch) kept = Math.max(kept, slot + grainBytes);
  }
  const rest = last.slice(moved).reduce((end, { start }) => Math.max(end, Math.min(start + grainBytes, file.bytes)), 0);
  const end = Math.max(kept, rest, tablesEnd);
  if (end >= file.bytes) return 0;
  const freed = file.bytes - end;
  try {
    await truncate(file.path, end);
  } catch (error) {
    throw fileError(error, file.path);
  }
  return freed;
}

/** Places for whole grains, aligned as writers place them. */
function slotsOf(start: number, end: number, grainBytes: number): number[] {
  const slots: number[] = [];
  for (let slot = roundUp(start, grainBytes); slot + grainBytes <= end; slot += grainBytes) slots.push(slot);
  return slots;
}
