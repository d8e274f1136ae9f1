/** Files of a new disk that take its bytes. */
export interface DiskSink {
  /** Writes that may be underway at once; they are begun in ascending order. */
  readonly writesAtOnce: number;
  /** Takes bytes; it looks for zeros itself. */
  write(offset: number, data: Uint8Array): Promise<void>;
  /** Makes everything durable; resolves to the bytes that were stored. */
  finish(): Promise<number>;
  /** Lets go of the files. */
  close(): Promise<void>;
}
