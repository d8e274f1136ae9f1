import type { OnWarning } from '../disk/disk-warning.ts';
import type { Run } from '../disk/extent.ts';
import { VmdkError } from '../errors.ts';
import type { FileWindow } from '../file-window.ts';
import { roundUp, sectorBytes } from '../size.ts';
import { directoryEntries, type SparseHeader, sparseFlags } from './sparse-header.ts';

const entryBytes = 4;
const cachedTables = 128;
/** Empty directory entries looked at in one go, so that a huge empty disk does not hold the event loop. */
const directoryStride = 65536;

/** Where the grains of a sparse extent lie, and what it says of itself. */
export type GrainPlaces = Pick<GrainTables, 'header' | 'grainBytes' | 'entry' | 'following' | 'locate'>;

/**
 * Grain directory and tables of a sparse extent: where each grain lies. Tables are read when needed. What is damaged is
 * read from its redundant copy, with a warning; such an extent is not written before it is repaired.
 */
export class GrainTables {
  readonly header: SparseHeader;
  readonly grainBytes: number;
  readonly #file: FileWindow;
  readonly #directory: Buffer;
  readonly #onWarning: OnWarning | undefined;
  #redundant: Buffer | undefined;
  #warned = false;
  readonly #cache = new Map<number, Buffer>();
  /** Tables with entries that are not in the file yet, and which. */
  readonly #pending = new Map<number, { readonly table: Buffer; readonly entries: Set<number>; made: boolean }>();

  private constructor(
    file: FileWindow,
    header: SparseHeader,
    directory: Buffer,
    redundant: Buffer | undefined,
    onWarning: OnWarning | undefined,
  ) {
    this.#file = file;
    this.header = header;
    this.grainBytes = header.grainSectors * sectorBytes;
    this.#directory = directory;
    this.#redundant = redundant;
    this.#onWarning = onWarning;
  }

  /** Reads the directory, and the redundant one when the extent is to be written or the first is damaged. */
  static async load(file: FileWindow, header: SparseHeader, onWarning?: OnWarning): Promise<GrainTables> {
    if (header.directoryOffset === 'at-end') {
      throw new VmdkError('table-invalid', { file: file.path, reason: 'the footer names no grain directory' });
    }
    const copied = (header.flags & sparseFlags.redundantDirectory) !== 0;
    if (file.writable || !copied) {
      const directory = await readDirectory(file, header, header.directoryOffset);
      const redundant = copied ? await readDirectory(file, header, header.redundantDirectoryOffset) : undefined;
      const damage =
        directoryDamage(file, header, directory) ?? (redundant && directoryDamage(file, header, redundant));
      if (file.writable && damage) throw unrepaired(file, damage);
      return new GrainTables(file, header, directory, redundant, onWarning);
    }
    const directory = await tryDirectory(file, header, header.directoryOffset);
    if (directory.damage === undefined) return new GrainTables(file, header, directory.bytes, undefined, onWarning);
    const redundant = await tryDirectory(file, header, header.redundantDirectoryOffset);
    if (redundant.damage === undefined) {
      onWarning?.({
        file: file.path,
        reason: `its grain directory is damaged (${directory.damage}) and the redundant one is read; repair it`,
      });
      return new GrainTables(file, header, redundant.bytes, undefined, onWarning);
    }
    // What is left of either is read table by table.
    if (directory.bytes) return new GrainTables(file, header, directory.bytes, redundant.bytes, onWarning);
    throw new VmdkError('table-invalid', { file: file.path, reason: `${directory.damage}; ${redundant.damage}` });
  }

