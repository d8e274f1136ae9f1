import { VmdkError } from '../errors.ts';
import type { FileWindow } from '../file-window.ts';
import type { Extent, Run } from './extent.ts';
import { type GrainLayout, GrainMap } from './grain-map.ts';

/** Grains of 512 bytes are commonly read one by one, and lie near one another in the file. */
const chunkBytes = 65536;
const cachedChunks = 32;

/** An extent of uncompressed grains that is only read. */
export class MappedExtent implements Extent {
  readonly bytes: number;
  readonly blockBytes: number;
  readonly #file: FileWindow;
  readonly #map: GrainMap;
  readonly #chunks = new Map<number, Promise<Buffer>>();

  constructor(file: FileWindow, layout: GrainLayout) {
    this.#file = file;
    this.#map = new GrainMap(file, layout);
    this.bytes = layout.capacityBytes;
    this.blockBytes = layout.grainBytes;
  }

  locate(offset: number, limit: number): Promise<Run> {
    return this.#map.locate(offset, limit);
  }

  async read(buffer: Uint8Array, offset: number): Promise<void> {
    for (let done = 0; done < buffer.length; ) {
      const { position, length } = await this.#contiguous(offset + done, buffer.length - done);
      await this.#fill(buffer.subarray(done, done + length), position);
      done += length;
    }
  }

  async write(): Promise<void> {
    throw new VmdkError('read-only', { file: this.#file.path, reason: 'extents of this kind are only read' });
  }

  async flush(): Promise<void> {}

  async close(): Promise<void> {
    await this.#file.close();
  }

  /** Reads what is large at once, and what is small through a few kept chunks of the file. */
  async #fill(target: Uint8Array, position: number): Promise<void> {
    const within = position % chunkBytes;
    if (within + target.length > chunkBytes || target.length > chunkBytes / 4) {
      await this.#file.readInto(target, position);
      return;
    }
    target.set((await this.#chunk(position - within)).subarray(within, within + target.length));
  }

  #chunk(start: number): Promise<Buffer> {
    let chunk = this.#chunks.get(start);
    if (chunk !== undefined) this.#chunks.delete(start);
    else chunk = this.#file.read(start, Math.min(chunkBytes, this.#file.bytes - start));
    this.#chunks.set(start, chunk);
    if (this.#chunks.size > cachedChunks) this.#chunks.delete(this.#chunks.keys().next().value as number);
    return chunk;
  }

  /** Where an offset is stored, and how many bytes go on in the file from there. */
  async #contiguous(offset: number, wanted: number): Promise<{ position: number; length: number }> {
    const first = Math.floor(offset / this.blockBytes);
    const within = offset % this.blockBytes;
    const start = await this.#map.position(first);
    let length = this.blockBytes - within;
    for (let grain = first + 1; length < wanted; grain += 1) {
      if ((await this.#map.position(grain)) !== start + (grain - first) * this.blockBytes) break;
      length += this.blockBytes;
    }
    return { position: start + within, length: Math.min(length, wanted) };
  }
}
