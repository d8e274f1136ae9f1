import { dirname, relative, resolve } from 'node:path';
import { editDescriptor, readDescriptor, replaceContentId, VmdkError, writeDescriptor } from '@hypostyle/vmdk';

/** A delta and the disk below it, by their descriptors. */
export interface ParentLink {
  readonly child: string;
  readonly parent: string;
}

/**
 * Gives a disk that is about to be written below its child a new CID, and the child with it: whoever else has it as a
 * parent will find that it changed. Can be done again; a child that is gone is left alone.
 */
export async function renewParent({ child, parent }: ParentLink, contentId: number): Promise<void> {
  const descriptor = await readDescriptor(child).catch((error: unknown) => {
    if (error instanceof VmdkError && (error.cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT')
      return undefined;
    throw error;
  });
  if (descriptor === undefined) return;
  if (descriptor.parentContentId !== contentId)
    await writeDescriptor(child, editDescriptor(descriptor, { parentContentId: contentId }), { replace: true });
  if ((await readDescriptor(parent)).contentId !== contentId) await replaceContentId(parent, contentId);
}

/** Gives a delta another parent, which has that CID. */
export async function relinkDelta({ child, parent }: ParentLink, contentId: number): Promise<void> {
  const parentFileNameHint = relative(dirname(child), parent);
  const descriptor = editDescriptor(await readDescriptor(child), { parentContentId: contentId, parentFileNameHint });
  await writeDescriptor(child, descriptor, { replace: true });
}

/** Absolute path of the parent that a file names, if it is the descriptor of a delta. */
export async function parentOf(path: string): Promise<string | undefined> {
  const descriptor = await readDescriptor(path).catch(() => undefined);
  const hint = descriptor?.parentFileNameHint;
  return hint === undefined ? undefined : resolve(dirname(path), hint);
}
