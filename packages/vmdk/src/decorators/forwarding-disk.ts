import type { Descriptor } from '../descriptor/descriptor.ts';
import type { Block, Disk, DiskRange, RangeOptions } from '../disk/disk.ts';

/** A disk that hands everything on to another; decorators change what they are named for. */
export class ForwardingDisk implements Disk {
  readonly path: string;
  readonly virtualBytes: number;
  readonly blockBytes: number;
  readonly writable: boolean;
  readonly descriptor?: Descriptor;
  /** There where the disk has it and may be written. */
  readonly trim?: (offset: number, length: number) => Promise<void>;
  protected readonly disk: Disk;

  constructor(disk: Disk, changes: { readonly virtualBytes?: number; readonly writable?: boolean } = {}) {
    this.disk = disk;
    this.path = disk.path;
    this.virtualBytes = changes.virtualBytes ?? disk.virtualBytes;
    this.blockBytes = disk.blockBytes;
    this.writable = changes.writable ?? disk.writable;
    if (disk.descriptor) this.descriptor = disk.descriptor;
    const trim = disk.trim?.bind(disk);
    if (trim && this.writable) this.trim = (offset, length) => this.trimThrough(offset, length, trim);
  }

  async read(offset: number, length: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(length);
    await this.readInto(buffer, offset);
    return buffer;
  }

  async readInto(buffer: Uint8Array, offset: number): Promise<void> {
    await this.disk.readInto(buffer, offset);
  }

  async write(offset: number, data: Uint8Array): Promise<void> {
    await this.disk.write(offset, data);
  }

  /** `trim` of the disk. */
  protected async trimThrough(
    offset: number,
    length: number,
    trim: (offset: number, length: number) => Promise<void>,
  ): Promise<void> {
    await trim(offset, length);
  }

  async flush(): Promise<void> {
    await this.disk.flush();
  }

  map(options?: RangeOptions): AsyncIterable<DiskRange> {
    return this.disk.map(options);
  }

  blocks(options?: RangeOptions): AsyncIterable<Block> {
    return this.disk.blocks(options);
  }

  async close(): Promise<void> {
    await this.disk.close();
  }
}
