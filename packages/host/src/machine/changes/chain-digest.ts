import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DiskLink } from '@hypostyle/services';

/** A file that was written less than so many milliseconds ago may be written again without its time telling. */
const clockGrain = 25;
const mostLooks = 4;

/**
 * Digest of what tells that nobody wrote a disk: of every link its content id, and of every extent size, time of the
 * last change, and inode. The names are relative to the machine's folder. A write after this call gives another digest.
 */
export async function chainDigest({ links }: { readonly links: readonly DiskLink[] }, folder: string): Promise<string> {
  for (let look = 1; ; look += 1) {
    const hash = createHash('sha256');
    let newest = 0;
    for (const { descriptorPath, descriptor, extentPaths } of links) {
      hash.update(JSON.stringify([relative(folder, descriptorPath), descriptor.contentId, extentPaths.length]));
      for (const path of extentPaths) {
        const { size, mtimeNs, ino } = await stat(path, { bigint: true });
        hash.update(JSON.stringify([relative(folder, path), `${size}`, `${mtimeNs}`, `${ino}`]));
        newest = Math.max(newest, Number(mtimeNs / 1_000_000n));
      }
    }
    if (Date.now() - newest > clockGrain || look === mostLooks) return hash.digest('hex');
    await sleep(clockGrain + 5);
  }
}
