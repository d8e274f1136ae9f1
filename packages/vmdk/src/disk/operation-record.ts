import { open, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { syncFolder } from '../descriptor/descriptor-file.ts';
import { fileError, VmdkError } from '../errors.ts';

/** Merging a disk into its parent. */
export interface CommitRecord {
  readonly operation: 'commit';
  /** `begun`: content ids and data are being written. `copied`: the parent holds all; what is left is tidied up. */
  readonly phase: 'begun' | 'copied';
  /** Absolute path. */
  readonly parent: string;
  /** CID of the parent before and from now on. */
  readonly oldContentId: number;
  readonly newContentId: number;
  /** Disks that had the merged one as their parent and get its parent. Absolute paths. */
  readonly children: readonly string[];
  /** Files of the merged disk, gone at the end. Absolute paths. */
  readonly files: readonly string[];
}

/** Giving a disk another parent while its content stays. */
export interface RebaseRecord {
  readonly operation: 'rebase';
  /** Absolute path of the new parent; none: the disk stands alone from then on. */
  readonly parent?: string;
}

/** Merging a disk into its children. */
export interface ConsolidateRecord {
  readonly operation: 'consolidate';
  /** `copied`: no child needs it any more. */
  readonly phase: 'begun' | 'copied';
  readonly parent?: string;
  readonly children: readonly string[];
  readonly files: readonly string[];
}

/** Changing the capacity of a disk. */
export interface ResizeRecord {
  readonly operation: 'resize';
  /** Capacity in the end. */
  readonly virtualBytes: number;
  /** Extents that are made by it, or given up. Absolute paths. */
  readonly files: readonly string[];
  /** Length that the file of the last extent had before. */
  readonly fileBytes: number;
}

/** What a disk's unfinished operation needs to go on. */
export type OperationRecord = CommitRecord | RebaseRecord | ConsolidateRecord | ResizeRecord;

const maximumRecordBytes = 2 ** 20;

/** The record of the unfinished operation on a disk; undefined when there is none. */
export async function readRecord(path: string): Promise<OperationRecord | undefined> {
  const file = recordPath(path);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw fileError(error, file);
  }
  const record = text.length > maximumRecordBytes ? undefined : parseRecord(text);
  if (record) return record;
  throw new VmdkError('operation-pending', { file: path, reason: `${file} is no record of one that is known` });
}

/** Writes a record durably; a crash leaves the one before it or this one. */
export async function writeRecord(path: string, record: OperationRecord): Promise<void> {
  const file = recordPath(path);
  const temporary = `${file}.tmp`;
  try {
    const handle = await open(temporary, 'w', 0o644);
    try {
      await handle.writeFile(`${JSON.stringify(record, undefined, 1)}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
    await syncFolder(dirname(file));
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw fileError(error, file);
  }
}

/** Ends an operation; there need be no record. */
export async function removeRecord(path: string): Promise<void> {
  const file = recordPath(path);
  try {
    await rm(file, { force: true });
    await rm(`${file}.tmp`, { force: true });
    await syncFolder(dirname(file));
  } catch (error) {
    throw fileError(error, file);
  }
}

/** Refuses a disk that another operation was not finished on: `operation-pending`. */
export function unfinished(path: string, record: OperationRecord): VmdkError {
  const reason = `a ${record.operation} that must be run again to its end first`;
  return new VmdkError('operation-pending', { file: path, reason });
}

function recordPath(path: string): string {
  return join(dirname(path), `.${basename(path)}.operation`);
}

function parseRecord(text: string): OperationRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const record = value as Record<string, unknown>;
  const phased = record.phase === 'begun' || record.phase === 'copied';
  const parent = record.parent === undefined || typeof record.parent === 'string';
  const lists = isPaths(record.children) && isPaths(record.files);
  switch (record.operation) {
    case 'commit': {
      const ids = isContentId(record.oldContentId) && isContentId(record.newContentId);
      return phased && lists && ids && typeof record.parent === 'string' ? (value as CommitRecord) : undefined;
    }
    case 'consolidate':
      return phased && lists && parent ? (value as ConsolidateRecord) : undefined;
    case 'rebase':
      return parent ? (value as RebaseRecord) : undefined;
    case 'resize':
      return isPaths(record.files) && isSize(record.virtualBytes) && isSize(record.fileBytes)
        ? (value as ResizeRecord)
        : undefined;
    default:
      return undefined;
  }
}

function isContentId(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 0xffffffff;
}

function isSize(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isPaths(value: unknown): boolean {
  return Array.isArray(value) && value.every((path) => typeof path === 'string' && path.startsWith('/'));
}
