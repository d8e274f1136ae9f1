import { createHash, type Hash } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import type { Block, Disk, RangeOptions } from '../disk/disk.ts';
import { cutToBlocks } from '../disk/read-blocks.ts';
import { VmdkError } from '../errors.ts';
import { isZero } from '../size.ts';
import { inOrder } from '../stream/ordered-work.ts';
import { ForwardingDisk } from './forwarding-disk.ts';

const readBytes = 2 ** 20;
const readsAhead = 4;
const zeros = Buffer.alloc(2 ** 20);

export interface BlockDigests {
  /** Bytes that each digest covers; the last block of the disk may be shorter. */
  readonly bytes: number;
  /** Digest of a block in lower-case hexadecimal; undefined for one that is not checked. */
  of(index: number): string | undefined;
}

export interface CheckOptions {
  /** Name as `node:crypto` knows it. Default `sha256`. */
  readonly algorithm?: string;
  /** Every block is checked before any byte of it is given out. */
  readonly blocks?: BlockDigests;
  /** Follows what is read in order from the first byte; with `expected` the read that completes it is checked. */
  readonly whole?: { readonly expected?: string };
}

export interface CheckedDisk extends Disk {
  /** Digest of the whole disk in hexadecimal; undefined until all of it was read in order, or without `whole`. */
  wholeDigest(): string | undefined;
}

/**
 * The disk, read-only, with what is read checked against digests: `digest-mismatch` names the first byte of the block
 * that differs. Parts that the disk calls zero are checked too.
 */
export function checked(disk: Disk, options: CheckOptions): CheckedDisk {
  return new DigestedDisk(disk, options);
}

class DigestedDisk extends ForwardingDisk implements CheckedDisk {
  readonly #algorithm: string;
  readonly #blocks: BlockDigests | undefined;
  readonly #expected: string | undefined;
  readonly #hash: Hash | undefined;
  readonly #zeroDigests = new Map<number, string>();
  #hashed = 0;
  #whole: string | undefined;

  constructor(disk: Disk, options: CheckOptions) {
    super(disk, { writable: false });
    this.#algorithm = options.algorithm ?? 'sha256';
    this.#blocks = options.blocks;
    this.#expected = options.whole?.expected?.toLowerCase();
    if (options.whole) this.#hash = createHash(this.#algorithm);
  }

  wholeDigest(): string | undefined {
    return this.#whole;
  }

  override async write(): Promise<void> {
    throw new VmdkError('read-only', { file: this.path, reason: 'its content is checked against digests' });
  }

  override async flush(): Promise<void> {}

  override async readInto(buffer: Uint8Array, offset: number): Promise<void> {
    await this.#readChecked(buffer, offset);
    this.#follow(buffer, offset);
  }

