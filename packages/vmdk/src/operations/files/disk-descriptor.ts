import { readdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Descriptor } from '../../descriptor/descriptor.ts';
import { descriptorOfFile, writeDescriptor } from '../../descriptor/descriptor-file.ts';
import { VmdkError } from '../../errors.ts';
import { FileWindow } from '../../file-window.ts';
import { sectorBytes } from '../../size.ts';
import { embeddedDescriptor, replaceEmbeddedDescriptor } from '../../sparse/embedded-descriptor.ts';
import { isSparseHeader, parseSparseHeader, type SparseHeader } from '../../sparse/sparse-header.ts';

/** A disk's descriptor, and where it stands. */
interface FoundDescriptor {
  readonly descriptor: Descriptor;
  /** `device:inode` of the file. */
  readonly identity: string;
  /** Header of the sparse file that holds it; undefined where it is a file of its own. */
  readonly header?: SparseHeader;
}

/** Reads the descriptor of a disk, a file of its own or inside its sparse file. */
export async function findDescriptor(path: string): Promise<FoundDescriptor> {
  const file = await FileWindow.open(path);
  try {
    const { identity } = file;
    const head = await file.read(0, Math.min(sectorBytes, file.bytes));
    if (!isSparseHeader(head)) {
      if (head[0] !== 0x23) throw new VmdkError('not-vmdk', { file: path, reason: 'it begins like no descriptor' });
      return { descriptor: await descriptorOfFile(file), identity };
    }
    const header = parseSparseHeader(head, path);
    const descriptor = await embeddedDescriptor(file, header);
    if (!descriptor) throw new VmdkError('descriptor-missing', { file: path, reason: 'it is one extent of a disk' });
    return { descriptor, identity, header };
  } finally {
    await file.close();
  }
}

/**
 * Replaces the descriptor of a disk durably and in one step: a file of its own by renaming, one inside a sparse file
 * together with the sparse header where that changes too.
 */
export async function changeDescriptor(
  path: string,
  change: (descriptor: Descriptor) => Descriptor,
  newHeader?: SparseHeader,
): Promise<void> {
  const { descriptor, header } = await findDescriptor(path);
  const changed = change(descriptor);
  if (!header) {
    await removeLeftovers(path);
    return writeDescriptor(path, changed, { replace: true });
  }
  const file = await FileWindow.open(path, { writable: true });
  try {
    await replaceEmbeddedDescriptor(file, { descriptor: changed, ...(newHeader ? { header: newHeader } : {}) });
  } finally {
    await file.close();
  }
}

/** Takes away what a writer of this descriptor left that was killed before it renamed. */
async function removeLeftovers(path: string): Promise<void> {
  const [start, folder] = [`.${basename(path)}.`, dirname(path)];
  for (const name of await readdir(folder)) {
    const middle = name.startsWith(start) ? name.slice(start.length) : '';
    if (/^[0-9a-f]{12}\.tmp$/.test(middle)) await rm(join(folder, name), { force: true });
  }
}
