import type { Block, Disk, DiskRange, RangeOptions } from '../disk/disk.ts';
import { readBlocks } from '../disk/read-blocks.ts';
import { VmdkError } from '../errors.ts';
import type { ChangedRange } from './change-map.ts';
import type { BlockStates, NbdConnection } from './client-connection.ts';
import {
  allocationContext,
  allocationFlags,
  bitmapContextPrefix,
  bitmapFlags,
  nbdCommands,
  transmissionFlags,
} from './protocol.ts';

/** Bytes of one request at most. */
const pieceBytes = 2 ** 20;
/** Bytes of one request that moves no data. A multiple of every block size. */
const longestPieceBytes = 2 ** 31;

export interface NbdDiskOptions {
  readonly path: string;
  readonly writable: boolean;
}

/** A disk behind an NBD server. Requests are cut to what the server takes, several under way at once. */
export class NbdDisk implements Disk {
  readonly path: string;
  readonly virtualBytes: number;
  readonly blockBytes: number;
  readonly writable: boolean;
  readonly description?: string;
  readonly #connection: NbdConnection;
  readonly #minimum: number;
  readonly #piece: number;
  #narrowWrites: Promise<void> = Promise.resolve();
  #written = false;

  constructor(connection: NbdConnection, options: NbdDiskOptions) {
    const { negotiated } = connection;
    this.#connection = connection;
    this.path = options.path;
    this.writable = options.writable;
    this.virtualBytes = negotiated.bytes;
    this.#minimum = negotiated.minimumBlockBytes;
    const most = negotiated.maximumPayloadBytes - (negotiated.maximumPayloadBytes % this.#minimum);
    this.#piece = Math.min(pieceBytes, most);
    this.blockBytes = Math.min(Math.max(negotiated.preferredBlockBytes, 65536), this.#piece);
    if (negotiated.description !== undefined) this.description = negotiated.description;
  }

  /** Names of the change maps that `changes` can tell. */
  get changeMaps(): readonly string[] {
    return [...this.#connection.negotiated.contexts.values()]
      .filter((name) => name.startsWith(bitmapContextPrefix))
      .map((name) => name.slice(bitmapContextPrefix.length));
  }

  async read(offset: number, length: number): Promise<Buffer> {
    this.#check(offset, length);
    const buffer = Buffer.alloc(length);
    await this.readInto(buffer, offset);
    return buffer;
  }

  async readInto(buffer: Uint8Array, offset: number): Promise<void> {
    this.#check(offset, buffer.length);
    await this.#eachPiece(offset, buffer.length, this.#piece, async (at, length) => {
      const target = buffer.subarray(at - offset, at - offset + length);
      const wide = this.#widened(at, length);
      if (wide.length === length) await this.#read(at, target);
      else {
        const around = Buffer.alloc(wide.length);
        await this.#read(wide.offset, around);
        target.set(around.subarray(at - wide.offset, at - wide.offset + length));
      }
    });
  }

  async write(offset: number, data: Uint8Array): Promise<void> {
    this.#check(offset, data.length);
    this.#checkWritable();
    await this.#eachPiece(offset, data.length, this.#piece, async (at, length) => {
      const source = data.subarray(at - offset, at - offset + length);
      const wide = this.#widened(at, length);
      if (wide.length === length) await this.#write(at, source);
      else await this.#writeNarrow(at, source);
    });
  }

  /** Makes the stretch zeros and gives its space back where the server can. */
  async trim(offset: number, length: number): Promise<void> {
    this.#check(offset, length);
    this.#checkWritable();
    const start = Math.ceil(offset / this.#minimum) * this.#minimum;
    const reach = offset + length;
    const end = reach === this.virtualBytes ? reach : reach - (reach % this.#minimum);
    if (start >= end || !this.#can(transmissionFlags.sendWriteZeroes)) return this.#writeZeros(offset, length);
    await this.#writeZeros(offset, start - offset);
    await this.#eachPiece(start, end - start, longestPieceBytes, async (at, piece) => {
      await this.#connection.request({ command: nbdCommands.writeZeroes, offset: at, length: piece });
    });
    this.#written = true;
    await this.#writeZeros(end, reach - end);
  }

  async flush(): Promise<void> {
    if (!this.writable || !this.#can(transmissionFlags.sendFlush)) return;
    this.#written = false;
    await this.#connection.request({ command: nbdCommands.flush, offset: 0, length: 0 });
  }

  /** What the server tells by `base:allocation`; all data where it tells nothing. */
  async *map(options: RangeOptions = {}): AsyncGenerator<DiskRange, void, undefined> {
    const { start, end } = this.#span(options);
    const context = this.#contextOf(allocationContext);
    if (context === undefined) {
      if (end > start) yield { offset: start, length: end - start, state: 'data' };
      return;
    }
    let pending: DiskRange | undefined;
    for await (const { offset, length, flags } of this.#states(context, start, end, options.signal)) {
      const state = stateOf(flags);
      if (pending?.state === state) pending = { ...pending, length: pending.length + length };
      else {
        if (pending) yield pending;
        pending = { offset, length, state };
      }
    }
    if (pending) yield pending;
  }

  /** What a change map (`qemu:dirty-bitmap:NAME`) tells; ranges in order, without gaps, neighbours joined. */
  async *changes(name: string, options: RangeOptions = {}): AsyncGenerator<ChangedRange, void, undefined> {
    const { start, end } = this.#span(options);
    const context = this.#contextOf(`${bitmapContextPrefix}${name}`);
    if (context === undefined) {
      throw new VmdkError('change-map-missing', { file: this.path, reason: `the server tells no change map ${name}` });
    }
    let pending: ChangedRange | undefined;
    for await (const { offset, length, flags } of this.#states(context, start, end, options.signal)) {
      const changed = (flags & bitmapFlags.dirty) !== 0;
      if (pending?.changed === changed) pending = { ...pending, length: pending.length + length };
      else {
        if (pending) yield pending;
        pending = { offset, length, changed };
      }
    }
    if (pending) yield pending;
  }

  blocks(options: RangeOptions = {}): AsyncIterable<Block> {
    this.#span(options);
    return readBlocks(this, options);
  }

  async close(): Promise<void> {
    try {
      if (this.#written) await this.flush();
    } finally {
      await this.#connection.close();
    }
  }

  async *#states(context: number, start: number, end: number, signal: AbortSignal | undefined) {
    for (let at = start; at < end; ) {
      signal?.throwIfAborted();
      const wide = this.#widened(at, Math.min(end - at, longestPieceBytes - this.#minimum));
      const states = await this.#connection.request({ command: nbdCommands.blockStatus, ...wide });
      for (const { length, flags } of cut(states.get(context), at - wide.offset, end - at, this.path)) {
        yield { offset: at, length, flags };
        at += length;
      }
    }
  }

  async #read(offset: number, target: Uint8Array): Promise<void> {
    await this.#connection.request({ command: nbdCommands.read, offset, length: target.length, target });
  }

  async #write(offset: number, data: Uint8Array): Promise<void> {
    this.#written = true;
    await this.#connection.request({ command: nbdCommands.write, offset, length: data.length, data });
  }

  /** A write that is no whole block: the rest of its blocks is read before. One at a time. */
  #writeNarrow(offset: number, data: Uint8Array): Promise<void> {
    const work = this.#narrowWrites.then(async () => {
      const wide = this.#widened(offset, data.length);
      const around = Buffer.alloc(wide.length);
      await this.#read(wide.offset, around);
      around.set(data, offset - wide.offset);
      await this.#write(wide.offset, around);
    });
    this.#narrowWrites = work.catch(() => undefined);
    return work;
  }

  async #writeZeros(offset: number, length: number): Promise<void> {
    const zeros = Buffer.alloc(Math.min(length, this.#piece));
    for (let done = 0; done < length; done += zeros.length) {
      await this.write(offset + done, zeros.subarray(0, length - done));
    }
  }

  /** Does work on the stretch, cut at multiples of the piece, several pieces at once. Waits for all of them. */
  async #eachPiece(
    offset: number,
    length: number,
    piece: number,
    work: (offset: number, length: number) => Promise<void>,
  ): Promise<void> {
    const end = offset + length;
    let next = offset;
    let failed = false;
    const worker = async () => {
      while (next < end && !failed) {
        const at = next;
        next = Math.min(end, at - (at % piece) + piece);
        await work(at, next - at);
      }
    };
    const workers = Array.from({ length: Math.min(8, Math.ceil(length / piece) + 1) }, () =>
      worker().catch((error: unknown) => {
        failed = true;
        throw error;
      }),
    );
    const failure = (await Promise.allSettled(workers)).find((result) => result.status === 'rejected');
    if (failure) throw failure.reason;
  }

  /** The whole blocks around a stretch. */
  #widened(offset: number, length: number): { readonly offset: number; readonly length: number } {
    const start = offset - (offset % this.#minimum);
    const end = Math.min(this.virtualBytes, Math.ceil((offset + length) / this.#minimum) * this.#minimum);
    return { offset: start, length: end - start };
  }

  #contextOf(name: string): number | undefined {
    for (const [number, context] of this.#connection.negotiated.contexts) if (context === name) return number;
    return undefined;
  }

  #can(flag: number): boolean {
    return (this.#connection.negotiated.flags & flag) !== 0;
  }

  #checkWritable(): void {
    if (!this.writable) throw new VmdkError('read-only', { file: this.path, reason: 'it was opened for reading' });
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

/** A hole that need not read as zeros counts as data. */
function stateOf(flags: number): DiskRange['state'] {
  if ((flags & allocationFlags.zero) === 0) return 'data';
  return (flags & allocationFlags.hole) === 0 ? 'zero' : 'unallocated';
}

/** States without the first `skip` bytes, for at most `limit` bytes after them. */
function cut(states: BlockStates | undefined, skip: number, limit: number, path: string): BlockStates {
  const kept = [];
  let before = skip;
  let left = limit;
  for (const { length, flags } of states ?? []) {
    const piece = Math.min(Math.max(0, length - before), left);
    before = Math.max(0, before - length);
    left -= piece;
    if (piece > 0) kept.push({ length: piece, flags });
  }
  if (kept.length === 0) throw new VmdkError('nbd-protocol', { file: path, reason: 'no block status where asked' });
  return kept;
}
