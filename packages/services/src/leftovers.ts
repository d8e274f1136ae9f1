import { lstat, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type DatastoreRoot, resolveInRoot } from './datastore-root.ts';
import { isPartialName } from './hidden-names.ts';

const deepest = 8;

/**
 * Removes what a process left half-made when it ended in the middle of an upload, a copy or a deletion. To be called
 * before anything of the kind is begun on the datastore. Answers how many there were.
 */
export async function removeLeftovers(root: DatastoreRoot): Promise<number> {
  return removeBelow(await resolveInRoot(root, ''), deepest);
}

async function removeBelow(folder: string, depth: number): Promise<number> {
  let removed = 0;
  for (const name of await readdir(folder).catch(() => [])) {
    const path = join(folder, name);
    if (isPartialName(name)) {
      await rm(path, { recursive: true, force: true });
      removed += 1;
    } else if (depth > 0 && (await lstat(path).catch(() => undefined))?.isDirectory()) {
      removed += await removeBelow(path, depth - 1);
    }
  }
  return removed;
}
