/** Unit in which buffers are made. */
const unitBytes = 65536;

/** Buffers that are used again, so that memory is not made and cleared for every request. */
export class BufferPool {
  readonly #most: number;
  readonly #free = new Map<number, Buffer[]>();
  #kept = 0;

  /** `most`: bytes that are kept for later. */
  constructor(most: number) {
    this.#most = most;
  }

  /** A buffer of that length with whatever was in it before. */
  take(length: number): Buffer {
    const size = Math.ceil(length / unitBytes) * unitBytes;
    const found = this.#free.get(size)?.pop();
    if (found !== undefined) this.#kept -= size;
    return (found ?? Buffer.allocUnsafeSlow(size)).subarray(0, length);
  }

  /** Takes a buffer back that nobody uses any more. */
  give(buffer: Buffer): void {
    const size = buffer.buffer.byteLength;
    if (this.#kept + size > this.#most) return;
    this.#kept += size;
    const list = this.#free.get(size) ?? [];
    this.#free.set(size, list);
    list.push(Buffer.from(buffer.buffer));
  }
}
