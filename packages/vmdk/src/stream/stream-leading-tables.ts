import { VmdkError } from '../errors.ts';
import { sectorBytes } from '../size.ts';
import { directoryEntries, type SparseHeader } from '../sparse/sparse-header.ts';
import type { ByteQueue } from './byte-queue.ts';

/**
 * Passes over the metadata in front of the grains. Where it holds the grain tables, as `qemu-img convert` writes them,
 * counts the grains that they promise; undefined where the tables come later.
 */
export async function countLeadingTables(
  queue: ByteQueue,
  header: SparseHeader,
  file: string,
): Promise<number | undefined> {
  const end = header.overheadSectors * sectorBytes;
  const directoryStart = header.directoryOffset === 'at-end' ? end : header.directoryOffset * sectorBytes;
  const directoryBytes = directoryEntries(header) * 4;
  if (directoryStart < queue.position || directoryStart + directoryBytes > end) {
    await queue.skip(Math.max(0, end - queue.position));
    return undefined;
  }
  await queue.skip(directoryStart - queue.position);
  const directory = await queue.take(directoryBytes);
  let grains = 0;
  for (let at = 0; at < directory.length; at += 4) {
    const sector = directory.readUInt32LE(at);
    if (sector === 0) continue;
    const start = sector * sectorBytes;
    if (start < queue.position || start + header.entriesPerTable * 4 > end) {
      throw new VmdkError('table-invalid', { file, reason: `grain table at sector ${sector} is out of place` });
    }
    await queue.skip(start - queue.position);
    grains += countGrains(await queue.take(header.entriesPerTable * 4));
  }
  await queue.skip(end - queue.position);
  return grains;
}

/** Grains that a table stores; 0 is absent, 1 is zeros. */
export function countGrains(table: Buffer): number {
  let grains = 0;
  for (let at = 0; at + 4 <= table.length; at += 4) {
    if (table.readUInt32LE(at) > 1) grains += 1;
  }
  return grains;
}
