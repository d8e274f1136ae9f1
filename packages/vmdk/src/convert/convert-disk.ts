import { open } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type CreatableKind, type CreateDiskOptions, createDisk } from '../create/create-disk.ts';
import type { Descriptor } from '../descriptor/descriptor.ts';
import type { AdapterType } from '../descriptor/geometry.ts';
import { fileError } from '../errors.ts';
import type { Allocation } from '../flat/create-flat-extent.ts';
import { capacityInSectors, sectorBytes } from '../size.ts';
import { writeStreamOptimized } from '../stream/stream-writer.ts';
import { type ConvertSource, cloneFile, flatFilesOf } from './convert-source.ts';
import { type ConvertProgress, copyDisk } from './copy-disk.ts';
import type { DiskSink } from './disk-sink.ts';
import { blockSource } from './disk-streams.ts';
import { EarlySync } from './early-sync.ts';
import { type FlatFile, FlatSink } from './flat-sink.ts';
import { SparseSink } from './sparse-sink.ts';
import { StagedFiles } from './staged-files.ts';

export type ConvertKind = CreatableKind | 'streamOptimized' | 'raw';

export interface ConvertTarget {
  /** The descriptor, or the only file. */
  readonly path: string;
  readonly kind: ConvertKind;
  /** Replaces what is there, once the new disk is whole. Default false: `exists`. */
  readonly overwrite?: boolean;
  /** Flat kinds. Default `thin`. */
  readonly allocation?: Allocation;
  /** Sparse kinds. Default 65536. */
  readonly grainBytes?: number;
  /** All but raw. Default `lsilogic`. */
  readonly adapterType?: AdapterType;
  /** All but raw. Virtual hardware version. Default 13. */
  readonly hardwareVersion?: number;
  /** All but raw. Default random. */
  readonly contentId?: number;
  /** streamOptimized: deflate level, 1 fastest to 9 smallest. Default 5. */
  readonly level?: number;
}

export interface ConvertOptions {
  /** An open disk, with all its parents, or one that comes as a stream. It is only read. */
  readonly source: ConvertSource;
  readonly target: ConvertTarget;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: ConvertProgress) => void;
}

export interface ConvertResult {
  readonly virtualBytes: number;
  /** Bytes that were stored: of the stream, or of blocks that are not zero. */
  readonly storedBytes: number;
  /** Files of the new disk. */
  readonly files: readonly string[];
}

/**
 * Makes a new disk with the bytes of another, of any kind. It gets its name when it is whole and durable; until then
 * its files are in a folder `NAME.partial`, which is gone when this fails, and cleared away by the next conversion to
 * the same name when the process was killed. `exists` when the name is taken.
 */
export async function convertDisk(options: ConvertOptions): Promise<ConvertResult> {
  const { source, target, signal } = options;
  capacityInSectors(source.virtualBytes, target.path);
  signal?.throwIfAborted();
  const staged = await StagedFiles.open(target.path, { overwrite: target.overwrite ?? false });
  try {
    const storedBytes = await make(staged, options);
    signal?.throwIfAborted();
    const files = await staged.place();
    return { virtualBytes: source.virtualBytes, storedBytes, files };
  } catch (error) {
    await staged.discard();
    throw error;
  }
}

async function make(staged: StagedFiles, options: ConvertOptions): Promise<number> {
  const { source, target, signal, onProgress } = options;
  const watched = { ...(signal ? { signal } : {}), ...(onProgress ? { onProgress } : {}) };
  if (target.kind === 'streamOptimized') return makeStream(staged, options, watched);
  const made = target.kind === 'raw' ? await makeRaw(staged, source.virtualBytes) : await makeEmpty(staged, options);
  await staged.expectRoom();
  if (target.allocation === undefined || target.allocation === 'thin') {
    const cloned = await clone(source, made);
    if (cloned !== undefined) return cloned;
  }
  const sink = await (made.sparse ? SparseSink.open(made.files) : FlatSink.open(made.files));
  try {
    await copyDisk(source, sink, watched);
    return await finish(sink, options);
  } finally {
    await sink.close();
  }
}

