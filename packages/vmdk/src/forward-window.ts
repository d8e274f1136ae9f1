import type { FileWindow } from './file-window.ts';
import { isZero } from './size.ts';

/** Bytes that are read in one go. */
const windowBytes = 2 ** 20;

/** Reads small pieces of a file, mostly forwards, through one window of a MiB. Does not see later writes there. */
export class ForwardWindow {
  readonly path: string;
  readonly bytes: number;
  readonly #file: FileWindow;
  #start = 0;
  #window: Buffer = Buffer.alloc(0);

  constructor(file: FileWindow) {
    this.#file = file;
    this.path = file.path;
    this.bytes = file.bytes;
  }

  /** Bytes from there, as many as are there. The next call may reuse them. */
  async read(position: number, length: number): Promise<Buffer> {
    const end = Math.min(position + length, this.bytes);
    if (position < this.#start || end > this.#start + this.#window.length) {
      this.#start = position;
      this.#window = await this.#file.read(
        position,
        Math.max(end - position, Math.min(windowBytes, this.bytes - position)),
      );
    }
    return this.#window.subarray(position - this.#start, end - this.#start);
  }

  /** Whether everything from there on is zero. */
  async isZeroFrom(position: number): Promise<boolean> {
    for (let at = position; at < this.bytes; at += windowBytes) {
      if (!isZero(await this.read(at, windowBytes))) return false;
    }
    return true;
  }
}
