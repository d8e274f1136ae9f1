import { basename, dirname, join } from 'node:path';

const suffix = '-ctk.qcow2';

/** Absolute path of the image beside a raw file that keeps what changed in it: `web-flat.vmdk` has `web-ctk.qcow2`. */
export function changeImagePath(flatPath: string): string {
  return join(dirname(flatPath), `${basename(flatPath).replace(/(-flat)?\.vmdk$/i, '')}${suffix}`);
}

/** True for the name of such an image. */
export function isChangeImage(name: string): boolean {
  return name.toLowerCase().endsWith(suffix);
}
