import { existsSync, statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { StoreError } from '../errors.ts';
import type { WorkerSettings } from './protocol.ts';

const schemaVersion = 1;
/** "Hypo" in the header of the file, so that `file` and we know whose it is. */
const applicationId = 0x48_79_70_6f;
/** A file up to this size is checked whole when it is opened; a larger one page by page as it is read. */
const checkedWholeBytes = 64 * 1024 * 1024;

const schema = `
  CREATE TABLE document (
    collection BLOB NOT NULL,
    key BLOB NOT NULL,
    json TEXT NOT NULL,
    PRIMARY KEY (collection, key)
  ) STRICT, WITHOUT ROWID;
  PRAGMA application_id = ${applicationId};
  PRAGMA user_version = ${schemaVersion};
`;

/** The open file and the lock beside it. */
export interface OpenDatabase {
  readonly database: DatabaseSync;
  close(): void;
}

/** Opens or creates the file of a store, alone unless read-only. Throws `StoreError`. */
export function openDatabase({ path, readOnly }: WorkerSettings): OpenDatabase {
  if (readOnly && !existsSync(path)) throw new StoreError('missing', path);
  const lock = readOnly ? undefined : takeLock(path);
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { readOnly, timeout: 5000 });
    prepare(database, path, readOnly);
    const opened = database;
    return {
      database: opened,
      close: () => {
        opened.close();
        lock?.close();
      },
    };
  } catch (error) {
    if (database?.isOpen) database.close();
    lock?.close();
    throw asStoreError(error, path);
  }
}

/**
 * Holds an exclusive transaction on a file beside the store for as long as the store is open. The kernel drops it
 * with the process, however that ends. The store's own file stays free for readers of other processes.
 */
function takeLock(path: string): DatabaseSync {
  let lock: DatabaseSync | undefined;
  try {
    lock = new DatabaseSync(`${path}-lock`, { timeout: 0 });
    lock.exec('BEGIN EXCLUSIVE');
    return lock;
  } catch (error) {
    lock?.close();
    throw sqliteCode(error) === 5 ? new StoreError('inUse', path) : asStoreError(error, path);
  }
}

function prepare(database: DatabaseSync, path: string, readOnly: boolean): void {
  const tables = Number(database.prepare('SELECT count(*) AS count FROM sqlite_schema').get()?.count);
  const owner = pragma(database, 'application_id');
  const version = pragma(database, 'user_version');
  const fresh = tables === 0 && owner === 0 && version === 0;
  if (!fresh && owner !== applicationId) throw new StoreError('foreign', path);
  if (version > schemaVersion) {
    throw new StoreError('newer', path, `its version is ${version}, this program knows up to ${schemaVersion}`);
  }
  if (statSync(path).size <= checkedWholeBytes) {
    const answer = database.prepare('PRAGMA quick_check(1)').get()?.quick_check;
    if (answer !== 'ok') throw new StoreError('corrupt', path, String(answer));
  }
  if (readOnly) {
    if (fresh) throw new StoreError('missing', path, 'the file is empty');
    return;
  }
  // FULL syncs the write-ahead log at each commit: what has resolved is on disk.
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;');
  if (fresh) database.exec(`BEGIN IMMEDIATE; ${schema} COMMIT;`);
}

function pragma(database: DatabaseSync, name: 'application_id' | 'user_version'): number {
  return Number(database.prepare(`PRAGMA ${name}`).get()?.[name]);
}

/** The primary result code of SQLite (https://sqlite.org/rescode.html), or undefined when it is another error. */
function sqliteCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error)) return undefined;
  return Number(error.errcode) & 0xff;
}

/** Any error of SQLite as the store's own. */
export function asStoreError(error: unknown, path: string): StoreError {
  if (error instanceof StoreError) return error;
  const code = sqliteCode(error);
  const detail = error instanceof Error ? error.message : String(error);
  // 11 SQLITE_CORRUPT, 26 SQLITE_NOTADB
  return new StoreError(code === 11 || code === 26 ? 'corrupt' : 'failed', path, detail);
}
