import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OvfError } from '../../errors.ts';
import { readAt } from '../archive/ova-index.ts';

/** Content of a referenced file that can be read anywhere, such as a disk to be opened where it lies. */
export interface RandomAccessFile {
  /** Bytes. */
  readonly size: number;
  /** Bytes at a place; fewer at the end. */
  read(offset: number, length: number): Promise<Uint8Array>;
  /** Where the bytes lie in one piece in a local file; absent when they lie in several, or elsewhere. */
  readonly location?: { readonly descriptor: number; readonly offset: number; readonly length: number };
  close(): Promise<void>;
}

export interface RandomAccessOptions {
  /** Folder for what must be inflated first, with room for it; that of the system unless told. */
  readonly scratchFolder?: string;
  readonly signal?: AbortSignal;
}

/** Inflates a stream once into a file that is gone as soon as it is closed, and reads that. Throws what the stream does. */
export async function inflatedOnce(
  content: AsyncIterable<Uint8Array>,
  { scratchFolder = tmpdir(), signal }: RandomAccessOptions,
): Promise<RandomAccessFile> {
  const file = await openNameless(scratchFolder);
  try {
    let size = 0;
    for await (const part of content) {
      signal?.throwIfAborted();
      await file.appendFile(part);
      size += part.length;
    }
    return {
      size,
      read: (offset, length) => readAt(file, offset, Math.max(0, Math.min(length, size - offset))),
      location: { descriptor: file.fd, offset: 0, length: size },
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** A file in a folder that has no name any more: it is gone as soon as it is closed, also by a kill. */
export async function openNameless(folder: string): Promise<FileHandle> {
  const own = await mkdtemp(join(folder, 'ovf-inflated-'));
  try {
    return await open(join(own, 'content'), 'wx+', 0o600);
  } finally {
    await rm(own, { recursive: true });
  }
}

/** A piece of the whole, read on its own. */
export interface StoredPiece {
  readonly size: number;
  read(offset: number, length: number): AsyncIterable<Uint8Array>;
}

/** Pieces that follow one another, as one. */
export function joinedPieces(pieces: readonly StoredPiece[], href: string): RandomAccessFile {
  const size = pieces.reduce((sum, piece) => sum + piece.size, 0);
  return {
    size,
    read: async (offset, length) => {
      if (offset < 0 || length < 0) throw new OvfError('archive-limit', 'the place is not in the file', { file: href });
      const parts: Uint8Array[] = [];
      let before = 0;
      for (const piece of pieces) {
        const first = Math.max(0, offset - before);
        const last = Math.min(piece.size, offset + length - before);
        if (first < last) for await (const part of piece.read(first, last - first)) parts.push(part);
        before += piece.size;
      }
      return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
    },
    close: async () => undefined,
  };
}
