import { isAbsolute, relative, resolve, sep } from 'node:path';
import { VmdkError } from '../errors.ts';

/** A file named by a descriptor that lies outside the descriptor's folder. */
export interface OutsideReference {
  /** Absolute path that the name leads to. */
  readonly path: string;
  readonly kind: 'extent' | 'parent';
  /** Descriptor that names it. */
  readonly from: string;
}

export interface ResolveOptions {
  readonly kind: 'extent' | 'parent';
  /** Descriptor that holds the name, for messages. */
  readonly from: string;
  /** Says whether a file outside the folder may be used. Default: never. */
  readonly allowOutside?: (reference: OutsideReference) => boolean;
}

/**
 * Absolute path of a file that a descriptor names. Names stay in the folder; an absolute name that leads out of it, or
 * one with `..`, is `outside-folder` unless `allowOutside` lets it pass.
 */
export function resolveReference(folder: string, name: string, options: ResolveOptions): string {
  const file = options.from;
  const shown = JSON.stringify(name.length > 200 ? `${name.slice(0, 200)}…` : name);
  if (name === '' || name.length > 4096 || /[\x00-\x1f\x7f]/.test(name)) {
    throw new VmdkError('descriptor-invalid', { file, reason: `${shown} is not a file name` });
  }
  const path = resolve(folder, name);
  const climbs =
    (isAbsolute(name) && !liesIn(resolve(folder), path)) ||
    /^[A-Za-z]:[\\/]/.test(name) ||
    name.split(/[\\/]/).includes('..');
  if (climbs && !options.allowOutside?.({ path, kind: options.kind, from: file })) {
    throw new VmdkError('outside-folder', { file, reason: `${options.kind} ${shown}` });
  }
  return path;
}

/** Lets files outside a descriptor's own folder pass when they lie in one of these folders, at any depth. */
export function withinFolders(...folders: readonly string[]): (reference: OutsideReference) => boolean {
  const allowed = folders.map((folder) => resolve(folder));
  return ({ path }) => allowed.some((folder) => liesIn(folder, path));
}

function liesIn(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}
