import { open, truncate } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncFolder } from '../descriptor/descriptor-file.ts';
import { fileError } from '../errors.ts';
import type { FileWindow } from '../file-window.ts';
import { isZero, roundUp, sectorBytes } from '../size.ts';
import { directoryEntries, formatSparseHeader } from '../sparse/sparse-header.ts';
import { formatMarker, markerTypes } from '../stream/markers.ts';
import type { StreamScan } from '../stream/recover-stream.ts';

const pieceBytes = 2 ** 20;

/**
 * Writes the missing tables, the directory, the footer and the end marker behind the last whole grain of a stream whose
 * damage is all behind that. What is no whole record is kept in a file beside, `….cut-<byte>`; answers its name.
 */
export async function finishStream(file: FileWindow, scan: StreamScan): Promise<string | undefined> {
  const { header, grains } = scan;
  const damage = scan.damages[0];
  const kept = damage && (await keepTail(file, damage.position));
  try {
    await truncate(file.path, Math.min(file.bytes, scan.grainsEnd));
  } catch (error) {
    throw fileError(error, file.path);
  }
  const tableBytes = roundUp(header.entriesPerTable * 4, sectorBytes);
  const directory = Buffer.alloc(roundUp(directoryEntries(header) * 4, sectorBytes));
  let position = roundUp(scan.grainsEnd, sectorBytes);
  const append = async (...parts: readonly Buffer[]) => {
    const bytes = Buffer.concat(parts);
    await file.write(bytes, position);
    position += bytes.length;
  };
  for (const [index, sectors] of grains.tables()) {
    const there = scan.tables.get(index);
    // One among the grains stays where it is: a reader of the stream counts each table once.
    if (there && there.sector * sectorBytes < scan.grainsEnd) {
      directory.writeUInt32LE(there.sector, index * 4);
      continue;
    }
    const table = Buffer.alloc(tableBytes);
    for (const [entry, place] of sectors.entries()) table.writeUInt32LE(place, entry * 4);
    directory.writeUInt32LE(position / sectorBytes + 1, index * 4);
    await append(formatMarker(markerTypes.grainTable, tableBytes / sectorBytes), table);
  }
  const directoryOffset = position / sectorBytes + 1;
  await append(formatMarker(markerTypes.grainDirectory, directory.length / sectorBytes), directory);
  const footer = formatSparseHeader({ ...header, directoryOffset });
  await file.write(Buffer.concat([footer, formatMarker(markerTypes.endOfStream, 0)]), position + sectorBytes);
  // The marker of the footer says that all of it is there: it comes to the medium last, and one sector is whole or not.
  await file.sync();
  await append(formatMarker(markerTypes.footer, 1));
  await file.sync();
  return kept;
}

/** Saves what is cut off, unless it is all zeros. */
async function keepTail(file: FileWindow, start: number): Promise<string | undefined> {
  const target = `${file.path}.cut-${start}`;
  let found = false;
  for (let at = start; at < file.bytes && !found; at += pieceBytes) {
    found = !isZero(await file.read(at, Math.min(pieceBytes, file.bytes - at)));
  }
  if (!found) return undefined;
  try {
    const handle = await open(target, 'w');
    try {
      for (let at = start; at < file.bytes; at += pieceBytes) {
        await handle.writeFile(await file.read(at, Math.min(pieceBytes, file.bytes - at)));
      }
      await handle.sync();
    } finally {
      await handle.close();
    }
    await syncFolder(dirname(target));
  } catch (error) {
    throw fileError(error, target);
  }
  return target;
}
