/** A stretch of one state from the offset asked for. `absent`: the parent decides, or zeros without one. */
export interface Run {
  readonly length: number;
  readonly state: 'data' | 'zero' | 'absent';
}

/** Fills the buffer with what lies below, at an offset of this extent. */
export type ReadBelow = (buffer: Uint8Array, offset: number) => Promise<void>;

/** One extent of a disk, with offsets in bytes from its own first byte. */
export interface Extent {
  readonly bytes: number;
  /** Unit of allocation in bytes. */
  readonly blockBytes: number;
  /** State at `offset`, for at most `limit` bytes from there. */
  locate(offset: number, limit: number): Promise<Run>;
  /** Fills the buffer; all of it lies in one run of data. */
  read(buffer: Uint8Array, offset: number): Promise<void>;
  /** `below` gives the rest of a block that is allocated now; none: zeros. */
  write(data: Uint8Array, offset: number, below: ReadBelow | undefined): Promise<void>;
  /** Makes a stretch read as zeros with as little room as the kind allows. Absent: zeros are written. */
  trim?(offset: number, length: number, below: ReadBelow | undefined): Promise<void>;
  flush(): Promise<void>;
  close(): Promise<void>;
}
