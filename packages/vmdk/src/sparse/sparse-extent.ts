import type { OnWarning } from '../disk/disk-warning.ts';
import type { Extent, ReadBelow, Run } from '../disk/extent.ts';
import { VmdkError } from '../errors.ts';
import type { FileWindow } from '../file-window.ts';
import { type ByteRange, punchHoles } from '../flat/punch-holes.ts';
import { isZero, roundUp, sectorBytes } from '../size.ts';
import { Turns } from '../stream/turns.ts';
import { GrainTables } from './grain-tables.ts';
import { type SparseHeader, uncleanOffset } from './sparse-header.ts';

/** Table entry of a grain of zeros without room of its own. */
const zeroedGrain = 1;
/** Tables that are changed in memory at most, before they are written. */
const mostPending = 64;

/** A hosted sparse extent without compression, read and written in grains. */
export class SparseExtent implements Extent {
  readonly bytes: number;
  readonly blockBytes: number;
  readonly #file: FileWindow;
  readonly #tables: GrainTables;
  readonly #turns = new Turns();
  /** Places of grains that were given up and not yet given back to the file system. */
  #freed: ByteRange[] = [];

  private constructor(file: FileWindow, tables: GrainTables) {
    this.#file = file;
    this.#tables = tables;
    this.bytes = tables.header.capacity * sectorBytes;
    this.blockBytes = tables.grainBytes;
  }

  /** Opens an extent; a writable one is marked unclean on the medium until it is closed. */
  static async open(file: FileWindow, header: SparseHeader, onWarning?: OnWarning): Promise<SparseExtent> {
    if (file.writable) {
      if (header.unclean)
        throw new VmdkError('unclean', { file: file.path, reason: 'its last writer did not close it' });
      if (header.version === 3)
        throw new VmdkError('read-only', { file: file.path, reason: 'version 3 is tracked by its maker' });
    }
    const extent = new SparseExtent(file, await GrainTables.load(file, header, onWarning));
    if (file.writable) await extent.#mark(true);
    return extent;
  }

  locate(offset: number, limit: number): Promise<Run> {
    return this.#tables.locate(offset, limit);
  }

  async read(buffer: Uint8Array, offset: number): Promise<void> {
    for (let done = 0; done < buffer.length; ) {
      const { position, length } = await this.#contiguous(offset + done, buffer.length - done);
      const target = buffer.subarray(done, done + length);
      // The file may end within its last grain; the rest of that grain is zeros.
      const stored = Math.min(length, Math.max(0, this.#file.bytes - position));
      await this.#file.readInto(target.subarray(0, stored), position);
      target.fill(0, stored);
      done += length;
    }
  }

  write(data: Uint8Array, offset: number, below: ReadBelow | undefined): Promise<void> {
    return this.#turns.take(async () => {
      for (let done = 0; done < data.length; ) {
        const at = offset + done;
        const length = Math.min(data.length - done, this.blockBytes - (at % this.blockBytes));
        await this.#writeGrain(data.subarray(done, done + length), at, below);
        done += length;
      }
    });
  }

