import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileFault } from '../errors.ts';
import { joinPath } from './datastore-path.ts';
import { type DatastoreRoot, resolveInRoot, shownPath } from './datastore-root.ts';
import { isHiddenName } from './hidden-names.ts';

/** One name in a folder of a datastore. */
export interface FolderEntry {
  readonly name: string;
  readonly kind: 'file' | 'folder';
  /** Bytes; 0 for a folder. */
  readonly size: number;
  readonly modified: Date;
  /** Numeric user id. */
  readonly owner: number;
}

/** Files and folders of one folder by name; not what is hidden, nor links, pipes and devices. Throws faults. */
export async function listFolder(root: DatastoreRoot, path: string): Promise<FolderEntry[]> {
  const full = await resolveInRoot(root, path);
  let names: string[];
  try {
    names = await readdir(full);
  } catch (error) {
    throw fileFault(error, shownPath(root, path), root.name);
  }
  const entries: FolderEntry[] = [];
  for (const name of names.sort()) {
    if (isHiddenName(name)) continue;
    const entry = await entryOf(join(full, name), name);
    if (entry !== undefined) entries.push(entry);
  }
  return entries;
}

/** Undefined where there is nothing, or neither file nor folder. Throws faults. */
export async function findEntry(root: DatastoreRoot, path: string): Promise<FolderEntry | undefined> {
  return entryOf(await resolveInRoot(root, path), path.slice(path.lastIndexOf('/') + 1));
}

async function entryOf(full: string, name: string): Promise<FolderEntry | undefined> {
  try {
    const stats = await lstat(full);
    if (!stats.isFile() && !stats.isDirectory()) return undefined;
    const folder = stats.isDirectory();
    return {
      name,
      kind: folder ? 'folder' : 'file',
      size: folder ? 0 : stats.size,
      modified: stats.mtime,
      owner: stats.uid,
    };
  } catch {
    // It went away since its name was read.
    return undefined;
  }
}

/** A row of an index page. */
interface IndexRow {
  readonly href: string;
  readonly text: string;
  readonly modified?: Date;
  readonly size?: number;
}

/** Pages as ESXi shows them: plain tables of links. */
export function indexPage(title: string, rows: readonly IndexRow[]): Buffer {
  const body = rows
    .map(({ href, text, modified, size }) => {
      const cells = [`<a href="${escapeHtml(href)}">${escapeHtml(text)}</a>`, shownDate(modified), size ?? ''];
      return `<tr>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`;
    })
    .join('\n');
  const heading = escapeHtml(title);
  return Buffer.from(
    `<!DOCTYPE html>\n<html><head><meta charset="utf-8"><title>${heading}</title></head>\n<body><h1>${heading}</h1>\n` +
      `<table>\n<tr><th>Name</th><th>Last modified</th><th>Size</th></tr>\n${body}\n</table>\n</body></html>\n`,
  );
}

/** Rows of a folder, with the way up. */
export function folderRows(path: string, entries: readonly FolderEntry[], query: string): IndexRow[] {
  const link = (target: string, folder: boolean) => `${folderUrl(target)}${folder && target !== '' ? '/' : ''}${query}`;
  const up =
    path === ''
      ? []
      : [{ href: link(path.slice(0, Math.max(0, path.lastIndexOf('/'))), true), text: 'Parent Directory' }];
  const rows = entries.map(({ name, kind, size, modified }) => {
    const folder = kind === 'folder';
    const href = link(joinPath(path, name), folder);
    return { href, text: folder ? `${name}/` : name, modified, ...(folder ? {} : { size }) };
  });
  return [...up, ...rows];
}

/** URL path of a file or folder under `/folder`. */
export function folderUrl(path: string): string {
  return path === '' ? '/folder' : `/folder/${path.split('/').map(encodeURIComponent).join('/')}`;
}

function shownDate(date: Date | undefined): string {
  return date === undefined ? '' : date.toISOString().slice(0, 16).replace('T', ' ');
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
