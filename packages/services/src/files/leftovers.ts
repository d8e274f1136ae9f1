import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type DatastoreRoot, resolveInRoot } from './datastore-root.ts';
import { isPartialName } from './hidden-names.ts';

const deepest = 8;
/** A disk's descriptor before it takes the place of the old one. */
const descriptorInWriting = /^\..+\.vmdk\.[0-9a-f]{12}\.tmp$/i;

/**
 * Removes what a process left half-made when it ended in the middle of an upload, a copy or a deletion. To be called
 * before anything of the kind is begun on the datastore. Answers how many there were.
 */
export async function removeLeftovers(root: DatastoreRoot): Promise<number> {
  return removeBelow(await resolveInRoot(root, ''), deepest);
}

async function removeBelow(folder: string, depth: number): Promise<number> {
  let removed = 0;
  for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
    const { name } = entry;
    const path = join(folder, name);
    if (isPartialName(name) || descriptorInWriting.test(name)) {
      await rm(path, { recursive: true, force: true });
      removed += 1;
    } else if (depth > 0 && entry.isDirectory()) {
      removed += await removeBelow(path, depth - 1);
    }
  }
  return removed;
}