  /**
   * A grain that lies in the stretch whole loses its room, unless a parent would show through and the tables cannot
   * mark zeros (header version 1): then zeros are written.
   */
  trim(offset: number, length: number, below: ReadBelow | undefined): Promise<void> {
    return this.#turns.take(async () => {
      for (let done = 0; done < length; ) {
        const at = offset + done;
        const run = await this.#tables.locate(at, length - done);
        if (run.state === 'zero' || (run.state === 'absent' && !below)) {
          done += run.length;
          continue;
        }
        const piece = Math.min(length - done, this.blockBytes - (at % this.blockBytes));
        await this.#trimGrain(at, piece, below);
        done += piece;
      }
    });
  }

  async flush(): Promise<void> {
    if (!this.#file.writable) return;
    await this.#turns.take(async () => {
      await this.#writeTables();
      await this.#file.sync();
      await this.#giveBack();
    });
  }

  async close(): Promise<void> {
    try {
      if (this.#file.writable) {
        await this.flush();
        await this.#mark(false);
      }
    } finally {
      await this.#file.close();
    }
  }

  /** Where an offset is stored, and how many bytes go on in the file from there. */
  async #contiguous(offset: number, wanted: number): Promise<{ position: number; length: number }> {
    const first = Math.floor(offset / this.blockBytes);
    const sector = await this.#tables.entry(first);
    const position = sector * sectorBytes + (offset % this.blockBytes);
    let length = this.blockBytes - (offset % this.blockBytes);
    for (let grain = first + 1; length < wanted; grain += 1) {
      const expected = sector + (grain - first) * this.#tables.header.grainSectors;
      if ((await this.#tables.entry(grain)) !== expected) break;
      length += this.blockBytes;
    }
    return { position, length: Math.min(length, wanted) };
  }

  async #writeGrain(data: Uint8Array, offset: number, below: ReadBelow | undefined): Promise<void> {
    const index = Math.floor(offset / this.blockBytes);
    const within = offset % this.blockBytes;
    const { state } = await this.#tables.locate(offset, data.length);
    if (state === 'data') {
      await this.#file.write(data, (await this.#tables.entry(index)) * sectorBytes + within);
      return;
    }
    const zero = isZero(data);
    const inherits = state === 'absent' && below !== undefined;
    if (zero && !inherits) return;
    if (zero && this.#coversGrain(offset, data.length) && this.#tables.marksZeros) {
      await this.#setEntry(index, zeroedGrain);
      return;
    }
    const grain = Buffer.alloc(this.blockBytes);
    if (inherits) await this.#readBelow(grain, index, below);
    // What is zero below takes no room here either.
    if (zero && isZero(grain.subarray(within, within + data.length))) return;
    grain.set(data, within);
    const sector = roundUp(this.#file.bytes, this.blockBytes) / sectorBytes;
    if (sector > 0xffffffff)
      throw new VmdkError('too-large', { file: this.#file.path, reason: 'over 2 TiB of grains' });
    await this.#file.write(grain, sector * sectorBytes);
    await this.#setEntry(index, sector);
  }

  async #trimGrain(offset: number, length: number, below: ReadBelow | undefined): Promise<void> {
    const index = Math.floor(offset / this.blockBytes);
    const { state } = await this.#tables.locate(offset, 1);
    if (state !== 'data' || !this.#coversGrain(offset, length)) {
      return this.#writeGrain(Buffer.alloc(length), offset, below);
    }
    const position = (await this.#tables.entry(index)) * sectorBytes;
    if (below && !this.#tables.marksZeros) {
      const grain = Buffer.alloc(this.blockBytes);
      await this.#readBelow(grain, index, below);
      if (!isZero(grain)) return this.#writeGrain(Buffer.alloc(length), offset, below);
    }
    await this.#setEntry(index, below && this.#tables.marksZeros ? zeroedGrain : 0);
    this.#freed.push({ offset: this.#file.offset + position, length: this.blockBytes });
  }

  async #setEntry(grain: number, sector: number): Promise<void> {
    await this.#tables.setEntry(grain, sector);
    if (this.#tables.pendingTables > mostPending) await this.#writeTables();
  }

  /** Grains first, durably, then what points to them: after a loss of power no entry leads to what is not there. */
  async #writeTables(): Promise<void> {
    if (this.#tables.pendingTables === 0) return;
    await this.#file.sync();
    await this.#tables.writePending();
  }

  async #readBelow(grain: Buffer, index: number, below: ReadBelow): Promise<void> {
    const start = index * this.blockBytes;
    await below(grain.subarray(0, Math.min(this.blockBytes, this.bytes - start)), start);
  }

  #coversGrain(offset: number, length: number): boolean {
    return offset % this.blockBytes === 0 && (length === this.blockBytes || offset + length >= this.bytes);
  }

  /** Nothing names those grains any more, durably. Where the file system cannot take them back they stay unused. */
  async #giveBack(): Promise<void> {
    const freed = this.#freed;
    this.#freed = [];
    await punchHoles(this.#file.path, freed);
  }

  async #mark(unclean: boolean): Promise<void> {
    await this.#file.write(Uint8Array.of(unclean ? 1 : 0), uncleanOffset);
    await this.#file.sync();
  }
}
