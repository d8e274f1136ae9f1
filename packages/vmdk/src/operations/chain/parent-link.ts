import { dirname, isAbsolute, relative, resolve } from 'node:path';
import { type Descriptor, noParent } from '../../descriptor/descriptor.ts';
import { editDescriptor } from '../../descriptor/descriptor-edit.ts';

/** How a child names its parent: as it did before, relative to its own folder, or from the root. */
export type HintStyle = 'relative' | 'absolute';

/** Name of a parent as a child's descriptor has it. */
export function parentHint(childPath: string, parentPath: string, style: HintStyle = 'relative'): string {
  const parent = resolve(parentPath);
  return style === 'absolute' ? parent : relative(resolve(dirname(childPath)), parent);
}

/** The descriptor with another parent, or with none. */
export function withParent(
  descriptor: Descriptor,
  parent: { readonly contentId: number; readonly fileNameHint: string } | undefined,
): Descriptor {
  return editDescriptor(descriptor, {
    parentContentId: parent?.contentId ?? noParent,
    parentFileNameHint: parent?.fileNameHint,
  });
}

/** Whether a disk names this file as its parent. */
export function namesParent(descriptor: Descriptor, childPath: string, parentPath: string): boolean {
  if (descriptor.parentContentId === noParent || !descriptor.parentFileNameHint) return false;
  return resolve(dirname(childPath), descriptor.parentFileNameHint) === resolve(parentPath);
}

/** Style of the name that a disk has for its parent now. */
export function hintStyle(descriptor: Descriptor): HintStyle {
  return isAbsolute(descriptor.parentFileNameHint ?? '') ? 'absolute' : 'relative';
}
