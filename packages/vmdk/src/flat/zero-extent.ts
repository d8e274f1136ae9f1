import type { Extent, Run } from '../disk/extent.ts';
import { VmdkError } from '../errors.ts';

/** An extent without a file: it reads as zeros. */
export class ZeroExtent implements Extent {
  readonly bytes: number;
  readonly blockBytes = 65536;
  readonly #disk: string;

  constructor(bytes: number, disk: string) {
    this.bytes = bytes;
    this.#disk = disk;
  }

  async locate(_offset: number, limit: number): Promise<Run> {
    return { length: limit, state: 'zero' };
  }

  async read(buffer: Uint8Array): Promise<void> {
    buffer.fill(0);
  }

  async write(): Promise<void> {
    throw new VmdkError('read-only', { file: this.#disk, reason: 'a ZERO extent keeps nothing' });
  }

  async flush(): Promise<void> {}

  async close(): Promise<void> {}
}
