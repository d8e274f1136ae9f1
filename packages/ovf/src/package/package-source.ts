import { type FileHandle, open, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { OvfError, type OvfWarning } from '../errors.ts';
import { indexOpenOva, readAt } from './archive/ova-index.ts';
import type { TarEntry, TarLimits } from './archive/tar-entries.ts';
import { packageName } from './package-name.ts';

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
  /** What was noticed of the place itself, such as padding of an archive that is not empty. */
  readonly warnings?: readonly OvfWarning[];
  /** Size in bytes, `null` when it cannot be known before reading; absent when there is no such file. */
  size(name: string): Promise<number | null | undefined>;
  /** The bytes of a file that is there. */
  read(name: string, range?: ByteRange): AsyncIterable<Uint8Array>;
  /** Where the bytes of a file lie in a local file, for those who read them themselves; absent when they are elsewhere. */
  locate?(name: string): Promise<FileLocation>;
  close(): Promise<void>;
}

/** A stored file as a part of an open local file. */
export interface FileLocation {
  /** File descriptor, open until `close`; threads of this process may read it too. */
  readonly descriptor: number;
  readonly offset: number;
  /** Bytes. */
  readonly length: number;
  close(): Promise<void>;
}

const readLength = 1024 * 1024;

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
    const warnings: OvfWarning[] = [];
    const entries = await indexOpenOva(file, { ...limits, onIgnored: (warning) => void warnings.push(warning) });
    const first = limits.lax ? entries.find(({ name }) => /\.ovf$/i.test(name)) : entries[0];
    if (first === undefined || !/\.ovf$/i.test(first.name)) {
      throw new OvfError('archive-invalid', 'the first file of an OVA must be the descriptor', { file: first?.name });
    }
    const byName = new Map(entries.map((entry) => [entry.name, entry]));
    const entryOf = (name: string): TarEntry => {
      const entry = byName.get(name);
      if (entry === undefined) throw new OvfError('file-missing', 'the file is not in the archive', { file: name });
      return entry;
    };
    return {
      entries,
      warnings,
      descriptorName: first.name,
      names: entries.map((entry) => entry.name),
      size: async (name) => byName.get(name)?.size,
      read: (name, range = {}) => {
        const entry = entryOf(name);
        const { start, length } = within(entry.size, range);
        return readRange(file, entry.offset + start, length, name);
      },
      locate: async (name) => {
        const { offset, size: length } = entryOf(name);
        return { descriptor: file.fd, offset, length, close: async () => undefined };
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
  const pathOf = async (name: string): Promise<string | undefined> => {
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
  const openFile = async (name: string): Promise<FileHandle> => {
    const real = await pathOf(name);
    if (real === undefined) throw new OvfError('file-missing', 'the file is not in the folder', { file: name });
    return open(real, 'r');
  };
  return {
    descriptorName: basename(descriptor),
    size: async (name) => {
      const real = await pathOf(name);
      if (real === undefined) return undefined;
      const status = await stat(real);
      if (!status.isFile()) throw new OvfError('name-unsafe', 'it is not a regular file', { file: name });
      return status.size;
    },
    locate: async (name) => {
      const file = await openFile(name);
      return { descriptor: file.fd, offset: 0, length: (await file.stat()).size, close: () => file.close() };
    },
    async *read(name, range = {}) {
      const file = await openFile(name);
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
