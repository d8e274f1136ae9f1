import { basename, dirname, join } from 'node:path';

const suffix = '-ctk.qcow2';

/** Path of the image beside a raw file that keeps what changed in it: `web-flat.vmdk` has `web-ctk.qcow2`. It has no byte of the disk. */
export function changeImagePath(flatPath: string): string {
  return join(dirname(flatPath), `${basename(flatPath).replace(/(-flat)?\.vmdk$/i, '')}${suffix}`);
}

/** True for the name of such an image. */
export function isChangeImage(name: string): boolean {
  return name.toLowerCase().endsWith(suffix);
}

/** Paths of the images that files of a disk may have beside them. */
export function changeImagesOf(files: readonly string[]): string[] {
  return files.filter((file) => /-flat\.vmdk$/i.test(file)).map(changeImagePath);
}
