import { checkFooter } from '../disk/open-extent.ts';
import { VmdkError } from '../errors.ts';
import { isZero, roundUp, sectorBytes } from '../size.ts';
import { maximumCompressedBytes } from '../sparse/grain-codec.ts';
import { parseSparseHeader, type SparseHeader, sparseFlags } from '../sparse/sparse-header.ts';
import type { ByteQueue } from './byte-queue.ts';
import { grainMarkerBytes, markerTypes } from './markers.ts';
import { countGrains } from './stream-leading-tables.ts';

/** A grain as it stands in the stream. */
export interface CompressedGrain {
  /** First sector on the disk. */
  readonly lba: number;
  readonly data: Buffer;
  /** Byte of the stream where its marker begins. */
  readonly position: number;
}

/**
 * Grains of a streamOptimized extent, from the first marker to the end of the stream. `promised`: how many grains the
 * tables in front promise; the stream may then end without an end marker.
 */
export async function* compressedGrains(
  queue: ByteQueue,
  header: SparseHeader,
  file: string,
  promised: number | undefined,
): AsyncGenerator<CompressedGrain, void, undefined> {
  let previous = -1;
  let grains = 0;
  let listed = promised ?? 0;
  let hasTables = promised !== undefined;
  let hasFooter = false;
  for (;;) {
    const position = queue.position;
    const invalid = (reason: string) => new VmdkError('marker-invalid', { file, place: `byte ${position}`, reason });
    if (promised !== undefined && (await queue.atEnd())) break;
    const marker = await queue.peek(grainMarkerBytes);
    const value = marker.readBigUInt64LE(0);
    const size = marker.readUInt32LE(8);
    if (size > 0) {
      if (hasFooter) throw invalid('a grain after the footer');
      const lba = checkGrain(value, size, header, previous, invalid);
      const record = await queue.take(roundUp(grainMarkerBytes + size, sectorBytes));
      yield { lba, data: record.subarray(grainMarkerBytes, grainMarkerBytes + size), position };
      previous = lba;
      grains += 1;
      continue;
    }
    const type = (await queue.take(sectorBytes)).readUInt32LE(grainMarkerBytes);
    if (type === markerTypes.endOfStream) {
      if (header.directoryOffset === 'at-end' && !hasFooter) throw invalid('the end marker comes without a footer');
      await expectEnd(queue, file);
      break;
    }
    if (type === markerTypes.grainTable) {
      const sectors = Math.ceil((header.entriesPerTable * 4) / sectorBytes);
      if (value !== BigInt(sectors)) throw invalid(`grain table of ${value} sectors, not ${sectors}`);
      listed += countGrains((await queue.take(sectors * sectorBytes)).subarray(0, header.entriesPerTable * 4));
      hasTables = true;
    } else if (type === markerTypes.grainDirectory) {
      if (value > 32768n) throw invalid(`grain directory of ${value} sectors`);
      await queue.skip(Number(value) * sectorBytes);
    } else if (type === markerTypes.footer) {
      if (value !== 1n) throw invalid(`footer of ${value} sectors`);
      checkFooter(header, parseSparseHeader(await queue.take(sectorBytes), file), file);
      hasFooter = true;
    } else throw invalid(`marker type ${type}`);
  }
  const redundant = (header.flags & sparseFlags.redundantDirectory) !== 0 && promised === undefined;
  if (hasTables && !redundant && listed !== grains) {
    const reason = `its tables list ${listed} grains, ${grains} came`;
    throw new VmdkError(listed > grains ? 'truncated' : 'table-invalid', {
      file,
      place: `byte ${queue.position}`,
      reason,
    });
  }
}

function checkGrain(
  lba: bigint,
  size: number,
  header: SparseHeader,
  previous: number,
  invalid: (reason: string) => VmdkError,
): number {
  if (lba >= BigInt(header.capacity)) throw invalid(`grain at sector ${lba} of a disk of ${header.capacity}`);
  const sector = Number(lba);
  if (sector % header.grainSectors !== 0) throw invalid(`grain at sector ${lba} is not aligned`);
  if (sector <= previous) throw invalid(`grain at sector ${lba} after sector ${previous}`);
  if (size > maximumCompressedBytes(header.grainSectors * sectorBytes)) throw invalid(`grain of ${size} bytes`);
  return sector;
}

/** Reads to the end, so that whoever digests the stream sees all of it; only zeros may follow. */
async function expectEnd(queue: ByteQueue, file: string): Promise<void> {
  for (;;) {
    const place = `byte ${queue.position}`;
    const rest = await queue.takeSome();
    if (!rest) return;
    if (!isZero(rest)) throw new VmdkError('trailing-data', { file, place, reason: 'not zeros' });
  }
}
