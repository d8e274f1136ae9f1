import type { OnWarning } from '../disk/disk-warning.ts';
import type { Extent, Run } from '../disk/extent.ts';
import { VmdkError } from '../errors.ts';
import type { FileWindow } from '../file-window.ts';
import { sectorBytes } from '../size.ts';
import { defaultConcurrency, inflateGrain, maximumCompressedBytes } from '../sparse/grain-codec.ts';
import { type GrainPlaces, GrainTables } from '../sparse/grain-tables.ts';
import type { SparseHeader } from '../sparse/sparse-header.ts';
import { BulkExpander } from './bulk-expander.ts';
import { grainMarkerBytes } from './markers.ts';

const cachedGrains = 16;
/** Reads of so many grains are expanded on every processor, this many bytes at once. */
const leastBulkGrains = 4;
const bulkBytes = 2 ** 20;

/** A compressed sparse extent (streamOptimized), read by its grain tables. */
export class CompressedExtent implements Extent {
  readonly bytes: number;
  readonly blockBytes: number;
  readonly #file: FileWindow;
  readonly #tables: GrainPlaces;
  readonly #bulk: BulkExpander;
  readonly #cache = new Map<number, Promise<Buffer>>();

  private constructor(file: FileWindow, tables: GrainPlaces) {
    this.#file = file;
    this.#tables = tables;
    this.bytes = tables.header.capacity * sectorBytes;
    this.blockBytes = tables.grainBytes;
    this.#bulk = new BulkExpander(file, tables, this.bytes);
  }

  /** `header`: the footer, where the header in front defers to it. */
  static async open(file: FileWindow, header: SparseHeader, onWarning?: OnWarning): Promise<CompressedExtent> {
    if (file.writable)
      throw new VmdkError('read-only', { file: file.path, reason: 'compressed extents are written once' });
    return new CompressedExtent(file, await GrainTables.load(file, header, onWarning));
  }

  /** An extent whose grains are known from elsewhere than its tables. */
  static over(file: FileWindow, places: GrainPlaces): CompressedExtent {
    return new CompressedExtent(file, places);
  }

  locate(offset: number, limit: number): Promise<Run> {
    return this.#tables.locate(offset, limit);
  }

  async read(buffer: Uint8Array, offset: number): Promise<void> {
    const span = defaultConcurrency * this.blockBytes;
    for (let done = 0; done < buffer.length; ) {
      const at = offset + done;
      const within = at % bulkBytes;
      const bulk = buffer.subarray(done, done + bulkBytes - within);
      if (within % this.blockBytes === 0 && bulk.length >= leastBulkGrains * this.blockBytes) {
        await this.#readBulk(bulk, at);
        done += bulk.length;
        continue;
      }
      const length = Math.min(buffer.length - done, span - (at % span));
      await this.#readSpan(buffer.subarray(done, done + length), at);
      done += length;
    }
  }

  /** Many whole grains; what is not right with one of them the reader of single grains says. */
  async #readBulk(buffer: Uint8Array, offset: number): Promise<void> {
    if (!(await this.#bulk.read(buffer, offset / this.blockBytes))) await this.#readSpan(buffer, offset);
  }

  async #readSpan(buffer: Uint8Array, offset: number): Promise<void> {
    const pieces: Promise<void>[] = [];
    for (let done = 0; done < buffer.length; ) {
      const at = offset + done;
      const within = at % this.blockBytes;
      const target = buffer.subarray(done, done + this.blockBytes - within);
      pieces.push(this.#grain((at - within) / this.blockBytes).then((data) => copyPiece(data, within, target)));
      done += target.length;
    }
    const failed = (await Promise.allSettled(pieces)).find((piece) => piece.status === 'rejected');
    if (failed) throw failed.reason;
  }

  async write(): Promise<void> {
    throw new VmdkError('read-only', { file: this.#file.path, reason: 'compressed extents are written once' });
  }

  async flush(): Promise<void> {}

  async close(): Promise<void> {
    await this.#bulk.close();
    await this.#file.close();
  }

  #grain(index: number): Promise<Buffer> {
    let grain = this.#cache.get(index);
    if (grain !== undefined) this.#cache.delete(index);
    else grain = this.#load(index);
    this.#cache.set(index, grain);
    if (this.#cache.size > cachedGrains) this.#cache.delete(this.#cache.keys().next().value as number);
    return grain;
  }

  async #load(index: number): Promise<Buffer> {
    const sector = await this.#tables.entry(index);
    const corrupt = (reason: string, cause?: unknown) =>
      new VmdkError('grain-corrupt', { file: this.#file.path, place: `sector ${sector}`, reason, cause });
    const position = sector * sectorBytes;
    const largest = Math.min(grainMarkerBytes + maximumCompressedBytes(this.blockBytes), this.#file.bytes - position);
    // Grains usually follow one another, so the next one tells how much to read.
    const next = await this.#tables.following(index, sector);
    const guess = next === undefined ? this.blockBytes : (next - sector) * sectorBytes;
    let record = await this.#file.read(position, Math.min(largest, guess));
    if (record.length < grainMarkerBytes) throw corrupt('the file ends within its marker');
    const lba = record.readBigUInt64LE(0);
    const end = grainMarkerBytes + record.readUInt32LE(8);
    if (lba !== BigInt(index * this.#tables.header.grainSectors)) throw corrupt(`its marker names sector ${lba}`);
    if (end === grainMarkerBytes || end > largest) throw corrupt(`compressed size of ${end - grainMarkerBytes} bytes`);
    if (end > record.length) record = await this.#file.read(position, end);
    let data: Buffer;
    try {
      data = await inflateGrain(record.subarray(grainMarkerBytes, end), this.blockBytes);
    } catch (cause) {
      throw corrupt(cause instanceof Error ? cause.message : String(cause), cause);
    }
    const wanted = Math.min(this.blockBytes, this.bytes - index * this.blockBytes);
    if (data.length < wanted) throw corrupt(`expands to ${data.length} of ${wanted} bytes`);
    return data;
  }
}

function copyPiece(data: Buffer, within: number, target: Uint8Array): void {
  target.set(data.subarray(within, within + target.length));
}
