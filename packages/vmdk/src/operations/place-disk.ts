import { link, lstat, mkdir, readdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { syncFolder } from '../descriptor/descriptor-file.ts';
import { fileError, VmdkError } from '../errors.ts';

/**
 * Makes a disk of any number of files whole before it has its name. `make` gets a path in a hidden folder beside the
 * target, where the files may have their final names; then they are linked to the target's folder, the descriptor last.
 * Nothing is overwritten (`exists`). Nothing stays when it fails, and what a kill leaves the next call takes away or,
 * where the disk was whole already, finishes.
 */
export async function placeDisk(path: string, make: (temporaryPath: string) => Promise<void>): Promise<void> {
  const folder = join(dirname(path), `.${basename(path)}.partial`);
  if (await isSameFile(path, join(folder, basename(path)))) return removeFolder(folder);
  await refuseExisting(path);
  await clear(folder);
  const placed: string[] = [];
  let whole = false;
  try {
    await mkdir(folder).catch((error: unknown) => {
      throw fileError(error, folder);
    });
    await make(join(folder, basename(path)));
    await syncFolder(folder);
    const names = await readdir(folder);
    const extents = names.filter((name) => name !== basename(path));
    for (const name of [...extents, basename(path)]) {
      const target = join(dirname(path), name);
      if (name === basename(path)) await syncFolder(dirname(path));
      await link(join(folder, name), target).catch((error: unknown) => {
        throw fileError(error, target);
      });
      placed.push(target);
    }
    whole = true;
    await syncFolder(dirname(path));
  } finally {
    // The descriptor goes first: without it there is no disk.
    if (!whole) for (const target of placed.reverse()) await rm(target, { force: true });
    await removeFolder(folder);
  }
}

/** Takes away what a call left that was killed: its folder, and the files that it had linked from there. */
async function clear(folder: string): Promise<void> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw fileError(error, folder);
  });
  for (const name of names) {
    const target = join(dirname(folder), name);
    if (await isSameFile(target, join(folder, name))) await rm(target, { force: true });
  }
  await removeFolder(folder);
}

async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
}

async function isSameFile(one: string, other: string): Promise<boolean> {
  try {
    const [first, second] = await Promise.all([lstat(one), lstat(other)]);
    return first.dev === second.dev && first.ino === second.ino;
  } catch {
    return false;
  }
}

async function refuseExisting(path: string): Promise<void> {
  const there = await lstat(path).catch(() => undefined);
  if (there) throw new VmdkError('exists', { file: path, reason: 'there is a file of this name' });
}
