import type { DiskSink } from './disk-sink.ts';
import { SinkFile } from './sink-file.ts';
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

interface OpenFile extends FlatFile {
  readonly file: SinkFile;
}

/** Flat files that are there already, with room or holes for their bytes; zeros are not written. */
export class FlatSink implements DiskSink {
  /** The file system takes them one after another, and has the next at hand. */
  readonly writesAtOnce = 3;
  readonly #files: readonly OpenFile[];
  #stored = 0;

  private constructor(files: readonly OpenFile[]) {
    this.#files = files;
  }

  static async open(files: readonly FlatFile[]): Promise<FlatSink> {
    const opened: OpenFile[] = [];
    try {
      for (const file of files) opened.push({ ...file, file: await SinkFile.open(file.path) });
    } catch (error) {
      await Promise.allSettled(opened.map(({ file }) => file.close()));
      throw error;
    }
    return new FlatSink(opened);
  }

  async write(offset: number, data: Uint8Array): Promise<void> {
    for (const { file, start, bytes, offset: within } of this.#files) {
      if (start + bytes <= offset) continue;
      if (start >= offset + data.length) break;
      const from = Math.max(start, offset);
      const piece = data.subarray(from - offset, Math.min(start + bytes, offset + data.length) - offset);
      for (const stretch of storedStretches(piece)) {
        await file.write(piece.subarray(stretch.start, stretch.end), within + from - start + stretch.start);
        this.#stored += stretch.end - stretch.start;
      }
    }
  }

  async finish(): Promise<number> {
    for (const { file } of this.#files) await file.finish();
    return this.#stored;
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#files.map(({ file }) => file.close()));
  }
}
