import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { fileError, VmdkError, type VmdkErrorCode } from './errors.ts';

export interface FileWindowOptions {
  readonly writable?: boolean;
  /** First byte of the image within the file. */
  readonly offset?: number;
  /** Bytes from there; default to the end of the file. */
  readonly length?: number;
  /** Code for a file that is not there. */
  readonly missing?: VmdkErrorCode;
}

/** A stretch of a regular file, such as one member of an archive, with positions from its own first byte. */
export class FileWindow {
  readonly path: string;
  readonly writable: boolean;
  /** `device:inode`, the same for two names of one file. */
  readonly identity: string;
  readonly #handle: FileHandle;
  /** First byte of the window within the file. */
  readonly offset: number;
  #bytes: number;

  private constructor(
    handle: FileHandle,
    path: string,
    identity: string,
    offset: number,
    bytes: number,
    writable: boolean,
  ) {
    this.#handle = handle;
    this.path = path;
    this.identity = identity;
    this.offset = offset;
    this.#bytes = bytes;
    this.writable = writable;
  }

  static async open(path: string, options: FileWindowOptions = {}): Promise<FileWindow> {
    const writable = options.writable ?? false;
    let handle: FileHandle | undefined;
    try {
      // A pipe or device in a disk's place must not block the open.
      const flags = (writable ? constants.O_RDWR : constants.O_RDONLY) | constants.O_NONBLOCK;
      handle = await open(path, flags);
      const stats = await handle.stat();
      if (!stats.isFile()) throw new VmdkError('not-vmdk', { file: path, reason: 'it is not a regular file' });
      const offset = options.offset ?? 0;
      const bytes = options.length ?? stats.size - offset;
      if (!(offset >= 0 && bytes >= 0 && offset + bytes <= stats.size)) {
        const reason = `${bytes} bytes at ${offset} are not within the file's ${stats.size}`;
        throw new VmdkError('truncated', { file: path, reason });
      }
      return new FileWindow(handle, path, `${stats.dev}:${stats.ino}`, offset, bytes, writable);
    } catch (error) {
      await handle?.close();
      throw fileError(error, path, options.missing);
    }
  }

  /** Length of the window; grows with writes past its end. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Reads exactly `length` bytes; `truncated` when the window ends before. */
  async read(position: number, length: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(length);
    await this.readInto(buffer, position);
    return buffer;
  }

  /** Fills the buffer; `truncated` when the window ends before. */
  async readInto(buffer: Uint8Array, position: number): Promise<void> {
    if (position < 0 || position + buffer.length > this.#bytes) throw this.#ended(position, buffer.length);
    try {
      for (let done = 0; done < buffer.length; ) {
        const at = this.offset + position + done;
        const { bytesRead } = await this.#handle.read(buffer, done, buffer.length - done, at);
        if (bytesRead === 0) throw this.#ended(position + done, buffer.length - done);
        done += bytesRead;
      }
    } catch (error) {
      throw fileError(error, this.path);
    }
  }

  async write(data: Uint8Array, position: number): Promise<void> {
    if (!this.writable) throw new VmdkError('read-only', { file: this.path, reason: 'it was opened for reading' });
    try {
      for (let done = 0; done < data.length; ) {
        const at = this.offset + position + done;
        done += (await this.#handle.write(data, done, data.length - done, at)).bytesWritten;
      }
    } catch (error) {
      throw fileError(error, this.path);
    }
    this.#bytes = Math.max(this.#bytes, position + data.length);
  }

  /** Makes what was written durable. */
  async sync(): Promise<void> {
    try {
      await this.#handle.sync();
    } catch (error) {
      throw fileError(error, this.path);
    }
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  #ended(position: number, length: number): VmdkError {
    const reason = `${length} bytes wanted, ${Math.max(0, this.#bytes - position)} are there`;
    return new VmdkError('truncated', { file: this.path, place: `byte ${position}`, reason });
  }
}
