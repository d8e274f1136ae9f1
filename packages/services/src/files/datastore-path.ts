import { faults } from '../errors.ts';

/** A file or folder by datastore, written `[datastore1] web/web.vmx`. */
export interface DatastorePath {
  /** The datastore's name. */
  readonly datastore: string;
  /** Relative to the datastore's root, with slashes; empty for the root itself. */
  readonly path: string;
}

const longestName = 255;
const longestPath = 2048;
const longestDatastoreName = 255;

/** Reads `[name] folder/file`; throws the fault InvalidDatastorePath. One slash at the end is allowed, and `.` is the root. */
export function parseDatastorePath(text: string): DatastorePath {
  const shown = text.slice(0, longestPath);
  const end = text.indexOf(']');
  if (!text.startsWith('[') || end < 0)
    throw faults.invalidPath(shown, 'it does not begin with a datastore in brackets');
  const datastore = text.slice(1, end);
  if (datastore === '') throw faults.invalidPath(shown, 'the datastore has no name');
  const wrong = wrongWithName(datastore, longestDatastoreName);
  if (wrong !== undefined || datastore.includes('[')) {
    throw faults.invalidPath(shown, `the datastore's name ${wrong ?? 'contains a bracket'}`);
  }
  const written = text.slice(end + 1).replace(/^ +/, '');
  // The folder of a name alone, as clients made of govmomi write it.
  const rest = written === '.' ? '' : written;
  return { datastore, path: checkRelativePath(rest, shown) };
}

export function formatDatastorePath({ datastore, path }: DatastorePath): string {
  return path === '' ? `[${datastore}]` : `[${datastore}] ${path}`;
}

/**
 * Checks a path relative to a datastore's root: names of at most 255 bytes, none of them `.` or `..`, no control
 * characters, 2048 bytes in all, no slash at the beginning. Takes one slash off the end. `shown` is what the fault
 * InvalidDatastorePath names.
 */
export function checkRelativePath(path: string, shown: string = path.slice(0, longestPath)): string {
  if (path.startsWith('/')) throw faults.invalidPath(shown, 'it is absolute');
  const trimmed = path.endsWith('/') ? path.slice(0, -1) : path;
  if (trimmed === '') return '';
  if (Buffer.byteLength(trimmed) > longestPath)
    throw faults.invalidPath(shown, `it is longer than ${longestPath} bytes`);
  for (const name of trimmed.split('/')) {
    const wrong = wrongWithName(name, longestName);
    if (wrong !== undefined) throw faults.invalidPath(shown, `a name in it ${wrong}`);
  }
  return trimmed;
}

function wrongWithName(name: string, longest: number): string | undefined {
  if (name === '') return 'is empty';
  if (name === '.' || name === '..') return `is '${name}'`;
  if (/[\0-\x1f\x7f]/.test(name)) return 'contains a control character';
  if (!name.isWellFormed()) return 'is not valid Unicode';
  if (Buffer.byteLength(name) > longest) return `is longer than ${longest} bytes`;
  return undefined;
}

/** Folder and last name of a relative path. */
export function splitPath(path: string): { readonly folder: string; readonly name: string } {
  const slash = path.lastIndexOf('/');
  return { folder: path.slice(0, Math.max(slash, 0)), name: path.slice(slash + 1) };
}

/** Appends a name, or a relative path, to a folder's path. */
export function joinPath(folder: string, name: string): string {
  if (folder === '') return name;
  return name === '' ? folder : `${folder}/${name}`;
}
