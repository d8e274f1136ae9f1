import { closeSync, constants, fdatasyncSync, fstatSync, fsyncSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { fileError } from '../errors.ts';
import { isZero } from '../size.ts';

/** Neighbouring bytes are written together up to this many. */
const gatherBytes = 2 ** 20;
const zeros = Buffer.alloc(gatherBytes);

/** A flat file being filled in ascending order, with holes where the disk is zero, or zeros there. */
export class FlatTarget {
  readonly #path: string;
  readonly #file: number;
  readonly #virtualBytes: number;
  readonly #fill: boolean;
  readonly #gathered = Buffer.allocUnsafe(gatherBytes);
  #start: number;
  #length = 0;

  /** `from`: how far an earlier run had filled it; 0 empties the file, or makes it. */
  constructor(options: { path: string; virtualBytes: number; fill: boolean; from: number }) {
    const { path, virtualBytes, fill, from } = options;
    this.#path = path;
    this.#virtualBytes = virtualBytes;
    this.#fill = fill;
    this.#start = from;
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
    try {
      this.#file = openSync(path, flags | (from === 0 ? constants.O_TRUNC : 0), 0o644);
    } catch (error) {
      throw fileError(error, path);
    }
    try {
      ftruncateSync(this.#file, virtualBytes);
    } catch (error) {
      closeSync(this.#file);
      throw fileError(error, path);
    }
  }

  /** Whether the file at `path` has the length that a run in progress gave it. */
  static isBegun(path: string, virtualBytes: number): boolean {
    try {
      const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
      try {
        return fstatSync(file).size === virtualBytes;
      } finally {
        closeSync(file);
      }
    } catch {
      return false;
    }
  }

  write(offset: number, data: Buffer): void {
    if (!this.#fill && isZero(data)) return;
    if (offset !== this.#start + this.#length) this.#skipTo(offset);
    for (let done = 0; done < data.length; ) {
      const count = Math.min(data.length - done, gatherBytes - this.#length);
      data.copy(this.#gathered, this.#length, done, done + count);
      this.#length += count;
      done += count;
      if (this.#length === gatherBytes) this.#flush();
    }
  }

  /** Makes what was written durable. */
  sync(): void {
    this.#flush();
    this.#guarded(() => fdatasyncSync(this.#file));
  }

  /** Fills the rest where it is to be filled, and makes all of it durable. */
  finish(): void {
    this.#skipTo(this.#virtualBytes);
    this.#guarded(() => fsyncSync(this.#file));
  }

  close(): void {
    closeSync(this.#file);
  }

  #skipTo(offset: number): void {
    this.#flush();
    while (this.#fill && this.#start < offset) {
      const piece = zeros.subarray(0, Math.min(zeros.length, offset - this.#start));
      this.#writeAll(piece, this.#start);
      this.#start += piece.length;
    }
    this.#start = offset;
  }

  #flush(): void {
    this.#writeAll(this.#gathered.subarray(0, this.#length), this.#start);
    this.#start += this.#length;
    this.#length = 0;
  }

  #writeAll(data: Buffer, offset: number): void {
    this.#guarded(() => {
      for (let done = 0; done < data.length; )
        done += writeSync(this.#file, data, done, data.length - done, offset + done);
    });
  }

  #guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      throw fileError(error, this.#path);
    }
  }
}
