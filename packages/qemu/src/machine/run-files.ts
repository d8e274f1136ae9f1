import { access, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunDirectory } from './run-directory.ts';

const ownNames =
  /^(?:engine|qmp|rescue|vnc|screen|agent|migrate|nbd|drained|suspending|saving|pivoting|serial\d+|shaper|shape|tpm|net\d+[rt][io]|lock[0-9a-f]{8})-([0-9a-f]+)(?:\.json)?(?:\.new)?$/;

/** Removes the files of one start. */
export function removeRunFiles(run: RunDirectory): Promise<void> {
  return removeMatching(run.path, (token) => token === run.token);
}

/** Removes what earlier starts left; only for whoever holds the machine's lock. */
export function removeStaleRunFiles(run: RunDirectory): Promise<void> {
  return removeMatching(run.path, (token) => token !== run.token);
}

export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function removeMatching(folder: string, matches: (token: string) => boolean): Promise<void> {
  const names = (await readdir(folder)).filter((name) => {
    const token = ownNames.exec(name)?.[1];
    return token !== undefined && matches(token);
  });
  await Promise.all(names.map((name) => rm(join(folder, name), { force: true })));
}
