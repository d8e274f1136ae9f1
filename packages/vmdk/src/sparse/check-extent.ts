import { setImmediate as turn } from 'node:timers/promises';
import { readSparseHeader } from '../disk/open-extent.ts';
import { VmdkError } from '../errors.ts';
import { FileWindow } from '../file-window.ts';
import { sectorBytes } from '../size.ts';
import { directoryEntries, type SparseHeader, sparseFlags } from './sparse-header.ts';

const entryBytes = 4;
/** Tables that are looked at before others get a turn: 2 MiB of them. */
const tablesATurn = 1024;

/**
 * Checks that a hosted sparse file holds every grain that its tables name: `truncated` when it was cut off,
 * `extent-missing` when it is not there. Reads the tables, commonly 1/16384 of the disk, and no data.
 */
export async function checkSparseExtent(path: string): Promise<void> {
  const file = await FileWindow.open(path, { missing: 'extent-missing' });
  try {
    const header = await readSparseHeader(file);
    const needed = await storedEnd(file, header);
    if (needed > file.bytes) {
      throw new VmdkError('truncated', { file: path, reason: `${file.bytes} bytes where its tables name ${needed}` });
    }
  } finally {
    await file.close();
  }
}

/** First byte after the last grain; of a compressed one, whose length is its own, the first byte is counted. */
async function storedEnd(file: FileWindow, header: SparseHeader): Promise<number> {
  const { grainSectors, entriesPerTable, capacity } = header;
  const directory = await readTable(file, header.directoryOffset as number, directoryEntries(header));
  const least = header.flags & sparseFlags.zeroedGrains ? 2 : 1;
  const compressed = (header.flags & sparseFlags.compressed) !== 0;
  let end = 0;
  for (let index = 0; index < directory.length / entryBytes; index += 1) {
    const sector = directory.readUInt32LE(index * entryBytes);
    if (sector === 0) continue;
    const table = await readTable(file, sector, entriesPerTable);
    for (let entry = 0; entry < entriesPerTable; entry += 1) {
      const start = table.readUInt32LE(entry * entryBytes);
      if (start < least) continue;
      // The disk may end within its last grain, and the file with it.
      const left = capacity - (index * entriesPerTable + entry) * grainSectors;
      if (left > 0) end = Math.max(end, (start + (compressed ? 1 : Math.min(grainSectors, left))) * sectorBytes);
    }
    if (index % tablesATurn === 0) await turn();
  }
  return end;
}

async function readTable(file: FileWindow, sector: number, entries: number): Promise<Buffer> {
  const bytes = entries * entryBytes;
  if (sector === 0 || sector * sectorBytes + bytes > file.bytes) {
    const reason = `a table of ${bytes} bytes at sector ${sector} does not lie within its ${file.bytes} bytes`;
    throw new VmdkError('truncated', { file: file.path, reason });
  }
  return file.read(sector * sectorBytes, bytes);
}
