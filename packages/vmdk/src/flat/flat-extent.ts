import type { Extent, Run } from '../disk/extent.ts';
import { VmdkError } from '../errors.ts';
import type { FileWindow } from '../file-window.ts';
import { punchHoles } from './punch-holes.ts';

const flatBlockBytes = 65536;

/** An extent whose bytes stand in a file as they are. All of it counts as data: the file system knows the holes. */
export class FlatExtent implements Extent {
  readonly bytes: number;
  readonly blockBytes = flatBlockBytes;
  readonly #file: FileWindow;
  readonly #start: number;

  constructor(file: FileWindow, start: number, bytes: number) {
    if (start + bytes > file.bytes) {
      const reason = `${start + bytes} bytes wanted, ${file.bytes} are there`;
      throw new VmdkError('extent-truncated', { file: file.path, reason });
    }
    this.#file = file;
    this.#start = start;
    this.bytes = bytes;
  }

  async locate(_offset: number, limit: number): Promise<Run> {
    return { length: limit, state: 'data' };
  }

  async read(buffer: Uint8Array, offset: number): Promise<void> {
    await this.#file.readInto(buffer, this.#start + offset);
  }

  async write(data: Uint8Array, offset: number): Promise<void> {
    await this.#file.write(data, this.#start + offset);
  }

  /** A hole in the file where it pays and its file system can; otherwise zeros. */
  async trim(offset: number, length: number): Promise<void> {
    if (!this.#file.writable) throw new VmdkError('read-only', { file: this.#file.path, reason: 'it is only read' });
    const range = { offset: this.#file.offset + this.#start + offset, length };
    if (length >= flatBlockBytes && (await punchHoles(this.#file.path, [range]))) return;
    const zeros = Buffer.alloc(Math.min(length, 2 ** 20));
    for (let done = 0; done < length; done += zeros.length) {
      await this.write(zeros.subarray(0, Math.min(zeros.length, length - done)), offset + done);
    }
  }

  async flush(): Promise<void> {
    if (this.#file.writable) await this.#file.sync();
  }

  async close(): Promise<void> {
    try {
      await this.flush();
    } finally {
      await this.#file.close();
    }
  }
}
