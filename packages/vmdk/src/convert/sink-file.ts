import { fileError } from '../errors.ts';
import { FileWindow } from '../file-window.ts';
import { DirectFile } from './direct-file.ts';
import { EarlySync } from './early-sync.ts';

/** A file of a new disk, written beside the page cache as far as that goes. */
export class SinkFile {
  readonly path: string;
  readonly #window: FileWindow;
  readonly #direct: DirectFile | undefined;
  readonly #early: EarlySync;

  private constructor(window: FileWindow, direct: DirectFile | undefined) {
    this.path = window.path;
    this.#window = window;
    this.#direct = direct;
    this.#early = new EarlySync(() => window.sync());
  }

  /** Opens a file that is there. */
  static async open(path: string): Promise<SinkFile> {
    const window = await FileWindow.open(path, { writable: true });
    try {
      return new SinkFile(window, await DirectFile.open(path));
    } catch (error) {
      await window.close();
      throw fileError(error, path);
    }
  }

  read(position: number, length: number): Promise<Buffer> {
    return this.#window.read(position, length);
  }

  /** Several writes may be underway at once. */
  async write(data: Uint8Array, position: number): Promise<void> {
    const done = await this.#writeDirect(data, position);
    if (done === data.length) return;
    await this.#window.write(data.subarray(done), position + done);
    this.#early.wrote(data.length - done);
  }

  /** Resolves when everything is durable. */
  finish(): Promise<void> {
    return this.#early.finish();
  }

  async close(): Promise<void> {
    await this.#early.settle();
    await this.#direct?.close();
    await this.#window.close();
  }

  async #writeDirect(data: Uint8Array, position: number): Promise<number> {
    try {
      return (await this.#direct?.write(data, position)) ?? 0;
    } catch (error) {
      throw fileError(error, this.path);
    }
  }
}