  /** First sector of a grain; 0 when absent, 1 when it is zeros (with the zeroed-grain flag). */
  async entry(grain: number): Promise<number> {
    const table = await this.#table(Math.floor(grain / this.header.entriesPerTable));
    if (!table) return 0;
    const sector = table.readUInt32LE((grain % this.header.entriesPerTable) * entryBytes);
    if (sector > 1 || (sector === 1 && !this.marksZeros)) this.#check(grain, sector);
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

  /**
   * Points a grain to its sector; makes the table when there is none. `writePending` brings it into the file: not before
   * what it points to is durable, else a loss of power would leave entries that point to nothing.
   */
  async setEntry(grain: number, sector: number): Promise<void> {
    const { entriesPerTable } = this.header;
    const index = Math.floor(grain / entriesPerTable);
    let table = await this.#table(index);
    const made = table === undefined;
    table ??= await this.#makeTable(index);
    if (this.#redundant) {
      const copy = this.#redundant.readUInt32LE(index * entryBytes);
      if (copy === 0 || copy === this.#directory.readUInt32LE(index * entryBytes))
        throw this.#invalid(`table ${index} has no copy`);
    }
    table.writeUInt32LE(sector, (grain % entriesPerTable) * entryBytes);
    const pending = this.#pending.get(index);
    if (pending === undefined) this.#pending.set(index, { table, entries: new Set([grain % entriesPerTable]), made });
    else pending.entries.add(grain % entriesPerTable);
  }

  /** Tables that wait for `writePending`. */
  get pendingTables(): number {
    return this.#pending.size;
  }

  /** Writes the entries that wait, in the redundant tables first. What they point to is durable. */
  async writePending(): Promise<void> {
    for (const [index, { table, entries, made }] of this.#pending) {
      for (const [directory, offset] of [
        [this.#redundant, this.header.redundantDirectoryOffset],
        [this.#directory, this.header.directoryOffset as number],
      ] as const) {
        if (!directory) continue;
        const start = directory.readUInt32LE(index * entryBytes) * sectorBytes;
        for (const [first, last] of runsOf(entries)) {
          await this.#file.write(
            table.subarray(first * entryBytes, (last + 1) * entryBytes),
            start + first * entryBytes,
          );
        }
        if (!made) continue;
        const entry = directory.subarray(index * entryBytes, (index + 1) * entryBytes);
        await this.#file.write(entry, offset * sectorBytes + index * entryBytes);
      }
      this.#pending.delete(index);
    }
  }

  /** Whether a grain can be marked as zeros. */
  get marksZeros(): boolean {
    return (this.header.flags & sparseFlags.zeroedGrains) !== 0;
  }

  #stateOf(table: Buffer, index: number): Run['state'] {
    const sector = table.readUInt32LE(index * entryBytes);
    if (sector === 0) return 'absent';
    return sector === 1 && this.marksZeros ? 'zero' : 'data';
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
    const pending = this.#pending.get(index);
    if (pending !== undefined) return pending.table;
    let table = this.#cache.get(index);
    if (table) this.#cache.delete(index);
    else table = await this.#readTable(index, sector);
    this.#cache.set(index, table);
    if (this.#cache.size > cachedTables) this.#cache.delete(this.#cache.keys().next().value as number);
    return table;
  }

  async #readTable(index: number, sector: number): Promise<Buffer> {
    const table = await tryTable(this.#file, this.header, index, sector);
    if (table.damage === undefined) return table.bytes;
    if (this.#file.writable) throw unrepaired(this.#file, table.damage);
    const copy = await this.#copyOf(index, sector);
    if (copy) {
      if (!this.#warned) {
        this.#warned = true;
        const reason = `grain tables are damaged (${table.damage}) and their redundant copies are read; repair it`;
        this.#onWarning?.({ file: this.#file.path, reason });
      }
      return copy;
    }
    if (table.bytes) return table.bytes;
    throw this.#invalid(table.damage);
  }

  /** The redundant copy of a table that is damaged, where there is one that is not. */
  async #copyOf(index: number, sector: number): Promise<Buffer | undefined> {
    if (!(this.header.flags & sparseFlags.redundantDirectory)) return undefined;
    this.#redundant ??= (await tryDirectory(this.#file, this.header, this.header.redundantDirectoryOffset)).bytes;
    const other = this.#redundant?.readUInt32LE(index * entryBytes) ?? 0;
    if (other === 0 || other === sector) return undefined;
    const copy = await tryTable(this.#file, this.header, index, other);
    return copy.damage === undefined ? copy.bytes : undefined;
  }

  async #makeTable(index: number): Promise<Buffer> {
    const empty = Buffer.alloc(roundUp(this.#tableBytes, sectorBytes));
    for (const directory of [this.#redundant, this.#directory]) {
      if (!directory) continue;
      const sector = roundUp(this.#file.bytes, sectorBytes) / sectorBytes;
      await this.#file.write(empty, sector * sectorBytes);
      directory.writeUInt32LE(sector, index * entryBytes);
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

/** Numbers as runs, first and last, in order. */
function* runsOf(numbers: ReadonlySet<number>): Generator<readonly [number, number], void, undefined> {
  const sorted = [...numbers].sort((a, b) => a - b);
  for (let at = 0; at < sorted.length; ) {
    let end = at;
    while (end + 1 < sorted.length && sorted[end + 1] === (sorted[end] as number) + 1) end += 1;
    yield [sorted[at] as number, sorted[end] as number];
    at = end + 1;
  }
}

/** Bytes of a directory or table, and what is wrong with them; no bytes where it does not lie within the file. */
type Tried =
  | { readonly bytes: Buffer; readonly damage?: undefined }
  | { readonly bytes: Buffer | undefined; readonly damage: string };

async function tryDirectory(file: FileWindow, header: SparseHeader, sector: number | 'at-end'): Promise<Tried> {
  if (sector === 'at-end') return { bytes: undefined, damage: 'it has no place' };
  const bytes = directoryEntries(header) * entryBytes;
  if (sector === 0 || sector * sectorBytes + bytes > file.bytes) {
    return { bytes: undefined, damage: `${bytes} bytes at sector ${sector} do not lie within the file` };
  }
  const directory = await file.read(sector * sectorBytes, bytes);
  const damage = directoryDamage(file, header, directory);
  return damage === undefined ? { bytes: directory } : { bytes: directory, damage };
}

/** The first entry that names no table within the file. */
function directoryDamage(file: FileWindow, header: SparseHeader, directory: Buffer): string | undefined {
  const last = file.bytes / sectorBytes - (header.entriesPerTable * entryBytes) / sectorBytes;
  const front = header.descriptorOffset === 0 ? 1 : header.descriptorOffset + header.descriptorSectors;
  for (let at = 0; at < directory.length; at += entryBytes) {
    const sector = directory.readUInt32LE(at);
    if (sector > last) return `entry ${at / entryBytes} names sector ${sector}, past the end of the file`;
    if (sector !== 0 && sector < front) return `entry ${at / entryBytes} names sector ${sector}, within the descriptor`;
  }
  return undefined;
}

async function tryTable(file: FileWindow, header: SparseHeader, index: number, sector: number): Promise<Tried> {
  const bytes = header.entriesPerTable * entryBytes;
  if (sector * sectorBytes + bytes > file.bytes) {
    return { bytes: undefined, damage: `table ${index} at sector ${sector} lies past the end of the file` };
  }
  const table = await file.read(sector * sectorBytes, bytes);
  const damage = tableDamage(file, header, index, table);
  return damage === undefined ? { bytes: table } : { bytes: table, damage };
}

/** The first grain that a table places past the end of the file or within the metadata. */
export function tableDamage(file: FileWindow, header: SparseHeader, index: number, table: Buffer): string | undefined {
  const zeroed = (header.flags & sparseFlags.zeroedGrains) !== 0;
  const least = Math.max(1, header.overheadSectors);
  const end = file.bytes / sectorBytes;
  const first = index * header.entriesPerTable;
  const entries = Math.min(header.entriesPerTable, Math.ceil(header.capacity / header.grainSectors) - first);
  for (let entry = 0; entry < entries; entry += 1) {
    const sector = table.readUInt32LE(entry * entryBytes);
    if (sector === 0 || (sector === 1 && zeroed)) continue;
    if (sector >= end) return `grain ${first + entry} at sector ${sector} lies past the end of the file`;
    if (sector < least) return `grain ${first + entry} at sector ${sector} lies within the metadata`;
  }
  return undefined;
}

function unrepaired(file: FileWindow, damage: string): VmdkError {
  return new VmdkError('table-invalid', { file: file.path, reason: `${damage}; repair it before it is written` });
}

async function readDirectory(file: FileWindow, header: SparseHeader, sector: number): Promise<Buffer> {
  const bytes = directoryEntries(header) * entryBytes;
  if (sector === 0 || sector * sectorBytes + bytes > file.bytes) {
    const reason = `grain directory of ${bytes} bytes at sector ${sector} does not lie within the file`;
    throw new VmdkError('table-invalid', { file: file.path, reason });
  }
  return file.read(sector * sectorBytes, bytes);
}
