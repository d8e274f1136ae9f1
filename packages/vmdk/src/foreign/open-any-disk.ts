import type { Disk } from '../disk/disk.ts';
import { type OpenDiskOptions, openDisk } from '../disk/open-disk.ts';
import { formatOf, type ImageFormat } from './foreign-format.ts';
import { openForeignDisk } from './open-foreign-disk.ts';
import { openRawDisk } from './open-raw-disk.ts';

export interface OpenAnyDiskOptions extends Pick<OpenDiskOptions, 'allowOutside'> {
  /** What it is. Default by its first bytes; a file that says nothing is raw. Name it for a raw image of untrusted content. */
  readonly format?: ImageFormat;
  /** Lets a foreign image draw on other files. Default false. */
  readonly allowReferences?: boolean;
  readonly signal?: AbortSignal;
}

/** Opens an image of any format for reading: VMDK and raw here, others through QEMU's tools. */
export async function openAnyDisk(path: string, options: OpenAnyDiskOptions = {}): Promise<Disk> {
  const { allowOutside, allowReferences, signal } = options;
  const format = options.format ?? (await formatOf(path)) ?? 'raw';
  if (format === 'raw') return openRawDisk(path);
  if (format === 'vmdk') return openDisk(path, allowOutside ? { allowOutside } : {});
  return openForeignDisk(path, format, {
    ...(allowReferences === undefined ? {} : { allowReferences }),
    ...(signal ? { signal } : {}),
  });
}
