import { type FileHandle, open, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { OvfError } from '../errors.ts';
import { indexOpenOva, readAt } from './ova-index.ts';
import { packageName } from './package-name.ts';
import type { TarEntry, TarLimits } from './tar-entries.ts';

/** Bytes of a stored file to read: from `start`, `length` of them or to the end. */
export interface ByteRange {
  readonly start?: number;
  readonly length?: number;
}

/**
 * Where a package's files are: a folder, an archive, a web server (the caller's own implementation). Names are safe and
 * relative to the descriptor when they get here.
 */
export interface PackageSource {
  readonly descriptorName: string;
  /** Names of all files, in order, when the source knows them; a folder holds whatever else it holds, and does not say. */
  readonly names?: readonly string[];
  /** Size in bytes, `null` when it cannot be known before reading; absent when there is no such file. */
  size(name: string): Promise<number | null | undefined>;
  /** The bytes of a file that is there. */
  read(name: string, range?: ByteRange): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

const readLength = 256 * 1024;

async function* readRange(file: FileHandle, offset: number, length: number, name: string) {
  for (let at = 0; at < length; ) {
    const part = await readAt(file, offset + at, Math.min(readLength, length - at));
    if (part.length === 0)
      throw new OvfError('archive-truncated', 'the file became shorter while it was read', { file: name });
    at += part.length;
    yield part;
  }
}

function within(size: number, { start = 0, length = size - start }: ByteRange): { start: number; length: number } {
  const first = Math.min(Math.max(start, 0), size);
  return { start: first, length: Math.max(0, Math.min(length, size - first)) };
}

/** A local OVA. `entries` tells where each file lies in it, for a reader that maps the archive itself. */
export async function ovaSource(
  path: string,
  limits: TarLimits = {},
): Promise<PackageSource & { readonly entries: readonly TarEntry[] }> {
  const file = await open(path, 'r');
  try {
    const entries = await indexOpenOva(file, limits);
    const first = entries[0];
    if (first === undefined || !/\.ovf$/i.test(first.name)) {
      throw new OvfError('archive-invalid', 'the first file of an OVA must be the descriptor', { file: first?.name });
    }
    const byName = new Map(entries.map((entry) => [entry.name, entry]));
    return {
      entries,
      descriptorName: first.name,
      names: entries.map((entry) => entry.name),
      size: async (name) => byName.get(name)?.size,
      read: (name, range = {}) => {
        const entry = byName.get(name);
        if (entry === undefined) throw new OvfError('file-missing', 'the file is not in the archive', { file: name });
        const { start, length } = within(entry.size, range);
        return readRange(file, entry.offset + start, length, name);
      },
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** A descriptor in a folder with its files beside it. A link that leads out of the folder is refused. */
export async function folderSource(path: string): Promise<PackageSource> {
  const descriptor = resolve(path);
  const folder = await realpath(dirname(descriptor));
  const locate = async (name: string): Promise<string | undefined> => {
    try {
      const real = await realpath(join(folder, packageName(name)));
      if (!real.startsWith(folder.endsWith(sep) ? folder : folder + sep)) {
        throw new OvfError('name-unsafe', 'the file is a link that leads out of the package', { file: name });
      }
      return real;
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
      throw error;
    }
  };
  return {
    descriptorName: basename(descriptor),
    size: async (name) => {
      const real = await locate(name);
      if (real === undefined) return undefined;
      const status = await stat(real);
      if (!status.isFile()) throw new OvfError('name-unsafe', 'it is not a regular file', { file: name });
      return status.size;
    },
    async *read(name, range = {}) {
      const real = await locate(name);
      if (real === undefined) throw new OvfError('file-missing', 'the file is not in the folder', { file: name });
      const file = await open(real, 'r');
      try {
        const { start, length } = within((await file.stat()).size, range);
        yield* readRange(file, start, length, name);
      } finally {
        await file.close();
      }
    },
    close: async () => undefined,
  };
}
