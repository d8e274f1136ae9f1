import type { Descriptor } from '../descriptor/descriptor.ts';
import { VmdkError } from '../errors.ts';
import { isZero } from '../size.ts';
import { inOrder } from '../stream/ordered-work.ts';
import type { Block, Disk, DiskRange, RangeOptions } from './disk.ts';
import type { Layer } from './layer.ts';

/** Bytes read at once by `blocks`, and how many such reads are ahead. */
const readAheadBytes = 2 ** 20;
const readsAhead = 4;

export interface LayeredDiskOptions {
  readonly path: string;
  /** Top first. */
  readonly layers: readonly [Layer, ...Layer[]];
  readonly writable: boolean;
  readonly descriptor?: Descriptor;
  /** Persists a new CID. */
  readonly renewContentId?: () => Promise<void>;
}

interface Place {
  readonly layer: Layer | undefined;
  readonly length: number;
  readonly state: DiskRange['state'];
}

/** A disk and its ancestors, read as one. Only the top is written. */
export class LayeredDisk implements Disk {
  readonly path: string;
  readonly virtualBytes: number;
  readonly blockBytes: number;
  readonly writable: boolean;
  readonly descriptor?: Descriptor;
  readonly #layers: readonly [Layer, ...Layer[]];
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
    if (!this.writable) throw new VmdkError('read-only', { file: this.path, reason: 'it was opened for reading' });
    if (data.length === 0) return;
    this.#renewed ??= this.#renewContentId?.() ?? Promise.resolve();
    await this.#renewed;
    const below =
      this.#layers.length > 1 ? (buffer: Uint8Array, at: number) => this.#readFrom(1, buffer, at) : undefined;
    await this.#layers[0].write(data, offset, below);
  }

  async flush(): Promise<void> {
    if (this.writable) await this.#layers[0].flush();
  }

  async *map(options: RangeOptions = {}): AsyncGenerator<DiskRange, void, undefined> {
    const { start, end } = this.#span(options);
    let pending: DiskRange | undefined;
    for (let at = start; at < end; ) {
      options.signal?.throwIfAborted();
      const { length, state } = await this.#locate(0, at, end - at);
      if (pending?.state === state) pending = { ...pending, length: pending.length + length };
      else {
        if (pending) yield pending;
        pending = { offset: at, length, state };
      }
      at += length;
    }
    if (pending) yield pending;
  }

  async *blocks(options: RangeOptions = {}): AsyncGenerator<Block, void, undefined> {
    const reads = inOrder(this.#reads(options), readsAhead, async ({ offset, length }) => ({
      offset,
      data: await this.read(offset, length),
    }));
    for await (const { offset, data } of reads) {
      options.signal?.throwIfAborted();
      for (let done = 0; done < data.length; ) {
        const at = offset + done;
        const piece = data.subarray(done, done + this.blockBytes - (at % this.blockBytes));
        if (!isZero(piece)) yield { offset: at, data: piece };
        done += piece.length;
      }
    }
  }

  async close(): Promise<void> {
    const results = await Promise.allSettled(this.#layers.map((layer) => layer.close()));
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
  }

  /** Stored stretches, cut to the read-ahead size. */
  async *#reads(options: RangeOptions): AsyncGenerator<{ offset: number; length: number }, void, undefined> {
    const { start, end } = this.#span(options);
    for (let at = start; at < end; ) {
      options.signal?.throwIfAborted();
      const limit = readAheadBytes - (at % readAheadBytes);
      const { state, length } = await this.#locate(0, at, end - at);
      const cut = state === 'data' ? Math.min(length, limit) : length;
      if (state === 'data') yield { offset: at, length: cut };
      at += cut;
    }
  }

  async #readFrom(top: number, buffer: Uint8Array, offset: number): Promise<void> {
    for (let done = 0; done < buffer.length; ) {
      const { layer, length, state } = await this.#locate(top, offset + done, buffer.length - done);
      const target = buffer.subarray(done, done + length);
      if (state === 'data' && layer) await layer.read(target, offset + done);
      else target.fill(0);
      done += length;
    }
  }

  /** Which layer from `top` down decides about `offset`, and for how many bytes. */
  async #locate(top: number, offset: number, wanted: number): Promise<Place> {
    let limit = wanted;
    for (const layer of this.#layers.slice(top)) {
      // A disk may be larger than its parent; the rest of it has no parent.
      if (offset >= layer.bytes) break;
      const run = await layer.locate(offset, Math.min(limit, layer.bytes - offset));
      limit = run.length;
      if (run.state !== 'absent') return { layer, length: limit, state: run.state };
    }
    return { layer: undefined, length: limit, state: 'unallocated' };
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
