import { VmdkError } from '../errors.ts';
import type { FileWindow } from '../file-window.ts';
import type { Run } from './extent.ts';

/** A grain that the parent decides about. */
export const absentGrain = -1;
/** A grain of zeros that takes no room. */
export const zeroGrain = -2;

/** Two levels of tables as a format has them. Positions are bytes of the file. */
export interface GrainLayout {
  readonly capacityBytes: number;
  readonly grainBytes: number;
  readonly entriesPerTable: number;
  readonly tableBytes: number;
  /** First byte of a table; undefined when there is none. `table-invalid` when the directory is damaged there. */
  tableAt(index: number): number | undefined;
  /** First byte of a grain, `absentGrain` or `zeroGrain`. `table-invalid` when the entry makes no sense. */
  grainAt(table: Buffer, entry: number): number;
}

const cachedTables = 128;
/** Absent tables passed over in one go, so that a huge empty disk does not hold the event loop. */
const directoryStride = 65536;

/** Says where grains lie. Tables are read when needed, and at most 128 are kept. */
export class GrainMap {
  readonly layout: GrainLayout;
  readonly #file: FileWindow;
  readonly #cache = new Map<number, Buffer>();

  constructor(file: FileWindow, layout: GrainLayout) {
    this.#file = file;
    this.layout = layout;
  }

  /** First byte of a grain, `absentGrain` or `zeroGrain`. */
  async position(grain: number): Promise<number> {
    const { entriesPerTable } = this.layout;
    const table = await this.#table(Math.floor(grain / entriesPerTable));
    if (!table) return absentGrain;
    const position = this.layout.grainAt(table, grain % entriesPerTable);
    if (position >= 0) this.#check(grain, position);
    return position;
  }

  /** State at a byte offset, for at most `limit` bytes from there. */
  async locate(offset: number, limit: number): Promise<Run> {
    const { grainBytes, entriesPerTable } = this.layout;
    const first = Math.floor(offset / grainBytes);
    const last = Math.floor((offset + limit - 1) / grainBytes);
    const index = Math.floor(first / entriesPerTable);
    const table = await this.#table(index);
    let end: number;
    let state: Run['state'] = 'absent';
    if (table) {
      state = this.#state(table, first % entriesPerTable);
      end = first + 1;
      const stop = Math.min(last + 1, (index + 1) * entriesPerTable);
      while (end < stop && this.#state(table, end % entriesPerTable) === state) end += 1;
    } else {
      let next = index + 1;
      const stop = Math.min(index + directoryStride, Math.floor(last / entriesPerTable) + 1);
      while (next < stop && this.layout.tableAt(next) === undefined) next += 1;
      end = next * entriesPerTable;
    }
    return { length: Math.min(limit, end * grainBytes - offset), state };
  }

  #state(table: Buffer, entry: number): Run['state'] {
    const position = this.layout.grainAt(table, entry);
    if (position === absentGrain) return 'absent';
    return position === zeroGrain ? 'zero' : 'data';
  }

  async #table(index: number): Promise<Buffer | undefined> {
    const position = this.layout.tableAt(index);
    if (position === undefined) return undefined;
    let table = this.#cache.get(index);
    if (table) this.#cache.delete(index);
    else table = await this.#read(index, position);
    this.#cache.set(index, table);
    if (this.#cache.size > cachedTables) this.#cache.delete(this.#cache.keys().next().value as number);
    return table;
  }

  #read(index: number, position: number): Promise<Buffer> {
    const { tableBytes } = this.layout;
    if (position + tableBytes > this.#file.bytes) {
      throw this.#invalid(`table ${index} at byte ${position} lies past the end of the file`);
    }
    return this.#file.read(position, tableBytes);
  }

  #check(grain: number, position: number): void {
    const { grainBytes, capacityBytes } = this.layout;
    const used = Math.min(grainBytes, capacityBytes - grain * grainBytes);
    if (position + used <= this.#file.bytes) return;
    throw this.#invalid(`grain ${grain} at byte ${position} lies past the end of the file`);
  }

  #invalid(reason: string): VmdkError {
    return new VmdkError('table-invalid', { file: this.#file.path, reason });
  }
}
