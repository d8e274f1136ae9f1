import { OvfError, type OvfLocation } from '../errors.ts';

const maxNameLength = 1024;

/**
 * A name that stays inside a package: relative, forward slashes, no `.` or `..` segment, no drive letter, no control
 * character. A leading `./` is dropped. Throws `name-unsafe` (DSP0243 5.1: references are relative to the descriptor).
 */
export function packageName(name: string, location: OvfLocation = {}): string {
  const plain = name.replace(/^(\.\/)+/, '');
  const refuse = (why: string): never => {
    throw new OvfError('name-unsafe', `the name ${JSON.stringify(name.slice(0, 200))} ${why}`, location);
  };
  if (plain === '') refuse('is empty');
  if (plain.length > maxNameLength) refuse('is too long');
  if (/[\u0000-\u001f\u007f]/.test(plain)) refuse('has a control character');
  if (plain.includes('\\')) refuse('has a backslash');
  if (plain.startsWith('/')) refuse('is absolute');
  if (/^[a-z][a-z0-9+.-]*:/i.test(plain)) refuse('has a drive or scheme');
  for (const segment of plain.split('/')) {
    if (segment === '..') refuse('leads out of the package');
    if (segment === '' || segment === '.') refuse('has an empty segment');
  }
  return plain;
}

/** Whether an href is a URL of its own and not a file of the package. */
export function isExternal(href: string): boolean {
  return /^https?:\/\//i.test(href);
}

/**
 * The names under which a reference may be stored: as written, and with its percent escapes resolved. Throws
 * `name-unsafe`.
 */
export function storedNamesFor(href: string, location: OvfLocation = {}): string[] {
  const names = [packageName(href, location)];
  let decoded: string;
  try {
    decoded = decodeURIComponent(href);
  } catch {
    return names;
  }
  const name = packageName(decoded, location);
  if (name !== names[0]) names.push(name);
  return names;
}

/** Name of the stored chunk `index` of a chunked file (DSP0243 7.1): nine digits. */
export function chunkName(name: string, index: number): string {
  return `${name}.${String(index).padStart(9, '0')}`;
}

/** The chunked file's name and the index of this chunk. */
export function parseChunkName(name: string): { readonly name: string; readonly index: number } | undefined {
  const match = /^(.+)\.(\d{9})$/s.exec(name);
  return match === null ? undefined : { name: match[1]!, index: Number(match[2]) };
}
