import type { FileHandle } from 'node:fs/promises';
import type { Block } from '@hypostyle/vmdk';
import { faults } from '../errors.ts';
import { findEntry, listFolder } from '../files/datastore-index.ts';
import { joinPath } from '../files/datastore-path.ts';
import { type DatastoreRoot, openInRoot, shownPath } from '../files/datastore-root.ts';
import { storedBytesOf } from '../files/file-copy.ts';
import type { Bundle, BundleEntry } from './bundle-entry.ts';

const pieceBytes = 2 ** 20;
/** Zeros that are this many are not sent. */
const grainBytes = 2 ** 16;

/** A file, or a folder with all that is in it, as it is to be sent. Throws the faults of files. */
export async function fileBundle(root: DatastoreRoot, path: string): Promise<Bundle> {
  const entry = await findEntry(root, path);
  if (entry === undefined) throw faults.notFound(shownPath(root, path));
  return {
    storedBytes: await storedBytesOf(root, path),
    entries: entry.kind === 'file' ? [await fileEntry(root, path, '')] : folderEntries(root, path, ''),
  };
}

/** A file as it is. */
export async function fileEntry(root: DatastoreRoot, path: string, name: string): Promise<BundleEntry> {
  const handle = await openInRoot(root, path);
  const { size, mode } = await handle.stat();
  await handle.close();
  return {
    path: name,
    kind: 'file',
    size,
    mode: mode & 0o777,
    content: (signal) => fileBlocks(root, path, size, signal),
  };
}

/** A file of which all is at hand. */
export function contentEntry(name: string, content: Uint8Array, mode?: number): BundleEntry {
  return {
    path: name,
    kind: 'file',
    size: content.length,
    ...(mode === undefined ? {} : { mode }),
    async *content() {
      if (content.length > 0) yield { offset: 0, data: content };
    },
  };
}

export function folderEntry(path: string): BundleEntry {
  return { path, kind: 'folder', size: 0 };
}

async function* folderEntries(
  root: DatastoreRoot,
  path: string,
  name: string,
): AsyncGenerator<BundleEntry, void, undefined> {
  yield folderEntry(name);
  for (const entry of await listFolder(root, path)) {
    const [from, to] = [joinPath(path, entry.name), name === '' ? entry.name : `${name}/${entry.name}`];
    if (entry.kind === 'folder') yield* folderEntries(root, from, to);
    else yield await fileEntry(root, from, to);
  }
}

async function* fileBlocks(
  root: DatastoreRoot,
  path: string,
  size: number,
  signal: AbortSignal,
): AsyncGenerator<Block, void, undefined> {
  const handle = await openInRoot(root, path);
  try {
    for (let at = 0; at < size; ) {
      signal.throwIfAborted();
      const piece = await readPiece(handle, at, Math.min(pieceBytes, size - at));
      if (piece.length === 0) throw faults.cannotAccess(shownPath(root, path), 'it became shorter while it was read');
      yield* storedRuns(piece, at);
      at += piece.length;
    }
  } finally {
    await handle.close();
  }
}

async function readPiece(handle: FileHandle, at: number, length: number): Promise<Buffer> {
  const piece = Buffer.allocUnsafe(length);
  const { bytesRead } = await handle.read(piece, 0, length, at);
  return piece.subarray(0, bytesRead);
}

const zeros = Buffer.alloc(grainBytes);

/** Runs of grains that are not all zero. */
export function* storedRuns(piece: Uint8Array, offset: number): Generator<Block, void, undefined> {
  const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
  let start: number | undefined;
  for (let at = 0; at < bytes.length; at += grainBytes) {
    const grain = bytes.subarray(at, at + grainBytes);
    if (grain.equals(zeros.subarray(0, grain.length))) {
      if (start !== undefined) yield { offset: offset + start, data: bytes.subarray(start, at) };
      start = undefined;
    } else start ??= at;
  }
  if (start !== undefined) yield { offset: offset + start, data: bytes.subarray(start) };
}
