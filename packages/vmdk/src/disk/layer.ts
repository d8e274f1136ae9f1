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
  /** Makes a stretch read as zeros with as little room as the kind allows. */
  trim(offset: number, length: number, below: ReadBelow | undefined): Promise<void>;
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
      const part = this.#writablePartAt(offset + done);
      const within = offset + done - part.start;
      const piece = data.subarray(done, done + part.bytes - within);
      await part.extent.write(piece, within, belowPart(part, below));
      done += piece.length;
    }
  }

  async trim(offset: number, length: number, below: ReadBelow | undefined): Promise<void> {
    for (let done = 0; done < length; ) {
      const part = this.#writablePartAt(offset + done);
      const within = offset + done - part.start;
      const piece = Math.min(length - done, part.bytes - within);
      if (part.extent.trim) await part.extent.trim(within, piece, belowPart(part, below));
      else await writeZeros(part.extent, within, piece, belowPart(part, below));
      done += piece;
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

  #writablePartAt(offset: number): Part {
    const part = this.#partAt(offset);
    if (part.access === 'RW') return part;
    throw new VmdkError('read-only', { file: this.path, place: `byte ${offset}`, reason: 'extent is RDONLY' });
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

function belowPart(part: Part, below: ReadBelow | undefined): ReadBelow | undefined {
  return below && ((buffer, at) => below(buffer, part.start + at));
}

const zeros = Buffer.alloc(2 ** 20);

async function writeZeros(extent: Extent, offset: number, length: number, below: ReadBelow | undefined): Promise<void> {
  for (let done = 0; done < length; done += zeros.length) {
    await extent.write(zeros.subarray(0, Math.min(zeros.length, length - done)), offset + done, below);
  }
}
