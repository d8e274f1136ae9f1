import { VmdkError } from '../errors.ts';
import { isZero, sectorBytes } from '../size.ts';
import { directoryEntries, parseSparseHeader, type SparseHeader } from '../sparse/sparse-header.ts';
import type { DiskSink } from './disk-sink.ts';
import { SinkFile } from './sink-file.ts';

const entryBytes = 4;

/** An empty sparse extent in its place on the disk. */
export interface SparseFile {
  readonly path: string;
  readonly start: number;
  readonly bytes: number;
}

/**
 * Fills empty sparse extents from front to back: grains one after another, each table written once, when its last grain
 * has come. The extents must have all their tables, as `createDisk` makes them.
 */
export class SparseSink implements DiskSink {
  /** As of flat files. */
  readonly writesAtOnce = 3;
  readonly #files: readonly (SparseFile & { readonly extent: SparseFiller })[];

  private constructor(files: readonly (SparseFile & { readonly extent: SparseFiller })[]) {
    this.#files = files;
  }

  static async open(files: readonly SparseFile[]): Promise<SparseSink> {
    const opened: (SparseFile & { readonly extent: SparseFiller })[] = [];
    try {
      for (const file of files) opened.push({ ...file, extent: await SparseFiller.open(file) });
    } catch (error) {
      await Promise.allSettled(opened.map(({ extent }) => extent.close()));
      throw error;
    }
    return new SparseSink(opened);
  }

  async write(offset: number, data: Uint8Array): Promise<void> {
    await written((begun) => {
      for (const { start, bytes, extent } of this.#files) {
        if (start + bytes <= offset) continue;
        if (start >= offset + data.length) break;
        const from = Math.max(start, offset);
        const end = Math.min(start + bytes, offset + data.length);
        extent.write(from - start, data.subarray(from - offset, end - offset), begun);
      }
    });
  }

  async finish(): Promise<number> {
    let stored = 0;
    for (const { extent } of this.#files) stored += await extent.finish();
    return stored;
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#files.map(({ extent }) => extent.close()));
  }
}

type Begun = Promise<void>[];

/** Begins writes; resolves or rejects when none of them is underway any more. */
async function written(begin: (begun: Begun) => void): Promise<void> {
  const begun: Begun = [];
  try {
    begin(begun);
  } finally {
    await Promise.allSettled(begun);
  }
  await Promise.all(begun);
}

/** Places are given at once, as the bytes come, so that several writes can be underway. */
class SparseFiller {
  readonly #file: SinkFile;
  readonly #header: SparseHeader;
  readonly #grainBytes: number;
  readonly #bytes: number;
  /** The directory and its copy. */
  readonly #directories: readonly Buffer[];
  #table: Buffer;
  #tableIndex = -1;
  #end: number;
  #grains = 0;
  /** A grain that has come in part. */
  #partial: { readonly index: number; readonly data: Buffer } | undefined;

  private constructor(file: SinkFile, header: SparseHeader, bytes: number, directories: readonly Buffer[]) {
    this.#file = file;
    this.#header = header;
    this.#bytes = bytes;
    this.#directories = directories;
    this.#grainBytes = header.grainSectors * sectorBytes;
    this.#table = Buffer.alloc(header.entriesPerTable * entryBytes);
    this.#end = header.overheadSectors * sectorBytes;
  }

  static async open({ path, bytes }: SparseFile): Promise<SparseFiller> {
    const file = await SinkFile.open(path);
    try {
      const header = parseSparseHeader(await file.read(0, sectorBytes), path);
      const length = directoryEntries(header) * entryBytes;
      const directories = await Promise.all(
        [header.redundantDirectoryOffset, header.directoryOffset as number].map((sector) =>
          file.read(sector * sectorBytes, length),
        ),
      );
      return new SparseFiller(file, header, bytes, directories);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** The data belongs to the writes that are begun, until they are done. */
  write(offset: number, data: Uint8Array, begun: Begun): void {
    for (let done = 0; done < data.length; ) {
      const at = offset + done;
      const within = at % this.#grainBytes;
      const index = (at - within) / this.#grainBytes;
      if (this.#partial && this.#partial.index !== index) this.#flushPartial(begun);
      const room = Math.min(this.#grainBytes, this.#bytes - index * this.#grainBytes) - within;
      const length = Math.min(room, data.length - done);
      if (within === 0 && length === this.#grainBytes) {
        const whole = this.#wholeGrains(data.subarray(done));
        if (!whole.zero) this.#append(index, whole.count, data.subarray(done, done + whole.bytes), begun);
        done += whole.bytes;
      } else {
        this.#partial ??= { index, data: Buffer.alloc(this.#grainBytes) };
        this.#partial.data.set(data.subarray(done, done + length), within);
        done += length;
      }
    }
  }

  async finish(): Promise<number> {
    await written((begun) => {
      this.#flushPartial(begun);
      this.#flushTable(begun);
    });
    await this.#file.finish();
    return this.#grains * this.#grainBytes;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  /** As many whole grains as go together: all of zeros, or none. */
  #wholeGrains(data: Uint8Array): { readonly count: number; readonly bytes: number; readonly zero: boolean } {
    const grain = this.#grainBytes;
    const most = Math.floor(data.length / grain);
    let count = 0;
    const zero = isZero(data.subarray(0, grain));
    do count += 1;
    while (count < most && isZero(data.subarray(count * grain, (count + 1) * grain)) === zero);
    return { count, bytes: count * grain, zero };
  }

  #flushPartial(begun: Begun): void {
    const partial = this.#partial;
    this.#partial = undefined;
    if (partial && !isZero(partial.data)) this.#append(partial.index, 1, partial.data, begun);
  }

  #append(first: number, count: number, data: Uint8Array, begun: Begun): void {
    const { entriesPerTable, grainSectors } = this.#header;
    const position = this.#end;
    const sector = position / sectorBytes;
    if (sector + count * grainSectors > 0xffffffff) {
      throw new VmdkError('too-large', { file: this.#file.path, reason: 'over 2 TiB of grains' });
    }
    for (let index = first; index < first + count; index += 1) {
      const table = Math.floor(index / entriesPerTable);
      if (table !== this.#tableIndex) {
        this.#flushTable(begun);
        this.#tableIndex = table;
      }
      this.#table.writeUInt32LE(sector + (index - first) * grainSectors, (index % entriesPerTable) * entryBytes);
    }
    this.#end += data.length;
    this.#grains += count;
    begun.push(this.#file.write(data, position));
  }

  #flushTable(begun: Begun): void {
    if (this.#tableIndex < 0) return;
    for (const directory of this.#directories) {
      const sector = directory.readUInt32LE(this.#tableIndex * entryBytes);
      if (sector < 1 || (sector + 1) * sectorBytes > this.#header.overheadSectors * sectorBytes) {
        throw new VmdkError('table-invalid', {
          file: this.#file.path,
          reason: `table ${this.#tableIndex} has no room`,
        });
      }
      begun.push(this.#file.write(this.#table, sector * sectorBytes));
    }
    this.#table = Buffer.alloc(this.#table.length);
    this.#tableIndex = -1;
  }
}
