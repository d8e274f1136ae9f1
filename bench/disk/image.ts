import { execFile } from 'node:child_process';
import { copyFile, link, lstat, mkdir, open, readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Where a root file system has what it has, in the order in which the image is filled. */
const sources = ['/usr/bin', '/usr/lib', '/usr/sbin', '/usr/share', '/usr/include'];

/**
 * Makes a raw image with an ext4 file system of this machine's own programs, libraries and documents, 70 % full or with
 * all that there is. Returns how many bytes of files went in.
 */
export async function rootFileSystem(path: string, bytes: number, stagingFolder: string): Promise<number> {
  const wanted = Math.floor(bytes * 0.7);
  let taken = 0;
  await mkdir(stagingFolder);
  try {
    for (const source of sources) {
      if (taken < wanted) taken += await stage(source, join(stagingFolder, source.slice(1)), wanted - taken);
    }
    const handle = await open(path, 'wx');
    await handle.truncate(bytes);
    await handle.close();
    const options = ['-q', '-F', '-t', 'ext4', '-E', 'lazy_itable_init=0,lazy_journal_init=0', '-d', stagingFolder];
    await run('/usr/sbin/mke2fs', [...options, path], { maxBuffer: 2 ** 24 });
    return taken;
  } finally {
    await rm(stagingFolder, { recursive: true, force: true });
  }
}

/** Takes over a folder, by hard links where that goes, until there is enough. */
async function stage(from: string, to: string, wanted: number): Promise<number> {
  await mkdir(to, { recursive: true });
  let taken = 0;
  const files: string[] = [];
  const entries = await readdir(from, { withFileTypes: true }).catch(() => []);
  for (const entry of entries.toSorted((left, right) => (left.name < right.name ? -1 : 1))) {
    if (taken >= wanted) break;
    const path = join(from, entry.name);
    if (entry.isDirectory()) taken += await stage(path, join(to, entry.name), wanted - taken);
    else if (entry.isFile()) {
      files.push(path);
      taken += (await lstat(path)).blocks * 512;
    }
  }
  await Promise.all(
    files.map(async (path) => {
      const copy = join(to, basename(path));
      await link(path, copy).catch(() => copyFile(path, copy));
    }),
  );
  return taken;
}
