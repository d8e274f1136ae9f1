/** Files of a new disk that take its bytes. */
export interface DiskSink {
  /** Bytes must come in ascending order and one write at a time; otherwise any number of writes may be underway. */
  readonly ordered: boolean;
  /** Takes bytes at an offset of the disk; it looks for zeros itself. The data may change once this resolves. */
  write(offset: number, data: Uint8Array): Promise<void>;
  /** Makes everything durable; resolves to the bytes that were stored. */
  finish(): Promise<number>;
  /** Lets go of the files. */
  close(): Promise<void>;
}
