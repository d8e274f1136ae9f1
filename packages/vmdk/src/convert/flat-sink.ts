import { fileError } from '../errors.ts';
import { FileWindow } from '../file-window.ts';
import { DirectFile } from './direct-file.ts';
import type { DiskSink } from './disk-sink.ts';
import { EarlySync } from './early-sync.ts';
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
  readonly window: FileWindow;
  readonly direct: DirectFile | undefined;
  readonly early: EarlySync;
}

/** Flat files that are there already, with room or holes for their bytes; zeros are not written. */
export class FlatSink implements DiskSink {
  /** The file system takes one after another, and finds the next at hand. */
  readonly writesAtOnce = 3;
  readonly #files: readonly OpenFile[];
  #stored = 0;

  private constructor(files: readonly OpenFile[]) {
    this.#files = files;
  }

  static async open(files: readonly FlatFile[]): Promise<FlatSink> {
    const opened: OpenFile[] = [];
    try {
      for (const file of files) {
        const window = await FileWindow.open(file.path, { writable: true });
        const early = new EarlySync(() => window.sync());
        opened.push({ ...file, window, early, direct: undefined });
        const direct = await DirectFile.open(file.path).catch((error: unknown) => {
          throw fileError(error, file.path);
        });
        opened.splice(-1, 1, { ...file, window, early, direct });
      }
    } catch (error) {
      await closeAll(opened);
      throw error;
    }
    return new FlatSink(opened);
  }

  async write(offset: number, data: Uint8Array): Promise<void> {
    for (const file of this.#files) {
      const { start, bytes } = file;
      if (start + bytes <= offset) continue;
      if (start >= offset + data.length) break;
      const from = Math.max(start, offset);
      const piece = data.subarray(from - offset, Math.min(start + bytes, offset + data.length) - offset);
      for (const stretch of storedStretches(piece)) {
        const stored = piece.subarray(stretch.start, stretch.end);
        await writeTo(file, stored, file.offset + from - start + stretch.start);
        this.#stored += stored.length;
      }
    }
  }

  async finish(): Promise<number> {
    for (const { early } of this.#files) await early.finish();
    return this.#stored;
  }

  async close(): Promise<void> {
    await closeAll(this.#files);
  }
}

async function writeTo({ path, window, direct, early }: OpenFile, data: Uint8Array, position: number): Promise<void> {
  const done = await (direct?.write(data, position) ?? Promise.resolve(0)).catch((error: unknown) => {
    throw fileError(error, path);
  });
  if (done === data.length) return;
  await window.write(data.subarray(done), position + done);
  early.wrote(data.length - done);
}

async function closeAll(files: readonly OpenFile[]): Promise<void> {
  await Promise.allSettled(
    files.map(async ({ window, direct, early }) => {
      await direct?.close();
      await early.settle();
      await window.close();
    }),
  );
}