async function finish(sink: DiskSink, { source, signal, onProgress }: ConvertOptions): Promise<number> {
  signal?.throwIfAborted();
  const stored = await sink.finish();
  onProgress?.({ doneBytes: source.virtualBytes, totalBytes: source.virtualBytes });
  return stored;
}

interface Made {
  readonly sparse: boolean;
  readonly files: readonly FlatFile[];
}

async function makeEmpty(staged: StagedFiles, { source, target, signal }: ConvertOptions): Promise<Made> {
  const { path: _path, overwrite: _overwrite, level: _level, kind, ...rest } = target;
  const fields: Omit<CreateDiskOptions, 'kind'> = {
    ...rest,
    path: staged.path,
    virtualBytes: source.virtualBytes,
    ...(signal ? { signal } : {}),
  };
  return placedFiles(await createDisk({ ...fields, kind: kind as CreatableKind }), dirname(staged.path));
}

function placedFiles({ extents }: Descriptor, folder: string): Made {
  let start = 0;
  const files = extents.map(({ file, sectors, offset }) => {
    const bytes = sectors * sectorBytes;
    const placed = { path: join(folder, file ?? ''), start, bytes, offset: (offset ?? 0) * sectorBytes };
    start += bytes;
    return placed;
  });
  return { sparse: extents.some(({ type }) => type === 'SPARSE'), files };
}

async function makeRaw({ path }: StagedFiles, bytes: number): Promise<Made> {
  try {
    const handle = await open(path, 'wx');
    try {
      await handle.truncate(bytes);
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw fileError(error, path);
  }
  return { sparse: false, files: [{ path, start: 0, bytes, offset: 0 }] };
}

/** Shares the blocks of a disk that is one file with one that is one file too; the bytes that they have in common. */
async function clone(source: ConvertSource, { sparse, files }: Made): Promise<number | undefined> {
  const [from, ...others] = flatFilesOf(source) ?? [];
  const [to] = files;
  if (sparse || files.length !== 1 || !from || !to || others.length > 0 || from.offset !== 0) return undefined;
  if (!(await cloneFile(from.path, to.path))) return undefined;
  const handle = await open(to.path, 'r+');
  try {
    // The source may be longer than the disk in it.
    await handle.truncate(to.bytes);
    await handle.sync();
    return (await handle.stat()).blocks * 512;
  } finally {
    await handle.close();
  }
}

async function makeStream(
  staged: StagedFiles,
  { source, target }: ConvertOptions,
  watched: Pick<ConvertOptions, 'signal' | 'onProgress'>,
): Promise<number> {
  const { adapterType, hardwareVersion, contentId, level } = target;
  const chunks = writeStreamOptimized(await blockSource(source, watched.signal), {
    ...watched,
    name: basename(target.path),
    ...(adapterType ? { adapterType } : {}),
    ...(contentId === undefined ? {} : { contentId }),
    ...(hardwareVersion === undefined ? {} : { ddb: { virtualHWVersion: String(hardwareVersion) } }),
    ...(level === undefined ? {} : { level }),
  });
  const handle = await open(staged.path, 'wx').catch((error: unknown) => {
    throw fileError(error, staged.path);
  });
  const early = new EarlySync(() => onTarget(staged.path, () => handle.sync()));
  try {
    let position = 0;
    for await (const chunk of chunks) {
      await onTarget(staged.path, async () => {
        for (let done = 0; done < chunk.length; ) {
          done += (await handle.write(chunk, done, chunk.length - done, position + done)).bytesWritten;
        }
      });
      position += chunk.length;
      early.wrote(chunk.length);
    }
    await early.finish();
    return position;
  } finally {
    await early.settle();
    await handle.close();
  }
}

async function onTarget(path: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    throw fileError(error, path);
  }
}
