import { type FileHandle, open } from 'node:fs/promises';
import { OvfError } from '../../errors.ts';
import { type TarEntry, type TarLimits, tarEntries } from './tar-entries.ts';

/**
 * The files of a local OVA with their places in it, seeking from header to header without reading what lies between.
 * Throws {@link OvfError} `archive-*` and `name-unsafe`, and the file system's own errors.
 */
export async function indexOva(path: string, limits: TarLimits = {}): Promise<TarEntry[]> {
  const file = await open(path, 'r');
  try {
    return await indexOpenOva(file, limits);
  } finally {
    await file.close();
  }
}

/** {@link indexOva} of an open file. */
export async function indexOpenOva(file: FileHandle, limits: TarLimits = {}): Promise<TarEntry[]> {
  const { size: length } = await file.stat();
  // A size that lies is told below, with the file's name.
  const source = {
    read: (offset: number, count: number) => readAt(file, offset, Math.max(0, Math.min(count, length - offset))),
  };
  const entries: TarEntry[] = [];
  for await (const entry of tarEntries(source, limits)) {
    if (entry.offset + entry.size > length) {
      const missing = entry.offset + entry.size - length;
      throw new OvfError('archive-truncated', `the archive ends ${missing} bytes early`, { file: entry.name });
    }
    entries.push(entry);
  }
  return entries;
}

/** Bytes at a place in a file; fewer at its end. */
export async function readAt(file: FileHandle, offset: number, length: number): Promise<Uint8Array> {
  const buffer = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(buffer, filled, length - filled, offset + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}
