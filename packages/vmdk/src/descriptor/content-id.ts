import { randomBytes } from 'node:crypto';
import type { Descriptor } from './descriptor.ts';
import { formatContentId } from './descriptor.ts';
import { editDescriptor } from './descriptor-edit.ts';
import { readDescriptor, writeDescriptor } from './descriptor-file.ts';

/** A new CID: random, and neither of the two values with a meaning (`ffffffff` no parent, `fffffffe` never written). */
export function newContentId(): number {
  for (;;) {
    const contentId = randomBytes(4).readUInt32LE();
    if (contentId < 0xfffffffe) return contentId;
  }
}

/** A 128-bit `ddb.longContentID`; it ends with the CID. */
export function newLongContentId(contentId: number): string {
  return randomBytes(12).toString('hex') + formatContentId(contentId);
}

/** The descriptor with another CID, and with the long one in step where there is one. */
export function withContentId(descriptor: Descriptor, contentId: number): Descriptor {
  const long = descriptor.ddb.has('longContentID') ? { longContentID: newLongContentId(contentId) } : {};
  return editDescriptor(descriptor, { contentId, ddb: long });
}

/** Replaces the CID of a descriptor file so that a crash leaves the old file or the new one, never a mixture. */
export async function replaceContentId(descriptorPath: string, contentId: number): Promise<void> {
  await writeDescriptor(descriptorPath, withContentId(await readDescriptor(descriptorPath), contentId), {
    replace: true,
  });
}
