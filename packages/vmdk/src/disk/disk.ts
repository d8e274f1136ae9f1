import type { Descriptor } from '../descriptor/descriptor.ts';

/** Bytes of a disk at an offset. */
export interface Block {
  readonly offset: number;
  readonly data: Uint8Array;
}

/** A stretch of a disk. `data` is stored, `zero` is marked as zeros, `unallocated` is nowhere in the chain: zeros. */
export interface DiskRange {
  readonly offset: number;
  readonly length: number;
  readonly state: 'data' | 'zero' | 'unallocated';
}

export interface RangeOptions {
  /** First byte. Default 0. */
  readonly offset?: number;
  /** Bytes from there. Default to the end. */
  readonly length?: number;
  readonly signal?: AbortSignal;
}

/** An open virtual disk, the whole chain behind it. Offsets and lengths are in bytes and need no alignment. */
export interface Disk {
  /** Path as the caller gave it. */
  readonly path: string;
  /** Capacity. */
  readonly virtualBytes: number;
  /** Smallest unit of allocation in the chain. */
  readonly blockBytes: number;
  readonly writable: boolean;
  /** Descriptor of the top disk as it was when opened; none for a bare sparse extent. */
  readonly descriptor?: Descriptor;
  read(offset: number, length: number): Promise<Buffer>;
  /** Fills the buffer. */
  readInto(buffer: Uint8Array, offset: number): Promise<void>;
  /** Writes to the top disk; the first write gives it a new CID beforehand. `read-only` unless opened writable. */
  write(offset: number, data: Uint8Array): Promise<void>;
  /** Makes the stretch read as zeros and gives its space back. Absent where the disk cannot: write zeros instead. */
  trim?(offset: number, length: number): Promise<void>;
  /** Makes what was written durable. */
  flush(): Promise<void>;
  /** Ranges in order, without gaps, neighbours of one state joined. */
  map(options?: RangeOptions): AsyncIterable<DiskRange>;
  /**
   * Blocks that are not all zero, in order, read ahead. Each is at most `blockBytes` long and does not cross a multiple
   * of it; at a seam between extents it may be shorter.
   */
  blocks(options?: RangeOptions): AsyncIterable<Block>;
  /** Flushes, marks the disk clean and lets go of its files. */
  close(): Promise<void>;
}
