import { VmdkError } from '../errors.ts';
import type { Extent, ReadBelow, Run } from './extent.ts';

/** One extent in its place on the disk. It may be longer than its share. */
export interface PlacedExtent {
  readonly extent: Extent;
  readonly bytes: number;
  readonly access: 'RW' | 'RDONLY';
}

/** One disk of a chain by itself, without its parents. Offsets are in bytes of the disk. */
export interface ChainLayer {
  readonly path: string;
  readonly bytes: number;
  /** Smallest unit of allocation. */
  readonly blockBytes: number;
  /** Unit of allocation at an offset: extents may differ. */
  blockBytesAt(offset: number): number;
  /** State at `offset`, for at most `limit` bytes. */
  locate(offset: number, limit: number): Promise<Run>;
  /** Fills the buffer from one run of data. */
  read(buffer: Uint8Array, offset: number): Promise<void>;
  /** `below` gives what the parents hold, for the rest of a block that is allocated now; none: zeros. */
  write(data: Uint8Array, offset: number, below: ReadBelow | undefined): Promise<void>;
  flush(): Promise<void>;
  close(): Promise<void>;
}

interface Part extends PlacedExtent {
  readonly start: number;
}

/** The extents of one disk of a chain, one after another. */
export class Layer implements ChainLayer {
  readonly path: string;
  readonly bytes: number;
  readonly blockBytes: number;
  readonly #parts: readonly Part[];

  constructor(path: string, extents: readonly PlacedExtent[]) {
    this.path = path;
    let start = 0;
    this.#parts = extents.map((placed) => {
      const part = { ...placed, start };
      start += placed.bytes;
      return part;
    });
    this.bytes = start;
    this.blockBytes = Math.min(...extents.map(({ extent }) => extent.blockBytes));
  }

  blockBytesAt(offset: number): number {
    return this.#partAt(offset).extent.blockBytes;
  }

  /** Never over the end of an extent. */
  locate(offset: number, limit: number): Promise<Run> {
    const part = this.#partAt(offset);
    const within = offset - part.start;
    return part.extent.locate(within, Math.min(limit, part.bytes - within));
  }

  read(buffer: Uint8Array, offset: number): Promise<void> {
    const part = this.#partAt(offset);
    return part.extent.read(buffer, offset - part.start);
  }

  async write(data: Uint8Array, offset: number, below: ReadBelow | undefined): Promise<void> {
    for (let done = 0; done < data.length; ) {
      const part = this.#partAt(offset + done);
      if (part.access !== 'RW') {
        throw new VmdkError('read-only', {
          file: this.path,
          place: `byte ${offset + done}`,
          reason: 'extent is RDONLY',
        });
      }
      const within = offset + done - part.start;
      const piece = data.subarray(done, done + part.bytes - within);
      await part.extent.write(piece, within, below && ((buffer, at) => below(buffer, part.start + at)));
      done += piece.length;
    }
  }

  async flush(): Promise<void> {
    for (const { extent } of this.#parts) await extent.flush();
  }

  /** Closes every extent, also when one fails; then throws the first failure. */
  async close(): Promise<void> {
    const results = await Promise.allSettled(this.#parts.map(({ extent }) => extent.close()));
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
  }

  #partAt(offset: number): Part {
    let low = 0;
    let high = this.#parts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#parts[middle] as Part).start <= offset) low = middle;
      else high = middle - 1;
    }
    return this.#parts[low] as Part;
  }
}
