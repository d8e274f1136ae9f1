import { constants } from 'node:fs';
import { copyFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { noParent } from '../descriptor/descriptor.ts';
import { resolveReference } from '../descriptor/extent-path.ts';
import type { Block, Disk } from '../disk/disk.ts';
import { LayeredDisk } from '../disk/layered-disk.ts';
import { sectorBytes } from '../size.ts';
import type { FlatFile } from './flat-sink.ts';

/** A disk whose bytes come once, in order, such as one that is read from a pipe. */
export interface OrderedSource {
  readonly virtualBytes: number;
  /** Blocks in ascending order; what is not among them is zero. The data is good until the next batch is asked for. */
  batches(): AsyncIterable<readonly Block[]>;
}

export type ConvertSource = Disk | OrderedSource;

/** Whether a source can be read anywhere. */
export function isDisk(source: ConvertSource): source is Disk {
  return 'readInto' in source;
}

/** A raw image as a disk. */
export class RawDisk extends LayeredDisk {}

/** Files that hold a disk's bytes as they are; undefined for every other disk, and for one that is seen through another. */
export function flatFilesOf(disk: ConvertSource): readonly FlatFile[] | undefined {
  if (disk instanceof RawDisk) return [{ path: disk.path, start: 0, bytes: disk.virtualBytes, offset: 0 }];
  if (!(disk instanceof LayeredDisk) || disk.descriptor?.parentContentId !== noParent) return undefined;
  const files: FlatFile[] = [];
  let start = 0;
  for (const { type, file, sectors, offset } of disk.descriptor.extents) {
    if ((type !== 'FLAT' && type !== 'VMFS') || file === undefined) return undefined;
    const path = resolveReference(dirname(disk.path), file, {
      kind: 'extent',
      from: disk.path,
      allowOutside: () => true,
    });
    const bytes = sectors * sectorBytes;
    files.push({ path, start, bytes, offset: (offset ?? 0) * sectorBytes });
    start += bytes;
  }
  return start === disk.virtualBytes ? files : undefined;
}

/** Shares the blocks of a whole file with another where the file system can (FICLONE); else that stays as it is. */
export async function cloneFile(from: string, to: string): Promise<boolean> {
  const clone = `${to}.clone`;
  try {
    await copyFile(from, clone, constants.COPYFILE_FICLONE_FORCE);
  } catch {
    await rm(clone, { force: true });
    return false;
  }
  await rename(clone, to);
  return true;
}
