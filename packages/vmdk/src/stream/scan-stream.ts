import type { FileWindow } from '../file-window.ts';
import { ForwardWindow } from '../forward-window.ts';
import { isZero, roundUp, sectorBytes } from '../size.ts';
import { inflateGrain, maximumCompressedBytes } from '../sparse/grain-codec.ts';
import { isSparseHeader, parseSparseHeader, type SparseHeader } from '../sparse/sparse-header.ts';
import { grainMarkerBytes, markerTypes } from './markers.ts';
import { inOrder } from './ordered-work.ts';

const concurrency = 8;

/** A record of a stream, found by its marker. */
export type StreamRecord =
  | { readonly type: 'grain'; readonly position: number; readonly bytes: number; readonly lba: number }
  | {
      readonly type: 'table' | 'directory';
      readonly position: number;
      readonly bytes: number;
      readonly entries: Buffer;
    }
  | { readonly type: 'footer'; readonly position: number; readonly bytes: number; readonly header: SparseHeader }
  /** Bytes that are no record, or a grain that cannot be expanded. */
  | { readonly type: 'damage'; readonly position: number; readonly bytes: number; readonly reason: string }
  /** The end marker with nothing behind it. */
  | { readonly type: 'end'; readonly position: number; readonly bytes: number };

type Found = StreamRecord | { readonly type: 'compressed'; readonly grain: GrainRecord; readonly data: Buffer };

interface GrainRecord {
  readonly type: 'grain';
  readonly position: number;
  readonly bytes: number;
  readonly lba: number;
}

/**
 * Walks the markers of a streamOptimized file from the first grain on and expands every grain. Where there is no
 * marker it goes on sector by sector until there is one. Never fails for what the file holds.
 */
export async function* scanStream(
  file: FileWindow,
  header: SparseHeader,
  signal?: AbortSignal,
): AsyncGenerator<StreamRecord, void, undefined> {
  const grainBytes = header.grainSectors * sectorBytes;
  const checked = inOrder(records(file, header, signal), concurrency, async (found): Promise<StreamRecord> => {
    if (found.type !== 'compressed') return found;
    const reason = await grainDamage(found.data, found.grain.lba, header, grainBytes);
    if (reason === undefined) return found.grain;
    const { position, bytes } = found.grain;
    return { type: 'damage', position, bytes, reason: `the grain of sector ${found.grain.lba}: ${reason}` };
  });
  yield* checked;
}

async function* records(
  file: FileWindow,
  header: SparseHeader,
  signal: AbortSignal | undefined,
): AsyncGenerator<Found, void, undefined> {
  const source = new ForwardWindow(file);
  let damage = -1;
  for (let position = header.overheadSectors * sectorBytes; position < file.bytes; ) {
    signal?.throwIfAborted();
    const found = await recordAt(source, header, position, damage >= 0);
    if (found === undefined) {
      if (damage < 0) damage = position;
      position += sectorBytes;
      continue;
    }
    if (damage >= 0) yield gap(damage, position);
    damage = -1;
    yield found;
    position += found.type === 'compressed' ? found.grain.bytes : found.bytes;
  }
  if (damage >= 0) yield gap(damage, file.bytes);
}

function gap(start: number, end: number): StreamRecord {
  return { type: 'damage', position: start, bytes: end - start, reason: 'no marker, or less than its record' };
}

/** The record at a position; undefined where there is none. `lost`: the position is a guess, so more is asked of it. */
async function recordAt(
  source: ForwardWindow,
  header: SparseHeader,
  position: number,
  lost: boolean,
): Promise<Found | undefined> {
  const sector = await source.read(position, sectorBytes);
  if (sector.length < grainMarkerBytes + 4) return undefined;
  const value = sector.readBigUInt64LE(0);
  const size = sector.readUInt32LE(8);
  if (size > 0) return grainAt(source, header, position, value, size, lost);
  if (sector.length < sectorBytes) return undefined;
  const type = sector.readUInt32LE(grainMarkerBytes);
  const sectors = Number(value);
  if (type === markerTypes.endOfStream) {
    if (value !== 0n || lost || !isZero(sector)) return undefined;
    return (await source.isZeroFrom(position)) ? { type: 'end', position, bytes: source.bytes - position } : undefined;
  }
  if (value < 1n || value > 32768n) return undefined;
  const body = await source.read(position + sectorBytes, sectors * sectorBytes);
  if (body.length < sectors * sectorBytes) return undefined;
  const bytes = (1 + sectors) * sectorBytes;
  if (type === markerTypes.grainTable) {
    const entries = Buffer.from(body.subarray(0, header.entriesPerTable * 4));
    return entries.length === header.entriesPerTable * 4 ? { type: 'table', position, bytes, entries } : undefined;
  }
  if (type === markerTypes.grainDirectory) return { type: 'directory', position, bytes, entries: Buffer.from(body) };
  if (type !== markerTypes.footer || !isSparseHeader(body)) return undefined;
  try {
    return { type: 'footer', position, bytes, header: parseSparseHeader(body.subarray(0, sectorBytes), source.path) };
  } catch {
    return undefined;
  }
}

async function grainAt(
  source: ForwardWindow,
  header: SparseHeader,
  position: number,
  lba: bigint,
  size: number,
  lost: boolean,
): Promise<Found | undefined> {
  const grainBytes = header.grainSectors * sectorBytes;
  if (lba >= BigInt(header.capacity) || Number(lba) % header.grainSectors !== 0) return undefined;
  if (size > maximumCompressedBytes(grainBytes)) return undefined;
  const end = grainMarkerBytes + size;
  const record = await source.read(position, end);
  if (record.length < end) return undefined;
  const data = Buffer.from(record.subarray(grainMarkerBytes, end));
  const zlib = data.length > 2 && ((data[0] as number) & 15) === 8 && data.readUInt16BE(0) % 31 === 0;
  if (!zlib) return undefined;
  const bytes = Math.min(roundUp(end, sectorBytes), source.bytes - position);
  const grain: GrainRecord = { type: 'grain', position, bytes, lba: Number(lba) };
  if (lost && (await grainDamage(data, grain.lba, header, grainBytes)) !== undefined) return undefined;
  return { type: 'compressed', grain, data };
}

async function grainDamage(
  data: Buffer,
  lba: number,
  header: SparseHeader,
  grainBytes: number,
): Promise<string | undefined> {
  try {
    const expanded = await inflateGrain(data, grainBytes);
    const wanted = Math.min(grainBytes, (header.capacity - lba) * sectorBytes);
    return expanded.length < wanted ? `expands to ${expanded.length} of ${wanted} bytes` : undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
