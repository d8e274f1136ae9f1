import { isAbsolute, resolve } from 'node:path';
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
 * Absolute path of a file that a descriptor names. Relative names stay in the folder; an absolute name or one with `..`
 * is `outside-folder` unless `allowOutside` lets it pass.
 */
export function resolveReference(folder: string, name: string, options: ResolveOptions): string {
  const file = options.from;
  const shown = JSON.stringify(name.length > 200 ? `${name.slice(0, 200)}…` : name);
  if (name === '' || name.length > 4096 || /[\x00-\x1f\x7f]/.test(name)) {
    throw new VmdkError('descriptor-invalid', { file, reason: `${shown} is not a file name` });
  }
  const path = resolve(folder, name);
  const climbs = isAbsolute(name) || /^[A-Za-z]:[\\/]/.test(name) || name.split(/[\\/]/).includes('..');
  if (climbs && !options.allowOutside?.({ path, kind: options.kind, from: file })) {
    throw new VmdkError('outside-folder', { file, reason: `${options.kind} ${shown}` });
  }
  return path;
}
