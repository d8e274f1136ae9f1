/** Files of a new disk that take its bytes. */
export interface DiskSink {
  /** Takes bytes, in ascending order and one write at a time; it looks for zeros itself. */
  write(offset: number, data: Uint8Array): Promise<void>;
  /** Makes everything durable; resolves to the bytes that were stored. */
  finish(): Promise<number>;
  /** Lets go of the files. */
  close(): Promise<void>;
}
