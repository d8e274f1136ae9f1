import type { Block, Disk, DiskRange, RangeOptions } from '../disk/disk.ts';
import { cutToBlocks } from '../disk/read-blocks.ts';
import { VmdkError } from '../errors.ts';
import { ForwardingDisk } from './forwarding-disk.ts';

export interface Window {
  /** First byte of the disk that is seen, from then on byte 0. */
  readonly offset: number;
  /** Bytes from there. Default to the end. */
  readonly length?: number;
}

/** A stretch of a disk, such as a partition, as a disk of its own. `out-of-range` when it does not lie within. */
export function windowed(disk: Disk, window: Window): Disk {
  const { offset, length = disk.virtualBytes - offset } = window;
  if (!isRange(offset, length, disk.virtualBytes)) throw outOfRange(disk, offset, length, disk.virtualBytes);
  return new WindowedDisk(disk, offset, length);
}

class WindowedDisk extends ForwardingDisk {
  readonly #start: number;

  constructor(disk: Disk, start: number, length: number) {
    super(disk, { virtualBytes: length });
    this.#start = start;
  }

  override async readInto(buffer: Uint8Array, offset: number): Promise<void> {
    this.#check(offset, buffer.length);
    await this.disk.readInto(buffer, this.#start + offset);
  }

  override async read(offset: number, length: number): Promise<Buffer> {
    this.#check(offset, length);
    return this.disk.read(this.#start + offset, length);
  }

  override async write(offset: number, data: Uint8Array): Promise<void> {
    this.#check(offset, data.length);
    await this.disk.write(this.#start + offset, data);
  }

  protected override async trimThrough(
    offset: number,
    length: number,
    trim: (offset: number, length: number) => Promise<void>,
  ): Promise<void> {
    this.#check(offset, length);
    await trim(this.#start + offset, length);
  }

  override async *map(options: RangeOptions = {}): AsyncGenerator<DiskRange, void, undefined> {
    for await (const range of this.disk.map(this.#moved(options))) {
      yield { ...range, offset: range.offset - this.#start };
    }
  }

  override async *blocks(options: RangeOptions = {}): AsyncGenerator<Block, void, undefined> {
    for await (const { offset, data } of this.disk.blocks(this.#moved(options))) {
      yield* cutToBlocks({ offset: offset - this.#start, data }, this.blockBytes);
    }
  }

  #moved(options: RangeOptions): RangeOptions {
    const { offset = 0, length = this.virtualBytes - offset } = options;
    this.#check(offset, length);
    return { ...options, offset: this.#start + offset, length };
  }

  #check(offset: number, length: number): void {
    if (!isRange(offset, length, this.virtualBytes)) throw outOfRange(this, offset, length, this.virtualBytes);
  }
}

function isRange(offset: number, length: number, end: number): boolean {
  const whole = Number.isSafeInteger(offset) && Number.isSafeInteger(length);
  return whole && offset >= 0 && length >= 0 && offset + length <= end;
}

function outOfRange(disk: Disk, offset: number, length: number, end: number): VmdkError {
  return new VmdkError('out-of-range', { file: disk.path, reason: `${length} bytes at ${offset} of ${end}` });
}
