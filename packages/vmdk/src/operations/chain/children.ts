import { readdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { noParent } from '../../descriptor/descriptor.ts';
import { fileError, VmdkError } from '../../errors.ts';
import { findDescriptor } from '../files/disk-descriptor.ts';

export interface ChildrenOptions {
  /** Folders in which children are looked for besides the disk's own. */
  readonly childFolders?: readonly string[];
}

/**
 * Disks whose parent this one is, with the CID that it has now, in its own folder and those named. Others elsewhere are
 * not known; they find their parent changed once it is written. Absolute paths, sorted.
 */
export async function findChildren(path: string, options: ChildrenOptions = {}): Promise<string[]> {
  const parent = await findDescriptor(path);
  const folders = new Set([dirname(path), ...(options.childFolders ?? [])].map((folder) => resolve(folder)));
  const children: string[] = [];
  for (const folder of folders) {
    const names = await readdir(folder).catch((error: unknown) => {
      throw fileError(error, folder);
    });
    for (const name of names.filter((candidate) => /\.vmdk$/i.test(candidate) && !candidate.startsWith('.'))) {
      const child = join(folder, name);
      const hint = await parentHint(child, parent.descriptor.contentId);
      if (hint !== undefined && (await identityOf(resolve(folder, hint))) === parent.identity) children.push(child);
    }
  }
  return children.sort();
}

/** Refuses a disk that is somebody's parent: `has-children`, with the first one's name. */
export async function refuseChildren(
  path: string,
  options: ChildrenOptions & { readonly except?: readonly string[] } = {},
): Promise<void> {
  const except = new Set((options.except ?? []).map((child) => resolve(child)));
  const child = (await findChildren(path, options)).find((found) => !except.has(found));
  if (child !== undefined) throw new VmdkError('has-children', { file: path, reason: `${child} is made on it` });
}

/** Parent's name in a disk that expects this CID of it. What is no disk has none; what cannot be read may have one. */
async function parentHint(path: string, contentId: number): Promise<string | undefined> {
  try {
    const { descriptor } = await findDescriptor(path);
    if (descriptor.parentContentId === noParent || descriptor.parentContentId !== contentId) return undefined;
    return descriptor.parentFileNameHint;
  } catch (error) {
    if (isUnread(error)) throw error;
    return undefined;
  }
}

async function identityOf(path: string): Promise<string | undefined> {
  try {
    return (await findDescriptor(path)).identity;
  } catch (error) {
    if (isUnread(error)) throw error;
    return undefined;
  }
}

/** Whether a file may be a disk for all we know: it is there, and could not be read. */
function isUnread(error: unknown): boolean {
  if (!(error instanceof VmdkError)) return true;
  const code = (error.cause as NodeJS.ErrnoException | undefined)?.code ?? '';
  return error.code === 'io-failed' && !['ENOENT', 'ENOTDIR', 'ELOOP'].includes(code);
}
