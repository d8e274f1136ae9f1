import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

/** What positions, lengths and memory must be multiples of, whatever the medium. */
const alignment = 4096;
/** Less than this goes the usual way: a medium takes as long for it as for this much, and the cache gathers. */
const leastBytes = 131_072;

/**
 * Writes to a file beside the page cache (O_DIRECT): it costs a fifth of the processor time, drives nothing out of the
 * cache, and the medium is at work from the first byte on. Such bytes are as durable as any after a sync of the file.
 */
export class DirectFile {
  #handle: FileHandle;
  #refused = false;

  private constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** Undefined where the platform or the file system has no such writes. */
  static async open(path: string): Promise<DirectFile | undefined> {
    if (constants.O_DIRECT === undefined) return undefined;
    try {
      return new DirectFile(await open(path, constants.O_WRONLY | constants.O_DIRECT));
    } catch (error) {
      if (isRefusal(error)) return undefined;
      throw error;
    }
  }

  /** Writes so much of it as can be written so; how many bytes that was, from the first one on. */
  async write(data: Uint8Array, position: number): Promise<number> {
    if (this.#refused || position % alignment !== 0 || data.length < leastBytes) return 0;
    const whole = data.length - (data.length % alignment);
    let done = 0;
    try {
      while (done < whole && done % alignment === 0) {
        done += (await this.#handle.write(data, done, whole - done, position + done)).bytesWritten;
      }
    } catch (error) {
      if (!isRefusal(error)) throw error;
      this.#refused = true;
    }
    return done;
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

function isRefusal(error: unknown): boolean {
  return ['EINVAL', 'EOPNOTSUPP'].includes((error as NodeJS.ErrnoException).code ?? '');
}
