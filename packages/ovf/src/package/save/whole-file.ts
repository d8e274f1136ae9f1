import { type FileHandle, link, lstat, mkdir, open, readdir, rename, rm, rmdir, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { OvfError } from '../../errors.ts';

export interface TargetOptions {
  /** Replace what is there; no by default. */
  readonly overwrite?: boolean;
}

/**
 * Writes a file that appears under its name only when all of it is on disk: `path.partial`, fsync, rename, fsync of the
 * folder. Whatever fails, the partial file is removed. Throws `target-exists`, `target-unwritable`, and what `write` does.
 */
export async function writeWholeFile(
  path: string,
  { overwrite = false }: TargetOptions,
  write: (file: FileHandle) => Promise<void>,
): Promise<void> {
  if (!overwrite) await refuseExisting(path);
  const partial = `${path}.partial`;
  const file = await onTarget(path, async () => {
    // One that a run left that was killed.
    await rm(partial, { force: true });
    return open(partial, 'wx+', 0o644);
  });
  try {
    await onTarget(path, async () => {
      await write(file);
      await file.sync();
      const [own, named] = [await file.stat(), await stat(partial)];
      if (own.ino !== named.ino || own.dev !== named.dev) {
        throw new OvfError('target-exists', `${path} is being written by somebody else, too`);
      }
      if (overwrite) await rename(partial, path);
      else await renameToNew(partial, path);
      await syncFolder(dirname(path));
    });
  } catch (error) {
    await removeOwn(file, partial);
    throw error;
  } finally {
    await file.close();
  }
}

/** Removes the partial file, unless it is another run's by now. */
async function removeOwn(file: FileHandle, partial: string): Promise<void> {
  const [own, named] = await Promise.all([file.stat(), lstat(partial).catch(() => undefined)]);
  if (named?.ino === own.ino) await unlink(partial).catch(() => undefined);
}

/** A rename that takes nobody's place. */
async function renameToNew(partial: string, path: string): Promise<void> {
  try {
    await link(partial, path);
  } catch (error) {
    const code = codeOf(error);
    if (code === 'EEXIST') throw new OvfError('target-exists', `${path} is there already`);
    // A file system without hard links.
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'EOPNOTSUPP') throw error;
    await refuseExisting(path);
    await rename(partial, path);
    return;
  }
  await unlink(partial);
}

/**
 * Fills a folder that appears under its name only when all of it is on disk, as {@link writeWholeFile} does. The name must
 * be free, or an empty folder's. `write` gets the path to fill.
 */
export async function writeWholeFolder(path: string, write: (folder: string) => Promise<void>): Promise<void> {
  const entries = await readdir(path).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw codeOf(error) === 'ENOTDIR' ? new OvfError('target-exists', `${path} is a file`) : error;
  });
  if (entries !== undefined && entries.length > 0) {
    throw new OvfError('target-exists', `${path} is a folder that is not empty`);
  }
  const partial = `${path}.partial`;
  await onTarget(path, async () => {
    await rm(partial, { recursive: true, force: true });
    await mkdir(partial);
  });
  try {
    await onTarget(path, async () => {
      await write(partial);
      await syncFolder(partial);
      if (entries !== undefined) await rmdir(path);
      await rename(partial, path);
      await syncFolder(dirname(path));
    });
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw error;
  }
}

async function refuseExisting(path: string): Promise<void> {
  if ((await lstat(path).catch(() => undefined)) !== undefined) {
    throw new OvfError('target-exists', `${path} is there already`);
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** What can go wrong with a place that is written to. */
const targetProblems: Readonly<Record<string, string>> = {
  ENOSPC: 'there is no space left',
  EDQUOT: 'the quota is used up',
  EFBIG: 'the file system takes no file of that size',
  EACCES: 'permission denied',
  EPERM: 'it is not permitted',
  EROFS: 'the file system is read-only',
  ENOENT: 'its folder does not exist',
  ENOTDIR: 'its folder is a file',
  ENAMETOOLONG: 'the name is too long',
};
const writingCalls = new Set(['write', 'open', 'fsync', 'rename', 'mkdir', 'link', 'unlink', 'ftruncate', 'mkdtemp']);

/** Failures of writing while `work` goes on, with the path and in words. Throws `target-unwritable`. */
export async function onTarget<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const problem = targetProblems[codeOf(error) ?? ''];
    const call = error instanceof Error && 'syscall' in error ? String(error.syscall) : '';
    if (problem === undefined || !writingCalls.has(call)) throw error;
    throw new OvfError('target-unwritable', `${path} cannot be written: ${problem}`, {}, { cause: error });
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}
