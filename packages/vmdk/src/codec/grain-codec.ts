/** Compresses and expands (RFC 1950) between stretches of one shared memory; positions and lengths are bytes of it. */
export interface GrainCodec {
  readonly memory: SharedArrayBuffer;
  /** Bytes written to `to`; 0 when they do not fit `room`. `level`: 1 fastest to 9 smallest. */
  deflate(from: number, bytes: number, to: number, room: number, level: number): number;
  /** Bytes written to `to`; undefined when the data is damaged or expands to more than `room`. */
  inflate(from: number, bytes: number, to: number, room: number): number | undefined;
}

/** Memory that a codec is given to work in: `areas` stretches of `areaBytes`, one after another. */
export interface CodecMemory {
  readonly areas: number;
  readonly areaBytes: number;
}

/** A codec and the first byte of each area. */
export interface CodecWithAreas {
  readonly codec: GrainCodec;
  readonly areas: readonly number[];
}
