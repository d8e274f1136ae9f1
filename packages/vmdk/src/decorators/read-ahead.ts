import type { Disk } from '../disk/disk.ts';
import { ForwardingDisk } from './forwarding-disk.ts';

export interface ReadAheadOptions {
  /** Bytes read at once. Default 1 MiB. */
  readonly chunkBytes?: number;
  /** Chunks fetched before they are asked for, 1 or more. Default 4. Twice as many are kept. */
  readonly ahead?: number;
}

/**
 * The disk with the next chunks fetched while somebody reads in order; other reads pass unchanged. Memory:
 * `chunkBytes` × `ahead` × 2. A write through it is seen by every later read; writes past it are not.
 */
export function readAhead(disk: Disk, options: ReadAheadOptions = {}): Disk {
  return new ReadAheadDisk(disk, options.chunkBytes ?? 2 ** 20, Math.max(1, options.ahead ?? 4));
}

class ReadAheadDisk extends ForwardingDisk {
  readonly #chunkBytes: number;
  readonly #ahead: number;
  readonly #chunks = new Map<number, Promise<Buffer>>();
  /** Where a reader in order would go on. */
  #next = 0;

  constructor(disk: Disk, chunkBytes: number, ahead: number) {
    super(disk);
    this.#chunkBytes = chunkBytes;
    this.#ahead = ahead;
  }

  override async readInto(buffer: Uint8Array, offset: number): Promise<void> {
    const follows = offset === this.#next && offset + buffer.length <= this.virtualBytes;
    this.#next = offset + buffer.length;
    if (!follows) return this.disk.readInto(buffer, offset);
    for (let done = 0; done < buffer.length; ) {
      const at = offset + done;
      const index = Math.floor(at / this.#chunkBytes);
      const chunk = this.#fetch(index);
      for (let later = index + 1; later <= index + this.#ahead; later += 1) {
        if (later * this.#chunkBytes < this.virtualBytes) void this.#fetch(later);
      }
      const within = at - index * this.#chunkBytes;
      const piece = buffer.subarray(done, done + this.#chunkBytes - within);
      piece.set((await chunk).subarray(within, within + piece.length));
      done += piece.length;
    }
  }

  override write(offset: number, data: Uint8Array): Promise<void> {
    return this.#changing(offset, data.length, () => this.disk.write(offset, data));
  }

  protected override trimThrough(
    offset: number,
    length: number,
    trim: (offset: number, length: number) => Promise<void>,
  ): Promise<void> {
    return this.#changing(offset, length, () => trim(offset, length));
  }

  override async close(): Promise<void> {
    await Promise.allSettled(this.#chunks.values());
    this.#chunks.clear();
    await this.disk.close();
  }

  async #changing(offset: number, length: number, change: () => Promise<void>): Promise<void> {
    this.#forget(offset, length);
    try {
      await change();
    } finally {
      // What was fetched meanwhile may hold half of it.
      this.#forget(offset, length);
    }
  }

  #fetch(index: number): Promise<Buffer> {
    const start = index * this.#chunkBytes;
    const known = this.#chunks.get(index);
    if (known !== undefined) return known;
    const chunk = this.disk.read(start, Math.min(this.#chunkBytes, this.virtualBytes - start));
    this.#chunks.set(index, chunk);
    // A failed chunk is asked for again by whoever needs it.
    chunk.catch(() => {
      if (this.#chunks.get(index) === chunk) this.#chunks.delete(index);
    });
    for (const old of this.#chunks.keys()) {
      if (this.#chunks.size <= this.#ahead * 2) break;
      this.#chunks.delete(old);
    }
    return chunk;
  }

  #forget(offset: number, length: number): void {
    const last = Math.floor((offset + length - 1) / this.#chunkBytes);
    for (const index of [...this.#chunks.keys()]) {
      if (index >= Math.floor(offset / this.#chunkBytes) && index <= last) this.#chunks.delete(index);
    }
  }
}
