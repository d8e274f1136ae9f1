import type { Run } from '../disk/extent.ts';
import { VmdkError } from '../errors.ts';
import type { FileWindow } from '../file-window.ts';
import { roundUp, sectorBytes } from '../size.ts';
import { directoryEntries, type SparseHeader, sparseFlags } from './sparse-header.ts';

const entryBytes = 4;
const cachedTables = 128;
/** Empty directory entries looked at in one go, so that a huge empty disk does not hold the event loop. */
const directoryStride = 65536;

/** Grain directory and tables of a sparse extent: where each grain lies. Tables are read when needed. */
export class GrainTables {
  readonly header: SparseHeader;
  readonly grainBytes: number;
  readonly #file: FileWindow;
  readonly #directory: Buffer;
  readonly #redundant: Buffer | undefined;
  readonly #cache = new Map<number, Buffer>();

  private constructor(file: FileWindow, header: SparseHeader, directory: Buffer, redundant: Buffer | undefined) {
    this.#file = file;
    this.header = header;
    this.grainBytes = header.grainSectors * sectorBytes;
    this.#directory = directory;
    this.#redundant = redundant;
  }

  /** Reads the directory, and the redundant one when the extent is to be written. */
  static async load(file: FileWindow, header: SparseHeader): Promise<GrainTables> {
    if (header.directoryOffset === 'at-end') {
      throw new VmdkError('table-invalid', { file: file.path, reason: 'the footer names no grain directory' });
    }
    const directory = await readDirectory(file, header, header.directoryOffset);
    const redundant =
      file.writable && header.flags & sparseFlags.redundantDirectory
        ? await readDirectory(file, header, header.redundantDirectoryOffset)
        : undefined;
    return new GrainTables(file, header, directory, redundant);
  }

  /** First sector of a grain; 0 when absent, 1 when it is zeros (with the zeroed-grain flag). */
  async entry(grain: number): Promise<number> {
    const table = await this.#table(Math.floor(grain / this.header.entriesPerTable));
    if (!table) return 0;
    const sector = table.readUInt32LE((grain % this.header.entriesPerTable) * entryBytes);
    if (sector > 1 || (sector === 1 && !this.#zeroed)) this.#check(grain, sector);
    return sector;
  }

  /** First sector of the next stored grain in the same table that lies after `sector` in the file. */
  async following(grain: number, sector: number): Promise<number | undefined> {
    const { entriesPerTable } = this.header;
    const table = await this.#table(Math.floor(grain / entriesPerTable));
    for (let index = (grain % entriesPerTable) + 1; table && index < entriesPerTable; index += 1) {
      const next = table.readUInt32LE(index * entryBytes);
      if (next > sector) return next;
    }
    return undefined;
  }

  /** State at a byte offset, for at most `limit` bytes from there. */
  async locate(offset: number, limit: number): Promise<Run> {
    const { entriesPerTable } = this.header;
    const first = Math.floor(offset / this.grainBytes);
    const last = Math.floor((offset + limit - 1) / this.grainBytes);
    const firstTable = Math.floor(first / entriesPerTable);
    const table = await this.#table(firstTable);
    let end: number;
    let state: Run['state'] = 'absent';
    if (table) {
      state = this.#stateOf(table, first % entriesPerTable);
      end = first + 1;
      const tableEnd = Math.min(last + 1, (firstTable + 1) * entriesPerTable);
      while (end < tableEnd && this.#stateOf(table, end % entriesPerTable) === state) end += 1;
    } else {
      let index = firstTable + 1;
      const stop = Math.min(firstTable + directoryStride, Math.floor(last / entriesPerTable) + 1);
      while (index < stop && this.#directory.readUInt32LE(index * entryBytes) === 0) index += 1;
      end = index * entriesPerTable;
    }
    return { length: Math.min(limit, end * this.grainBytes - offset), state };
  }

  /** Points a grain to its sector, in the redundant table first; makes the table when there is none. */
  async setEntry(grain: number, sector: number): Promise<void> {
    const { entriesPerTable } = this.header;
    const index = Math.floor(grain / entriesPerTable);
    const place = (grain % entriesPerTable) * entryBytes;
    const table = (await this.#table(index)) ?? (await this.#makeTable(index));
    const value = Buffer.alloc(entryBytes);
    value.writeUInt32LE(sector);
    if (this.#redundant) {
      const copy = this.#redundant.readUInt32LE(index * entryBytes);
      if (copy === 0 || copy === this.#directory.readUInt32LE(index * entryBytes))
        throw this.#invalid(`table ${index} has no copy`);
      await this.#file.write(value, copy * sectorBytes + place);
    }
    await this.#file.write(value, this.#directory.readUInt32LE(index * entryBytes) * sectorBytes + place);
    value.copy(table, place);
  }

  get #zeroed(): boolean {
    return (this.header.flags & sparseFlags.zeroedGrains) !== 0;
  }

  #stateOf(table: Buffer, index: number): Run['state'] {
    const sector = table.readUInt32LE(index * entryBytes);
    if (sector === 0) return 'absent';
    return sector === 1 && this.#zeroed ? 'zero' : 'data';
  }

  #check(grain: number, sector: number): void {
    if (sector * sectorBytes >= this.#file.bytes) {
      throw this.#invalid(`grain ${grain} at sector ${sector} lies past the end of the file`);
    }
    if (sector < Math.max(1, this.header.overheadSectors)) {
      throw this.#invalid(`grain ${grain} at sector ${sector} lies within the metadata`);
    }
  }

  async #table(index: number): Promise<Buffer | undefined> {
    const sector = this.#directory.readUInt32LE(index * entryBytes);
    if (sector === 0) return undefined;
    let table = this.#cache.get(index);
    if (table) this.#cache.delete(index);
    else table = await this.#file.read(sector * sectorBytes, this.#tableBytes);
    this.#cache.set(index, table);
    if (this.#cache.size > cachedTables) this.#cache.delete(this.#cache.keys().next().value as number);
    return table;
  }

  async #makeTable(index: number): Promise<Buffer> {
    const empty = Buffer.alloc(roundUp(this.#tableBytes, sectorBytes));
    for (const [directory, offset] of [
      [this.#redundant, this.header.redundantDirectoryOffset],
      [this.#directory, this.header.directoryOffset as number],
    ] as const) {
      if (!directory) continue;
      const sector = roundUp(this.#file.bytes, sectorBytes) / sectorBytes;
      await this.#file.write(empty, sector * sectorBytes);
      directory.writeUInt32LE(sector, index * entryBytes);
      const value = directory.subarray(index * entryBytes, (index + 1) * entryBytes);
      await this.#file.write(value, offset * sectorBytes + index * entryBytes);
    }
    const table = empty.subarray(0, this.#tableBytes);
    this.#cache.set(index, table);
    return table;
  }

  get #tableBytes(): number {
    return this.header.entriesPerTable * entryBytes;
  }

  #invalid(reason: string): VmdkError {
    return new VmdkError('table-invalid', { file: this.#file.path, reason });
  }
}

async function readDirectory(file: FileWindow, header: SparseHeader, sector: number): Promise<Buffer> {
  const bytes = directoryEntries(header) * entryBytes;
  if (sector === 0 || sector * sectorBytes + bytes > file.bytes) {
    const reason = `grain directory of ${bytes} bytes at sector ${sector} does not lie within the file`;
    throw new VmdkError('table-invalid', { file: file.path, reason });
  }
  return file.read(sector * sectorBytes, bytes);
}
