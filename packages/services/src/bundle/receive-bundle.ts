import { constants } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { faults, fileFault, systemCode } from '../errors.ts';
import { type DatastoreRoot, resolveInRoot, shownPath } from '../files/datastore-root.ts';
import { renameNew, renameOver, syncFolder } from '../files/durable-rename.ts';
import { checkOrdinaryPath, writeAll } from '../files/file-upload.ts';
import { checkFreeSpace } from '../files/free-space.ts';
import { isHiddenPath, partialName } from '../files/hidden-names.ts';
import { BundleDamage } from './bundle-damage.ts';
import type { EntryHeader } from './bundle-entry.ts';
import { readBundle } from './read-bundle.ts';

export interface ReceiveBundleOptions {
  /** A file takes the place of one that is there; else, and for folders, FileAlreadyExists. */
  readonly overwrite: boolean;
  /** What machines' folders keep for the service alone comes too. */
  readonly hidden: boolean;
  readonly signal: AbortSignal;
}

const pieceBytes = 2 ** 20;

/**
 * Makes a file or folder of a bundle: it is whole, checked and durable under its name, or not there at all. Throws the
 * faults of files, NoDiskSpace before and during, and IncorrectFileType for a bundle that is not right.
 */
export async function receiveBundle(
  root: DatastoreRoot,
  path: string,
  body: AsyncIterable<Uint8Array>,
  { overwrite, hidden, signal }: ReceiveBundleOptions,
): Promise<void> {
  checkOrdinaryPath(root, path);
  const shown = shownPath(root, path);
  const full = await resolveInRoot(root, path);
  const there = await kindOf(full);
  if (there === 'folder' || (there === 'file' && !overwrite)) throw faults.exists(shown);
  const partial = join(dirname(full), partialName());
  const writer = new BundleWriter(partial);
  try {
    for await (const event of readBundle(body)) {
      signal.throwIfAborted();
      if (event.kind === 'total') await checkFreeSpace(root, path, event.storedBytes);
      else if (event.kind === 'data') await writer.write(event.offset, event.data);
      else if (event.kind === 'whole') await writer.end(signal);
      else {
        if (!hidden && event.header.path !== '' && isHiddenPath(event.header.path))
          throw faults.invalidPath(shownPath(root, `${path}/${event.header.path}`), 'the name is reserved');
        await writer.begin(event.header);
      }
    }
    await writer.finish();
    signal.throwIfAborted();
    if (overwrite && writer.kind === 'file') await renameOver(partial, full);
    else await renameNew(partial, full, writer.kind);
  } catch (error) {
    await writer.close();
    await rm(partial, { recursive: true, force: true });
    if (signal.aborted) throw signal.reason;
    if (error instanceof BundleDamage) throw faults.incorrectFileType(shown, error.message, error);
    throw fileFault(error, shown, root.name);
  }
}

/** Files and folders of a bundle below a name that is not theirs yet. */
class BundleWriter {
  readonly #base: string;
  readonly #folders: string[] = [];
  #file: { readonly handle: FileHandle; readonly header: EntryHeader } | undefined;
  /** Where the last stretch of the file ended. */
  #at = 0;
  kind: 'file' | 'folder' = 'folder';

  constructor(base: string) {
    this.#base = base;
  }

  async begin(header: EntryHeader): Promise<void> {
    const path = join(this.#base, header.path);
    if (header.path === '') this.kind = header.kind;
    if (header.kind === 'folder') {
      await mkdir(path);
      this.#folders.push(path);
      return;
    }
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    const handle = await open(path, flags, header.mode ?? 0o644);
    this.#file = { handle, header };
    this.#at = 0;
    await handle.truncate(header.size);
  }

  async write(offset: number, data: Uint8Array): Promise<void> {
    if (this.#file === undefined) return;
    if (this.#file.header.full) await this.#fill(offset);
    await writeAll(this.#file.handle, data, offset);
    this.#at = offset + data.length;
  }

  async end(signal: AbortSignal): Promise<void> {
    if (this.#file === undefined) return;
    const { handle, header } = this.#file;
    if (header.full) await this.#fill(header.size, signal);
    await handle.sync();
    this.#file = undefined;
    await handle.close();
  }

  /** Makes the names durable, the deepest first. */
  async finish(): Promise<void> {
    for (const folder of this.#folders.reverse()) await syncFolder(folder);
  }

  async close(): Promise<void> {
    await this.#file?.handle.close();
    this.#file = undefined;
  }

  /** Writes zeros up to there. */
  async #fill(end: number, signal?: AbortSignal): Promise<void> {
    const zeros = Buffer.alloc(Math.min(pieceBytes, Math.max(0, end - this.#at)));
    while (this.#at < end) {
      signal?.throwIfAborted();
      const piece = zeros.subarray(0, Math.min(zeros.length, end - this.#at));
      await writeAll(this.#file?.handle as FileHandle, piece, this.#at);
      this.#at += piece.length;
    }
  }
}

async function kindOf(full: string): Promise<'absent' | 'file' | 'folder'> {
  try {
    return (await lstat(full)).isFile() ? 'file' : 'folder';
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return 'absent';
    throw error;
  }
}
