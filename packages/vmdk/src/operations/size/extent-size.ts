import { open, stat } from 'node:fs/promises';
import { openSparse, readSparseHeader } from '../../disk/open-extent.ts';
import { fileError, VmdkError } from '../../errors.ts';
import { FileWindow } from '../../file-window.ts';
import { isZero, roundUp, sectorBytes } from '../../size.ts';
import { directoryEntries, formatSparseHeader, type SparseHeader, sparseFlags } from '../../sparse/sparse-header.ts';

const entryBytes = 4;
const pieceBytes = 2 ** 20;

/** Length of a file in bytes. */
export async function lengthOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    throw fileError(error, path, 'extent-missing');
  }
}

/** Sets the length of a file, durably. */
export async function setLength(path: string, bytes: number): Promise<void> {
  try {
    const handle = await open(path, 'r+');
    try {
      await handle.truncate(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw fileError(error, path, 'extent-missing');
  }
}

/** Makes a flat file longer. What lies past the extent's end already must be zeros, for it becomes part of the disk. */
export async function growFlatFile(path: string, end: number, newEnd: number): Promise<void> {
  const file = await FileWindow.open(path, { missing: 'extent-missing' });
  try {
    for (let at = end; at < file.bytes; at += pieceBytes) {
      const piece = await file.read(at, Math.min(pieceBytes, file.bytes - at));
      if (!isZero(piece)) throw trailing(path, `data past byte ${at}, the end of the disk`);
    }
  } finally {
    await file.close();
  }
  await setLength(path, newEnd);
}

/**
 * Makes room in a sparse file for a larger capacity: new directories and tables at its end, the old ones left where
 * they are. Gives the header that puts them in force; until it is written the file is what it was.
 */
export async function growSparseFile(path: string, share: number, sectors: number): Promise<SparseHeader> {
  const file = await FileWindow.open(path, { writable: true, missing: 'extent-missing' });
  let handedOver = false;
  try {
    const header = await readSparseHeader(file);
    if (header.capacity >= sectors) {
      handedOver = true;
      await refuseStored(file, header, share, sectors);
      return header;
    }
    await clearPastEnd(file, header);
    const grown = await appendTables(file, header, sectors);
    await file.sync();
    return grown;
  } finally {
    if (!handedOver) await file.close();
  }
}

/** Takes tables away that an earlier call appended and did not put in force. */
export async function undoGrowth(path: string, share: number, fileBytes: number): Promise<void> {
  const file = await FileWindow.open(path, { missing: 'extent-missing' });
  try {
    const { capacity } = await readSparseHeader(file);
    if (capacity > share || file.bytes <= fileBytes) return;
  } finally {
    await file.close();
  }
  await setLength(path, fileBytes);
}

/** Puts the header of a sparse file in force. */
export async function writeSparseHeader(path: string, header: SparseHeader): Promise<void> {
  const file = await FileWindow.open(path, { writable: true });
  try {
    await file.write(formatSparseHeader(header), 0);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Refuses an extent that holds anything between its share of the disk and its new one. Takes the file over. */
async function refuseStored(file: FileWindow, header: SparseHeader, share: number, sectors: number): Promise<void> {
  const extent = await openSparse(file, header);
  try {
    for (let at = share * sectorBytes; at < sectors * sectorBytes; ) {
      const run = await extent.locate(at, Math.min(pieceBytes, sectors * sectorBytes - at));
      if (run.state === 'data') {
        const piece = Buffer.alloc(run.length);
        await extent.read(piece, at);
        if (!isZero(piece)) throw trailing(file.path, `data past byte ${at} of its extent`);
      }
      at += run.length;
    }
  } finally {
    await extent.close();
  }
}

/** Clears what nobody could see so far: the end of the last grain, and the entries of the last table past it. */
async function clearPastEnd(file: FileWindow, header: SparseHeader): Promise<void> {
  const { capacity, grainSectors, entriesPerTable } = header;
  const grains = Math.ceil(capacity / grainSectors);
  const unused = (entriesPerTable - (grains % entriesPerTable)) % entriesPerTable;
  const table = directoryEntries(header) - 1;
  for (const directory of directoriesOf(header)) {
    const sector = (await file.read(directory * sectorBytes + table * entryBytes, entryBytes)).readUInt32LE();
    if (sector === 0) continue;
    const first = grains - table * entriesPerTable;
    await file.write(Buffer.alloc(unused * entryBytes), sector * sectorBytes + first * entryBytes);
    if (directory !== header.directoryOffset || capacity % grainSectors === 0) continue;
    const last = (await file.read(sector * sectorBytes + (first - 1) * entryBytes, entryBytes)).readUInt32LE();
    const start = (last + (capacity % grainSectors)) * sectorBytes;
    const end = Math.min((last + grainSectors) * sectorBytes, file.bytes);
    if (last > 1 && end > start) await file.write(Buffer.alloc(end - start), start);
  }
}

async function appendTables(file: FileWindow, header: SparseHeader, sectors: number): Promise<SparseHeader> {
  const [before, after] = [directoryEntries(header), directoryEntries({ ...header, capacity: sectors })];
  const grown = { ...header, capacity: sectors };
  if (before === after) return grown;
  const tableSectors = Math.ceil((header.entriesPerTable * entryBytes) / sectorBytes);
  const directorySectors = Math.ceil((after * entryBytes) / sectorBytes);
  const blockSectors = directorySectors + (after - before) * tableSectors;
  const start = roundUp(file.bytes, header.grainSectors * sectorBytes) / sectorBytes;
  const directories = directoriesOf(header);
  const end = roundUp(start + directories.length * blockSectors, header.grainSectors);
  if (end + roundUp(sectors, header.grainSectors) > 0xffffffff) {
    throw new VmdkError('size-invalid', {
      file: file.path,
      reason: `${sectors} sectors do not fit a hosted sparse extent (2 TiB)`,
    });
  }
  for (const [index, old] of directories.entries()) {
    const directory = Buffer.alloc(directorySectors * sectorBytes);
    (await file.read(old * sectorBytes, before * entryBytes)).copy(directory);
    const tables = start + index * blockSectors + directorySectors;
    for (let entry = before; entry < after; entry += 1) {
      directory.writeUInt32LE(tables + (entry - before) * tableSectors, entry * entryBytes);
    }
    await file.write(directory, (start + index * blockSectors) * sectorBytes);
  }
  // The tables are one hole; the last write makes it part of the file.
  await file.write(Buffer.alloc(sectorBytes), (end - 1) * sectorBytes);
  const redundant = directories.length > 1;
  return {
    ...grown,
    ...(redundant ? { redundantDirectoryOffset: start } : {}),
    directoryOffset: start + (redundant ? blockSectors : 0),
  };
}

/** First sectors of a sparse file's directories, the redundant one first. */
function directoriesOf(header: SparseHeader): number[] {
  const redundant = header.flags & sparseFlags.redundantDirectory ? [header.redundantDirectoryOffset] : [];
  return [...redundant, header.directoryOffset as number];
}

function trailing(file: string, reason: string): VmdkError {
  return new VmdkError('trailing-data', { file, reason });
}
