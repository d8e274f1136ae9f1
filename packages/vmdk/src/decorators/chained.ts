import type { Disk, RangeOptions } from '../disk/disk.ts';
import type { Run } from '../disk/extent.ts';
import type { ChainLayer } from '../disk/layer.ts';
import { LayeredDisk } from '../disk/layered-disk.ts';
import { VmdkError } from '../errors.ts';

/** Bytes whose map is asked for at once. */
const mapBytes = 64 * 2 ** 20;

/**
 * Disks over one another, top first, as one: what a disk says nothing about (`unallocated`) is read from the next. Of
 * the size of the top. Read-only, for a disk opened alone cannot say how a zero over its base is stored. Closing
 * closes them all.
 */
export function chained(disks: readonly [Disk, ...Disk[]]): Disk {
  const [top, ...below] = disks;
  return new LayeredDisk({
    path: top.path,
    layers: [new DiskLayer(top), ...below.map((disk) => new DiskLayer(disk))],
    writable: false,
    ...(top.descriptor ? { descriptor: top.descriptor } : {}),
  });
}

/** A whole disk in the place of one layer. */
class DiskLayer implements ChainLayer {
  readonly path: string;
  readonly bytes: number;
  readonly blockBytes: number;
  readonly #disk: Disk;

  constructor(disk: Disk) {
    this.#disk = disk;
    this.path = disk.path;
    this.bytes = disk.virtualBytes;
    this.blockBytes = disk.blockBytes;
  }

  blockBytesAt(): number {
    return this.blockBytes;
  }

  async locate(offset: number, limit: number): Promise<Run> {
    const asked: RangeOptions = { offset, length: Math.min(limit, mapBytes) };
    for await (const { length, state } of this.#disk.map(asked)) {
      return { length, state: state === 'unallocated' ? 'absent' : state };
    }
    throw new VmdkError('out-of-range', { file: this.path, reason: `its map says nothing about byte ${offset}` });
  }

  read(buffer: Uint8Array, offset: number): Promise<void> {
    return this.#disk.readInto(buffer, offset);
  }

  async write(): Promise<void> {
    throw this.#readOnly();
  }

  async trim(): Promise<void> {
    throw this.#readOnly();
  }

  async flush(): Promise<void> {}

  close(): Promise<void> {
    return this.#disk.close();
  }

  #readOnly(): VmdkError {
    return new VmdkError('read-only', { file: this.path, reason: 'it is part of a chain for reading' });
  }
}
