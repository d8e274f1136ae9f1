import { setTimeout as sleep } from 'node:timers/promises';
import type { Block, Disk, RangeOptions } from '../disk/disk.ts';
import { ForwardingDisk } from './forwarding-disk.ts';
import { type Clock, type Rate, TokenBucket } from './token-bucket.ts';

/** Largest piece that passes at once, in bytes. */
const pieceBytes = 2 ** 20;

export interface ThrottledDisk extends Disk {
  /** Changes the rate from now on, also for what waits. `RangeError` for a rate that is not above 0. */
  setRate(rate: Rate): void;
}

export interface ThrottleOptions extends Rate {
  readonly clock?: Clock;
}

/** The disk at no more than a number of bytes a second, reads and writes together. Its map costs nothing. */
export function throttled(disk: Disk, options: ThrottleOptions): ThrottledDisk {
  return new RatedDisk(disk, new TokenBucket(options, options.clock ?? systemClock));
}

const systemClock: Clock = {
  now: () => performance.now(),
  delay: (milliseconds, signal) => sleep(milliseconds, undefined, { signal }).catch(() => undefined),
};

class RatedDisk extends ForwardingDisk implements ThrottledDisk {
  readonly #bucket: TokenBucket;

  constructor(disk: Disk, bucket: TokenBucket) {
    super(disk);
    this.#bucket = bucket;
  }

  setRate(rate: Rate): void {
    this.#bucket.setRate(rate);
  }

  override async readInto(buffer: Uint8Array, offset: number): Promise<void> {
    for (let done = 0; done < buffer.length; ) {
      const piece = buffer.subarray(done, done + pieceBytes);
      await this.#bucket.take(piece.length);
      await this.disk.readInto(piece, offset + done);
      done += piece.length;
    }
    if (buffer.length === 0) await this.disk.readInto(buffer, offset);
  }

  override async write(offset: number, data: Uint8Array): Promise<void> {
    for (let done = 0; done < data.length; ) {
      const piece = data.subarray(done, done + pieceBytes);
      await this.#bucket.take(piece.length);
      await this.disk.write(offset + done, piece);
      done += piece.length;
    }
    if (data.length === 0) await this.disk.write(offset, data);
  }

  override async *blocks(options: RangeOptions = {}): AsyncGenerator<Block, void, undefined> {
    for await (const block of this.disk.blocks(options)) {
      await this.#bucket.take(block.data.length);
      options.signal?.throwIfAborted();
      yield block;
    }
  }
}
