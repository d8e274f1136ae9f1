import { randomBytes } from 'node:crypto';

/** Folder in a machine's folder or a datastore's root that keeps journals, locks and the like. */
const privateFolder = '.hypo';
/** File in a datastore's root that says which one it is. */
export const datastoreMarker = '.hypo-datastore';
const partialPrefix = '.hypo-';
const partialSuffix = '.partial';

/** True for what clients neither see nor touch: `.hypo/`, a datastore's identity, locks (`*.lck`) and what is not whole yet (`*.partial`, `.*.tmp`). */
export function isHiddenPath(path: string): boolean {
  return path.split('/').some(isHiddenName);
}

export function isHiddenName(name: string): boolean {
  const lower = name.toLowerCase();
  if (lower === privateFolder || lower === datastoreMarker || lower.endsWith('.lck') || lower.endsWith(partialSuffix))
    return true;
  return lower.startsWith('.') && lower.endsWith('.tmp');
}

/** A fresh name for something that will be renamed when it is whole. */
export function partialName(): string {
  return `${partialPrefix}${randomBytes(8).toString('hex')}${partialSuffix}`;
}

/** True for a name that `partialName` made: left over when no process works on it. */
export function isPartialName(name: string): boolean {
  return name.startsWith(partialPrefix) && name.endsWith(partialSuffix);
}