  override async *blocks(options: RangeOptions = {}): AsyncGenerator<Block, void, undefined> {
    const { offset: start = 0, length = this.virtualBytes - start, signal } = options;
    const step =
      Math.max(1, Math.ceil(readBytes / (this.#blocks?.bytes ?? readBytes))) * (this.#blocks?.bytes ?? readBytes);
    const pieces = inOrder(steps(start, start + length, step), readsAhead, (piece) => this.#piece(piece, signal));
    for await (const { offset, length: bytes, data } of pieces) {
      signal?.throwIfAborted();
      if (data === undefined) await this.#followZeros(offset, bytes);
      else this.#follow(data, offset);
      for (const block of cutToBlocks({ offset, data: data ?? zeros.subarray(0, 0) }, this.blockBytes)) {
        if (!isZero(block.data)) yield block;
      }
    }
  }

  /** A checked piece; without data where all of it is zeros. */
  async #piece({ offset, length }: Piece, signal: AbortSignal | undefined): Promise<Piece & { data?: Buffer }> {
    let stored = false;
    const range = { offset, length, ...(signal ? { signal } : {}) };
    for await (const { state } of this.disk.map(range)) stored ||= state === 'data';
    if (!stored && this.#blocks === undefined) return { offset, length };
    if (!stored && this.#zerosAsPromised(offset, length)) return { offset, length };
    const data = Buffer.allocUnsafe(length);
    await this.#readChecked(data, offset);
    return { offset, length, data };
  }

  /** Whether every block that a stretch of zeros touches lies in it whole and has the digest of zeros. */
  #zerosAsPromised(offset: number, length: number): boolean {
    const { bytes, of } = this.#blocks as BlockDigests;
    for (let at = offset; at < offset + length; at += bytes) {
      const end = Math.min(at + bytes, this.virtualBytes);
      if (at % bytes !== 0 || end > offset + length) return false;
      const promised = of(at / bytes);
      if (promised !== undefined && promised !== this.#digestOfZeros(end - at)) return false;
    }
    return true;
  }

  #digestOfZeros(length: number): string {
    let digest = this.#zeroDigests.get(length);
    if (digest === undefined) {
      digest = createHash(this.#algorithm).update(Buffer.alloc(length)).digest('hex');
      this.#zeroDigests.set(length, digest);
    }
    return digest;
  }

  async #readChecked(buffer: Uint8Array, offset: number): Promise<void> {
    const blocks = this.#blocks;
    const within = offset >= 0 && offset + buffer.length <= this.virtualBytes;
    if (!blocks || !within || buffer.length === 0) return this.disk.readInto(buffer, offset);
    const first = Math.floor(offset / blocks.bytes) * blocks.bytes;
    const end = Math.min(this.virtualBytes, Math.ceil((offset + buffer.length) / blocks.bytes) * blocks.bytes);
    for (let at = first; at < end; at += blocks.bytes) {
      const length = Math.min(blocks.bytes, this.virtualBytes - at);
      const inside = at >= offset && at + length <= offset + buffer.length;
      const block = inside ? buffer.subarray(at - offset, at - offset + length) : Buffer.allocUnsafe(length);
      await this.disk.readInto(block, at);
      this.#check(block, at);
      if (inside) continue;
      const [from, to] = [Math.max(at, offset), Math.min(at + length, offset + buffer.length)];
      buffer.set(block.subarray(from - at, to - at), from - offset);
    }
  }

  #check(block: Uint8Array, offset: number): void {
    const promised = this.#blocks?.of(offset / this.#blocks.bytes);
    if (promised === undefined) return;
    const found = createHash(this.#algorithm).update(block).digest('hex');
    if (found === promised) return;
    throw this.#mismatch(`byte ${offset}`, `its ${block.length} bytes have ${found}, not ${promised}`);
  }

  #follow(data: Uint8Array, offset: number): void {
    if (!this.#hash || offset > this.#hashed || offset + data.length <= this.#hashed) return;
    const fresh = data.subarray(this.#hashed - offset);
    this.#hashed += fresh.length;
    this.#hash.update(fresh);
    this.#complete();
  }

  async #followZeros(offset: number, length: number): Promise<void> {
    for (let done = 0; this.#hash && done < length; done += zeros.length) {
      this.#follow(zeros.subarray(0, Math.min(zeros.length, length - done)), offset + done);
      await turn();
    }
  }

  #complete(): void {
    if (!this.#hash || this.#hashed < this.virtualBytes || this.#whole !== undefined) return;
    this.#whole = this.#hash.digest('hex');
    if (this.#expected === undefined || this.#whole === this.#expected) return;
    throw this.#mismatch('the whole', `it has ${this.#whole}, not ${this.#expected}`);
  }

  #mismatch(place: string, reason: string): VmdkError {
    return new VmdkError('digest-mismatch', { file: this.path, place, reason: `${this.#algorithm}: ${reason}` });
  }
}

interface Piece {
  readonly offset: number;
  readonly length: number;
}

/** A stretch cut at the multiples of a step. */
async function* steps(start: number, end: number, step: number): AsyncGenerator<Piece, void, undefined> {
  for (let at = start; at < end; ) {
    const length = Math.min(end, (Math.floor(at / step) + 1) * step) - at;
    yield { offset: at, length };
    at += length;
  }
}
