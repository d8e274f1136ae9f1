import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { StreamDigest } from '@hypostyle/vmdk';
import { syncFolder } from '../files/durable-rename.ts';
import type { FileIdentity } from './source-file.ts';

/** What is remembered of a disk that settles, beside its descriptor: in `.hypo/` of its folder, so that it moves along. */
export interface SettleRecord {
  /** How its source is called, such as `disk1.vmdk in appliance.ova`. */
  readonly source: string;
  /** The source as it was when the disk was made of it, or was last found to be what its digest says. */
  readonly identity: FileIdentity;
  /** What its manifest says; absent where nothing does. */
  readonly digest?: StreamDigest;
  /** All of the source is in the flat file, checked; its file still has the name of one in the making. */
  readonly inflated?: boolean;
  /** Why the disk will never settle: it is damaged, and where. */
  readonly damage?: string;
}

/** Files in `.hypo/` for a disk, by its descriptor's path. */
export function recordPaths(descriptorPath: string): { readonly record: string; readonly progress: string } {
  const stem = join(dirname(descriptorPath), '.hypo', `settle-${basename(descriptorPath).replace(/\.vmdk$/i, '')}`);
  return { record: `${stem}.json`, progress: `${stem}.progress` };
}

/** Undefined where there is none that can be read, as in a folder that was copied without it. */
export async function readRecord(descriptorPath: string): Promise<SettleRecord | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(recordPaths(descriptorPath).record, 'utf8'));
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Durable when it resolves. */
export async function writeRecord(descriptorPath: string, record: SettleRecord): Promise<void> {
  const { record: path } = recordPaths(descriptorPath);
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.new`;
  const handle = await open(temporary, 'w', 0o600);
  try {
    await handle.writeFile(JSON.stringify(record));
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, path);
  await syncFolder(dirname(path));
}

export async function removeRecord(descriptorPath: string): Promise<void> {
  const { record, progress } = recordPaths(descriptorPath);
  for (const path of [record, `${record}.new`, progress, `${progress}.new`]) await rm(path, { force: true });
}

function isRecord(value: unknown): value is SettleRecord {
  if (typeof value !== 'object' || value === null) return false;
  const { source, identity, digest, damage } = value as Partial<Record<keyof SettleRecord, unknown>>;
  return (
    typeof source === 'string' &&
    isIdentity(identity) &&
    (digest === undefined || isDigest(digest)) &&
    (damage === undefined || typeof damage === 'string')
  );
}

function isIdentity(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { inode, bytes, modified } = value as Partial<Record<keyof FileIdentity, unknown>>;
  return typeof inode === 'string' && typeof bytes === 'number' && typeof modified === 'string';
}

function isDigest(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { algorithm, expected } = value as Partial<Record<keyof StreamDigest, unknown>>;
  return ['sha1', 'sha256', 'sha512'].includes(String(algorithm)) && typeof expected === 'string';
}
