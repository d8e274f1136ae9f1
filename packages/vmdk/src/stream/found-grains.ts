import type { Run } from '../disk/extent.ts';
import { sectorBytes } from '../size.ts';
import type { GrainPlaces } from '../sparse/grain-tables.ts';
import type { SparseHeader } from '../sparse/sparse-header.ts';

/** Where grains lie that were found by their markers; 4 bytes a grain, in tables that are made as needed. */
export class FoundGrains implements GrainPlaces {
  readonly header: SparseHeader;
  readonly grainBytes: number;
  readonly #tables = new Map<number, Uint32Array>();
  /** Table of the grain at a sector, for the first grain of each. */
  readonly #owners = new Map<number, number>();
  #count = 0;

  constructor(header: SparseHeader) {
    this.header = header;
    this.grainBytes = header.grainSectors * sectorBytes;
  }

  /** Grains that were found. */
  get count(): number {
    return this.#count;
  }

  /** A grain that comes again takes the place of the one before. */
  set(grain: number, sector: number): void {
    const { entriesPerTable } = this.header;
    const index = Math.floor(grain / entriesPerTable);
    let table = this.#tables.get(index);
    if (!table) {
      table = new Uint32Array(entriesPerTable);
      this.#tables.set(index, table);
      this.#owners.set(sector, index);
    }
    if (table[grain % entriesPerTable] === 0) this.#count += 1;
    table[grain % entriesPerTable] = sector;
  }

  /** First sector of a grain; 0 when it was not found. */
  sector(grain: number): number {
    const { entriesPerTable } = this.header;
    return this.#tables.get(Math.floor(grain / entriesPerTable))?.[grain % entriesPerTable] ?? 0;
  }

  /** Index of the table with these entries, by a grain that both list. */
  tableListing(entries: Buffer): number | undefined {
    for (let at = 0; at + 4 <= entries.length; at += 4) {
      const index = this.#owners.get(entries.readUInt32LE(at));
      if (index !== undefined) return index;
    }
    return undefined;
  }

  /** Indexes of the tables that list any grain, in order. */
  tables(): readonly (readonly [index: number, sectors: Uint32Array])[] {
    return [...this.#tables].sort(([one], [other]) => one - other);
  }

  async entry(grain: number): Promise<number> {
    return this.sector(grain);
  }

  async following(): Promise<undefined> {
    return undefined;
  }

  async locate(offset: number, limit: number): Promise<Run> {
    const { entriesPerTable } = this.header;
    const first = Math.floor(offset / this.grainBytes);
    const last = Math.floor((offset + limit - 1) / this.grainBytes);
    const index = Math.floor(first / entriesPerTable);
    const table = this.#tables.get(index);
    const stop = Math.min(last + 1, (index + 1) * entriesPerTable);
    const stored = this.sector(first) !== 0;
    let end = table ? first + 1 : stop;
    while (end < stop && (table?.[end % entriesPerTable] !== 0) === stored) end += 1;
    return { length: Math.min(limit, end * this.grainBytes - offset), state: stored ? 'data' : 'absent' };
  }
}
