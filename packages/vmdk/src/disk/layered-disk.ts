import type { Descriptor } from '../descriptor/descriptor.ts';
import { VmdkError } from '../errors.ts';
import { ChainCursor } from './chain-cursor.ts';
import type { Block, Disk, DiskRange, RangeOptions } from './disk.ts';
import type { ReadBelow } from './extent.ts';
import type { ChainLayer } from './layer.ts';
import { readBlocks } from './read-blocks.ts';

/** Pieces of one read that are fetched at once where it falls to several layers. */
const piecesAtOnce = 16;

export interface LayeredDiskOptions {
  readonly path: string;
  /** Top first. */
  readonly layers: readonly [ChainLayer, ...ChainLayer[]];
  readonly writable: boolean;
  readonly descriptor?: Descriptor;
  /** Persists a new CID. */
  readonly renewContentId?: () => Promise<void>;
}

/** A stretch of a chain and the layer that decides about it: its index, 0 the top; undefined: none, so zeros. */
export interface LayerRange extends DiskRange {
  readonly layer: number | undefined;
}

/** A disk and its ancestors, read as one. Only the top is written. */
export class LayeredDisk implements Disk {
  readonly path: string;
  readonly virtualBytes: number;
  readonly blockBytes: number;
  readonly writable: boolean;
  readonly descriptor?: Descriptor;
  readonly #layers: readonly [ChainLayer, ...ChainLayer[]];
  readonly #renewContentId: (() => Promise<void>) | undefined;
  #renewed: Promise<void> | undefined;

  constructor(options: LayeredDiskOptions) {
    this.path = options.path;
    this.#layers = options.layers;
    this.virtualBytes = options.layers[0].bytes;
    this.blockBytes = Math.min(...options.layers.map((layer) => layer.blockBytes));
    this.writable = options.writable;
    if (options.descriptor) this.descriptor = options.descriptor;
    this.#renewContentId = options.renewContentId;
  }

  async read(offset: number, length: number): Promise<Buffer> {
    this.#check(offset, length);
    const buffer = Buffer.allocUnsafe(length);
    await this.#readFrom(0, buffer, offset);
    return buffer;
  }

  async readInto(buffer: Uint8Array, offset: number): Promise<void> {
    this.#check(offset, buffer.length);
    await this.#readFrom(0, buffer, offset);
  }

  async write(offset: number, data: Uint8Array): Promise<void> {
    this.#check(offset, data.length);
    if (!(await this.#beginWrite(data.length))) return;
    await this.#layers[0].write(data, offset, this.#below());
  }

  async trim(offset: number, length: number): Promise<void> {
    this.#check(offset, length);
    if (!(await this.#beginWrite(length))) return;
    await this.#layers[0].trim(offset, length, this.#below());
  }

  async flush(): Promise<void> {
    if (this.writable) await this.#layers[0].flush();
  }

  async *map(options: RangeOptions = {}): AsyncGenerator<DiskRange, void, undefined> {
    let pending: DiskRange | undefined;
    for await (const { offset, length, state } of this.layerMap(options)) {
      if (pending?.state === state) pending = { ...pending, length: pending.length + length };
      else {
        if (pending) yield pending;
        pending = { offset, length, state };
      }
    }
    if (pending) yield pending;
  }

  /** Like `map`, with the layer of each range; neighbours of one layer and state are joined. */
  async *layerMap(options: RangeOptions = {}): AsyncGenerator<LayerRange, void, undefined> {
    const { start, end } = this.#span(options);
    const cursor = new ChainCursor(this.#layers, end);
    let pending: LayerRange | undefined;
    for (let at = start; at < end; ) {
      options.signal?.throwIfAborted();
      const { layer, length, state } = await cursor.locate(at);
      if (pending?.state === state && pending.layer === layer) {
        pending = { ...pending, length: pending.length + length };
      } else {
        if (pending) yield pending;
        pending = { offset: at, length, state, layer };
      }
      at += length;
    }
    if (pending) yield pending;
  }

  blocks(options: RangeOptions = {}): AsyncGenerator<Block, void, undefined> {
    const { start, end } = this.#span(options);
    return readBlocks(this, { ...options, offset: start, length: end - start });
  }

  async close(): Promise<void> {
    const results = await Promise.allSettled(this.#layers.map((layer) => layer.close()));
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
  }

  /** Whether there is something to do; the CID is new from the first time on. */
  async #beginWrite(length: number): Promise<boolean> {
    if (!this.writable) throw new VmdkError('read-only', { file: this.path, reason: 'it was opened for reading' });
    if (length === 0) return false;
    this.#renewed ??= this.#renewContentId?.() ?? Promise.resolve();
    await this.#renewed;
    return true;
  }

  #below(): ReadBelow | undefined {
    return this.#layers.length > 1 ? (buffer, at) => this.#readFrom(1, buffer, at) : undefined;
  }

  async #readFrom(top: number, buffer: Uint8Array, offset: number): Promise<void> {
    const layers = top === 0 ? this.#layers : this.#layers.slice(top);
    const cursor = new ChainCursor(layers, offset + buffer.length);
    const reads = new PendingReads();
    try {
      for (let done = 0; done < buffer.length; ) {
        const { layer, length, state } = await cursor.locate(offset + done);
        const target = buffer.subarray(done, done + length);
        if (state !== 'data' || layer === undefined) target.fill(0);
        else await reads.add((layers[layer] as ChainLayer).read(target, offset + done));
        done += length;
      }
    } finally {
      await reads.settled();
    }
    reads.check();
  }

  #span(options: RangeOptions): { readonly start: number; readonly end: number } {
    const start = options.offset ?? 0;
    const length = options.length ?? this.virtualBytes - start;
    this.#check(start, length);
    return { start, end: start + length };
  }

  #check(offset: number, length: number): void {
    const whole = Number.isSafeInteger(offset) && Number.isSafeInteger(length);
    if (!whole || offset < 0 || length < 0 || offset + length > this.virtualBytes) {
      const reason = `${length} bytes at ${offset} of a disk of ${this.virtualBytes}`;
      throw new VmdkError('out-of-range', { file: this.path, reason });
    }
  }
}

/** Reads under way; none may still fill a buffer that was given up. */
class PendingReads {
  #pending: Promise<void>[] = [];
  #failed: { readonly error: unknown } | undefined;

  /** Resolves when there is room for another. */
  async add(read: Promise<void>): Promise<void> {
    this.#pending.push(
      read.catch((error: unknown) => {
        this.#failed ??= { error };
      }),
    );
    if (this.#pending.length >= piecesAtOnce) await this.settled();
  }

  async settled(): Promise<void> {
    await Promise.all(this.#pending);
    this.#pending = [];
  }

  check(): void {
    if (this.#failed) throw this.#failed.error;
  }
}
