import { BundleDamage } from './bundle-damage.ts';
import { deepestPath, type EntryHeader } from './bundle-entry.ts';

/** Most bytes that a file of a bundle may have: 62 TiB, as the largest disk, and room for what keeps it. */
const largestFile = 64 * 2 ** 40;

export function parseTotal(content: Buffer): number {
  const { storedBytes } = parseObject(content);
  if (!isLength(storedBytes)) throw new BundleDamage('it does not say what it takes');
  return storedBytes;
}

export function parseHeader(content: Buffer): EntryHeader {
  const { path, kind, size, mode, full } = parseObject(content);
  if (typeof path !== 'string' || !isPath(path)) throw new BundleDamage('it has a file without a proper path');
  if (kind !== 'file' && kind !== 'folder') throw new BundleDamage(`'${path}' is neither file nor folder`);
  if (!isLength(size) || (kind === 'folder' && size !== 0)) throw new BundleDamage(`'${path}' has no proper size`);
  return {
    path,
    kind,
    size,
    ...(typeof mode === 'number' && Number.isInteger(mode) ? { mode: mode & 0o777 } : {}),
    ...(full === true ? { full } : {}),
  };
}

/** Whether a path may come next: the first is the thing itself, every other one is in a folder that came before. */
export function isSubsequentPath(path: string, folders: ReadonlySet<string>, first: boolean): boolean {
  if (first) return path === '';
  if (path === '') return false;
  const mark = path.lastIndexOf('/');
  return folders.has(mark < 0 ? '' : path.slice(0, mark));
}

function isPath(path: string): boolean {
  if (path === '') return true;
  const names = path.split('/');
  if (names.length > deepestPath || /[\u0000-\u001f\u007f\\]/.test(path) || !path.isWellFormed()) return false;
  return names.every((name) => name !== '' && name !== '.' && name !== '..' && Buffer.byteLength(name) <= 255);
}

function isLength(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= largestFile;
}

function parseObject(content: Buffer): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(content.toString('utf8'));
    if (typeof parsed === 'object' && parsed !== null) return parsed as Readonly<Record<string, unknown>>;
  } catch {
    // Said below.
  }
  throw new BundleDamage('it has a header that cannot be read');
}
