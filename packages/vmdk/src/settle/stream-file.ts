import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { checkFooter } from '../disk/open-extent.ts';
import { fileError, VmdkError } from '../errors.ts';
import { sectorBytes } from '../size.ts';
import { directoryEntries, parseSparseHeader, type SparseHeader, sparseFlags } from '../sparse/sparse-header.ts';
import { markerTypes } from '../stream/markers.ts';

const entryBytes = 4;

/** Where a streamOptimized disk lies: a file of its own, or a stretch of an archive. */
export interface StreamPlace {
  readonly path: string;
  /** First byte of the disk in the file. */
  readonly offset: number;
  /** Bytes from there. */
  readonly length: number;
  /** Name for error messages, such as `disk1.vmdk in app.ova`. Default `path`. */
  readonly name?: string;
}

/**
 * A streamOptimized disk in a file, read without leaving the thread: for a thread of its own, whose priority is then
 * that of all its work.
 */
export class StreamFile {
  readonly name: string;
  readonly bytes: number;
  /** The header in front, whose overhead says where grains begin. */
  readonly front: SparseHeader;
  /** The header that names the tables: the footer, where there is one. */
  readonly header: SparseHeader;
  readonly #file: number;
  readonly #offset: number;
  readonly #directory: Buffer;
  #table: { readonly index: number; readonly entries: Buffer } | undefined;

  private constructor(place: StreamPlace, file: number) {
    this.name = place.name ?? place.path;
    this.#file = file;
    this.#offset = place.offset;
    this.bytes = place.length;
    const { size } = fstatSync(file);
    if (place.offset + place.length > size) {
      const reason = `it ends at byte ${size}, ${place.offset + place.length} expected`;
      throw new VmdkError('truncated', { file: this.name, reason });
    }
    this.front = parseSparseHeader(this.read(0, sectorBytes), this.name);
    const wanted = sparseFlags.compressed | sparseFlags.markers;
    if ((this.front.flags & wanted) !== wanted) {
      throw new VmdkError('header-invalid', { file: this.name, reason: 'it is no streamOptimized disk' });
    }
    this.header = this.front.directoryOffset === 'at-end' ? this.#footer() : this.front;
    const directoryBytes = directoryEntries(this.header) * entryBytes;
    this.#directory = this.read((this.header.directoryOffset as number) * sectorBytes, directoryBytes);
  }

  static open(place: StreamPlace): StreamFile {
    const name = place.name ?? place.path;
    let file: number | undefined;
    try {
      file = openSync(place.path, 'r');
      return new StreamFile(place, file);
    } catch (error) {
      if (file !== undefined) closeSync(file);
      throw fileError(error, name);
    }
  }

  /** Exactly these bytes of the disk's own file; `truncated` when it ends before. */
  read(position: number, length: number): Buffer {
    if (position < 0 || position + length > this.bytes) throw this.#ended(position, length);
    const buffer = Buffer.allocUnsafe(length);
    for (let done = 0; done < length; ) {
      const count = readSync(this.#file, buffer, done, length - done, this.#offset + position + done);
      if (count === 0) throw this.#ended(position + done, length - done);
      done += count;
    }
    return buffer;
  }

  /** Sector at which the tables say that a grain begins; 0: nowhere. */
  grainSector(grain: number): number {
    const { entriesPerTable } = this.header;
    const entries = this.#entries(Math.floor(grain / entriesPerTable));
    const sector = entries?.readUInt32LE((grain % entriesPerTable) * entryBytes) ?? 0;
    return sector === 1 && (this.header.flags & sparseFlags.zeroedGrains) !== 0 ? 0 : sector;
  }

  /** Grains that the tables name, each before the next in the file and all within it; `table-invalid` where one is not. */
  countGrains(): number {
    const { entriesPerTable, overheadSectors } = this.header;
    const zeroed = (this.header.flags & sparseFlags.zeroedGrains) !== 0;
    const end = Math.floor(this.bytes / sectorBytes);
    let previous = Math.max(overheadSectors, this.front.overheadSectors) - 1;
    let grains = 0;
    for (let index = 0; index < directoryEntries(this.header); index += 1) {
      const entries = this.#entries(index);
      for (let entry = 0; entries !== undefined && entry < entriesPerTable; entry += 1) {
        const sector = entries.readUInt32LE(entry * entryBytes);
        if (sector === 0 || (sector === 1 && zeroed)) continue;
        if (sector <= previous || sector >= end) {
          const grain = index * entriesPerTable + entry;
          throw this.invalidTable(`grain ${grain} is at sector ${sector}, after one at ${previous}, of ${end}`);
        }
        previous = sector;
        grains += 1;
      }
    }
    return grains;
  }

  invalidTable(reason: string): VmdkError {
    return new VmdkError('table-invalid', { file: this.name, reason });
  }

  close(): void {
    closeSync(this.#file);
  }

  #entries(index: number): Buffer | undefined {
    if (this.#table?.index === index) return this.#table.entries;
    const sector = this.#directory.readUInt32LE(index * entryBytes);
    if (sector === 0) return undefined;
    const entries = this.read(sector * sectorBytes, this.header.entriesPerTable * entryBytes);
    this.#table = { index, entries };
    return entries;
  }

  #footer(): SparseHeader {
    const start = this.bytes - 3 * sectorBytes;
    const invalid = () =>
      new VmdkError('truncated', { file: this.name, place: 'footer', reason: 'it does not end with a footer' });
    if (start < this.front.overheadSectors * sectorBytes || start % sectorBytes !== 0) throw invalid();
    const tail = this.read(start, 3 * sectorBytes);
    if (tail.readUInt32LE(8) !== 0 || tail.readUInt32LE(12) !== markerTypes.footer) throw invalid();
    const footer = parseSparseHeader(tail.subarray(sectorBytes, 2 * sectorBytes), this.name);
    checkFooter(this.front, footer, this.name);
    return footer;
  }

  #ended(position: number, length: number): VmdkError {
    const reason = `${length} bytes wanted, ${Math.max(0, this.bytes - position)} are there`;
    return new VmdkError('truncated', { file: this.name, place: `byte ${position}`, reason });
  }
}
