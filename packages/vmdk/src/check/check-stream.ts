import { VmdkError } from '../errors.ts';
import type { FileWindow } from '../file-window.ts';
import { roundUp, sectorBytes } from '../size.ts';
import { GrainTables } from '../sparse/grain-tables.ts';
import type { SparseHeader } from '../sparse/sparse-header.ts';
import { CompressedExtent } from '../stream/compressed-extent.ts';
import { grainMarkerBytes } from '../stream/markers.ts';
import { inOrder } from '../stream/ordered-work.ts';
import { scanFile } from '../stream/recover-stream.ts';
import type { CheckSparseOptions, ExtentCheck } from './check-sparse.ts';
import { ExtentRoom } from './extent-room.ts';
import type { Findings } from './findings.ts';
import { mergedTables, readDirectories, storedGrains } from './merged-tables.ts';

const concurrency = 8;

export interface CheckCompressedOptions extends CheckSparseOptions {
  readonly expandGrains: boolean;
}

/** Checks the tables of a compressed extent, and that each grain expands to its size. */
export async function checkCompressed(
  file: FileWindow,
  header: SparseHeader,
  findings: Findings,
  options: CheckCompressedOptions,
): Promise<ExtentCheck> {
  const directories = await readDirectories(file, header);
  if (!directories.first.bytes) {
    findings.add('table-lost', file.path, 'no grain directory lies within the file', 'grain directory');
    return { grains: 0, leaks: [] };
  }
  const room = new ExtentRoom({ file, findings });
  const extent = CompressedExtent.over(file, await GrainTables.load(file, header));
  let grains = 0;
  for await (const table of mergedTables(file, header, directories)) {
    options.signal?.throwIfAborted();
    const place = `grain table ${table.index}`;
    if (!table.first.bytes) findings.add('table-lost', file.path, 'the directory names no place for it', place);
    for (const grain of table.lost) findings.add('grain-lost', file.path, 'its sector cannot be', `grain ${grain}`);
    const stored = [...storedGrains(header, table)];
    grains += stored.length;
    const checked = inOrder(each(stored), concurrency, async ({ grain, sector }) => ({
      grain,
      sector,
      bytes: await recordBytes(file, sector),
      damage: options.expandGrains ? await grainDamage(extent, header, grain) : undefined,
    }));
    for await (const { grain, sector, bytes, damage } of checked) {
      if (damage !== undefined) findings.add('grain-corrupt', file.path, damage, `grain ${grain}`);
      room.take(sector * sectorBytes, Math.min(bytes, file.bytes - sector * sectorBytes), `grain ${grain}`);
    }
    options.advance?.(header.entriesPerTable * header.grainSectors * sectorBytes);
  }
  return { grains, leaks: [] };
}

/** Checks a stream whose footer is not there, by its markers. */
export async function checkUnfinished(
  file: FileWindow,
  findings: Findings,
  signal: AbortSignal | undefined,
): Promise<ExtentCheck> {
  const scan = await scanFile(file, signal ? { signal } : {});
  const within = scan.damages.filter(({ position }) => position < scan.grainsEnd);
  for (const { position, bytes, reason } of within) {
    findings.add('stream-damaged', file.path, `${bytes} bytes: ${reason}; recover and convert it`, `byte ${position}`);
  }
  for (const { offset, length, certainty } of scan.lost) {
    if (within.length > 0) break;
    const reason = certainty === 'listed' ? 'its data is lost' : 'there may have been data';
    findings.add('stream-cut', file.path, reason, `${length} bytes of the disk at ${offset}`);
  }
  if (within.length === 0 && scan.lost.length === 0) {
    findings.add('stream-unfinished', file.path, 'every grain is there', `byte ${scan.grainsEnd}`);
  }
  return { grains: scan.grains.count, leaks: [] };
}

async function* each<Item>(items: readonly Item[]): AsyncGenerator<Item, void, undefined> {
  yield* items;
}

/** Bytes that a grain takes in the file, by its marker. */
async function recordBytes(file: FileWindow, sector: number): Promise<number> {
  const position = sector * sectorBytes;
  if (position + grainMarkerBytes > file.bytes) return 0;
  const marker = await file.read(position, grainMarkerBytes);
  return roundUp(grainMarkerBytes + marker.readUInt32LE(8), sectorBytes);
}

async function grainDamage(extent: CompressedExtent, header: SparseHeader, grain: number): Promise<string | undefined> {
  const start = grain * header.grainSectors;
  const length = Math.min(header.grainSectors, header.capacity - start) * sectorBytes;
  try {
    await extent.read(Buffer.allocUnsafe(length), start * sectorBytes);
    return undefined;
  } catch (error) {
    if (!(error instanceof VmdkError)) throw error;
    return error.message;
  }
}
