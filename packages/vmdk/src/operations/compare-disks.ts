import type { Disk } from '../disk/disk.ts';
import type { OperationOptions } from './operation-options.ts';

const pieceBytes = 2 ** 20;
const sectorBytes = 512;

export interface CompareOptions extends Pick<OperationOptions, 'signal' | 'onProgress'> {
  /** Differing ranges that are listed at most. Default 100. */
  readonly limit?: number;
}

export interface Comparison {
  /** Every byte is the same; where one disk is longer, the rest of it is zeros. */
  readonly identical: boolean;
  readonly virtualBytes: readonly [number, number];
  /** Stretches in which the content differs, in order, in whole sectors. */
  readonly differences: readonly { readonly offset: number; readonly length: number }[];
  /** The list ended at its limit; there may be more. */
  readonly truncated: boolean;
}

/** Compares two disks of any kind byte by byte. Parts that neither stores are not read. Memory: 2 MiB. */
export async function compareDisks(first: Disk, second: Disk, options: CompareOptions = {}): Promise<Comparison> {
  const limit = options.limit ?? 100;
  const virtualBytes = [first.virtualBytes, second.virtualBytes] as const;
  const totalBytes = Math.max(...virtualBytes);
  const found = new Ranges(limit);
  for await (const { offset, length, stored } of storedByEither(first, second, options.signal)) {
    options.signal?.throwIfAborted();
    if (stored) await comparePiece(first, second, offset, length, found);
    options.onProgress?.({ doneBytes: offset + length, totalBytes });
    if (found.full) break;
  }
  const differences = found.list;
  return { identical: differences.length === 0, virtualBytes, differences, truncated: found.full };
}

/** Ranges in order, neighbours joined, up to a number of them. */
class Ranges {
  readonly list: { offset: number; length: number }[] = [];
  full = false;
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(offset: number, length: number): void {
    const last = this.list.at(-1);
    if (last && last.offset + last.length === offset) last.length += length;
    else if (this.list.length >= this.#limit) this.full = true;
    else this.list.push({ offset, length });
  }
}

async function comparePiece(first: Disk, second: Disk, offset: number, length: number, found: Ranges): Promise<void> {
  const [one, other] = await Promise.all([contentOf(first, offset, length), contentOf(second, offset, length)]);
  if (one.equals(other)) return;
  for (let at = 0; at < length && !found.full; at += sectorBytes) {
    const sector = one.subarray(at, at + sectorBytes);
    if (!sector.equals(other.subarray(at, at + sectorBytes))) found.add(offset + at, sector.length);
  }
}

/** Bytes of a disk, zeros past its end. */
async function contentOf(disk: Disk, offset: number, length: number): Promise<Buffer> {
  const there = Math.max(0, Math.min(length, disk.virtualBytes - offset));
  if (there === length) return disk.read(offset, length);
  const bytes = Buffer.alloc(length);
  if (there > 0) await disk.readInto(bytes.subarray(0, there), offset);
  return bytes;
}

interface Stretch {
  readonly offset: number;
  readonly length: number;
  readonly stored: boolean;
}

/** Both disks from end to end in pieces, each stored by at least one of them or by none. */
async function* storedByEither(
  first: Disk,
  second: Disk,
  signal: AbortSignal | undefined,
): AsyncGenerator<Stretch, void, undefined> {
  const maps = [new MapWalk(first, signal), new MapWalk(second, signal)] as const;
  const end = Math.max(first.virtualBytes, second.virtualBytes);
  for (let at = 0; at < end; ) {
    const [one, other] = [await maps[0].at(at), await maps[1].at(at)];
    const stored = one.stored || other.stored;
    let length = Math.min(one.end, other.end, end) - at;
    if (stored) length = Math.min(length, pieceBytes - (at % pieceBytes));
    yield { offset: at, length, stored };
    at += length;
  }
}

/** Bytes whose map is asked for at once. */
const mapBytes = 256 * 2 ** 20;

/** Walks forward over the map of a disk; past its end nothing is stored. */
class MapWalk {
  readonly #ranges: AsyncIterator<Stretch>;
  #current: { readonly end: number; readonly stored: boolean } = { end: 0, stored: false };

  constructor(disk: Disk, signal: AbortSignal | undefined) {
    this.#ranges = rangesOf(disk, signal)[Symbol.asyncIterator]();
  }

  async at(offset: number): Promise<{ readonly end: number; readonly stored: boolean }> {
    while (this.#current.end <= offset) {
      const next = await this.#ranges.next();
      this.#current = next.done
        ? { end: Number.POSITIVE_INFINITY, stored: false }
        : { end: next.value.offset + next.value.length, stored: next.value.stored };
    }
    return this.#current;
  }
}

async function* rangesOf(disk: Disk, signal: AbortSignal | undefined): AsyncGenerator<Stretch, void, undefined> {
  for (let at = 0; at < disk.virtualBytes; at += mapBytes) {
    const length = Math.min(mapBytes, disk.virtualBytes - at);
    for await (const range of disk.map({ offset: at, length, ...(signal ? { signal } : {}) })) {
      yield { offset: range.offset, length: range.length, stored: range.state === 'data' };
    }
  }
}
