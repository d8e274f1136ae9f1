/**
 * The Store contract on node:sqlite, and on PostgreSQL.
 *
 *     const store = await openStore({ path: '/var/lib/hypostyle/host.db' });
 *     const shared = await openPostgresStore({ connection: 'postgres://hypostyle@db.example/hypostyle' });
 *     await store.transact([{ put: { collection: 'vm', key: '1', value: { name: 'web' } } }]);
 *     await store.close();
 */
import { resolve } from 'node:path';
import type { Store } from '@hypostyle/contracts';
import { StoreError } from './errors.ts';
import type { PostgresConnection } from './postgres/connection-settings.ts';
import { SqliteStore } from './sqlite/sqlite-store.ts';

export { StoreError, type StoreErrorCode } from './errors.ts';
export type { PostgresConnection } from './postgres/connection-settings.ts';

export interface OpenStoreOptions {
  /** The file. Its folder must be there. Files with `-wal`, `-shm` and `-lock` after the name appear beside it. */
  readonly path: string;
  /** Opens a file that is there, without the lock: another process may be writing it. Default false. */
  readonly readOnly?: boolean;
}

/**
 * Opens a store, and creates its file when there is none. Batches that are called while one commit is under way are
 * committed together. Rejects with `StoreError`: `inUse`, `corrupt`, `newer`, `foreign`, `missing` or `failed`.
 */
export async function openStore({ path, readOnly = false }: OpenStoreOptions): Promise<Store> {
  return await SqliteStore.open({ path: resolve(path), readOnly });
}

export interface OpenPostgresStoreOptions {
  /** A `postgres://` URL, or the parts of one. Its password is in no error. */
  readonly connection: string | PostgresConnection;
  /** The schema that holds the documents, created when it is not there: small letters, digits and _. Default `hypostyle`. */
  readonly namespace?: string;
  /** Opens a namespace that is there, without the lock: another process may be writing it. Default false. */
  readonly readOnly?: boolean;
  /** Milliseconds to wait for another process to let go of the namespace. Default 5,000; `Infinity` is a standby. */
  readonly waitForOwner?: number;
  /** Milliseconds that a call waits for a server that is away. Default 30,000. */
  readonly patience?: number;
  /** Called once when another process has taken the namespace over: this one must start again. Default: nothing. */
  readonly onLost?: (error: StoreError) => void;
}

/**
 * Opens a store in a PostgreSQL database (14 or later, UTF8), alone unless read-only. A call made while the server is
 * away waits, and a batch that was under way is applied once. Rejects with `StoreError`: `inUse`, `newer`, `foreign`,
 * `missing`, `invalid`, `unreachable`, `corrupt` or `failed`; calls reject with `lost`, `unreachable` or `unknown` too.
 */
export async function openPostgresStore({
  connection,
  namespace = 'hypostyle',
  readOnly = false,
  waitForOwner = 5000,
  patience = 30_000,
  onLost = () => {},
}: OpenPostgresStoreOptions): Promise<Store> {
  for (const milliseconds of [waitForOwner, patience]) {
    if (!(milliseconds >= 0)) throw new StoreError('invalid', 'in PostgreSQL', `a time of ${milliseconds}`);
  }
  // Loaded only where it is used.
  const { PostgresStore } = await import('./postgres/postgres-store.ts');
  return await PostgresStore.open({ connection, namespace, readOnly, waitForOwner, patience, onLost });
}
