import { FileWindow } from '../file-window.ts';
import type { DiskSink } from './disk-sink.ts';
import { storedStretches } from './zero-runs.ts';

/** A flat file in its place on the disk. */
export interface FlatFile {
  readonly path: string;
  /** First byte on the disk. */
  readonly start: number;
  readonly bytes: number;
  /** First byte within the file. */
  readonly offset: number;
}

/** Flat files that are there already, with room or holes for their bytes; zeros are not written. */
export class FlatSink implements DiskSink {
  readonly #files: readonly (FlatFile & { readonly window: FileWindow })[];
  #stored = 0;

  private constructor(files: readonly (FlatFile & { readonly window: FileWindow })[]) {
    this.#files = files;
  }

  static async open(files: readonly FlatFile[]): Promise<FlatSink> {
    const opened: (FlatFile & { readonly window: FileWindow })[] = [];
    try {
      for (const file of files) {
        opened.push({ ...file, window: await FileWindow.open(file.path, { writable: true }) });
      }
    } catch (error) {
      await Promise.allSettled(opened.map(({ window }) => window.close()));
      throw error;
    }
    return new FlatSink(opened);
  }

  async write(offset: number, data: Uint8Array): Promise<void> {
    for (const { window, start, bytes, offset: within } of this.#files) {
      if (start + bytes <= offset) continue;
      if (start >= offset + data.length) break;
      const from = Math.max(start, offset);
      const piece = data.subarray(from - offset, Math.min(start + bytes, offset + data.length) - offset);
      for (const stretch of storedStretches(piece)) {
        await window.write(piece.subarray(stretch.start, stretch.end), within + from - start + stretch.start);
        this.#stored += stretch.end - stretch.start;
      }
    }
  }

  async finish(): Promise<number> {
    for (const { window } of this.#files) await window.sync();
    return this.#stored;
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#files.map(({ window }) => window.close()));
  }
}
