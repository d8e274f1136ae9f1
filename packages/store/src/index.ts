/**
 * The Store contract on node:sqlite.
 *
 *     const store = await openStore({ path: '/var/lib/hypostyle/host.db' });
 *     await store.transact([{ put: { collection: 'vm', key: '1', value: { name: 'web' } } }]);
 *     await store.close();
 */
import { resolve } from 'node:path';
import type { Store } from '@hypostyle/contracts';
import { SqliteStore } from './sqlite/sqlite-store.ts';

export { StoreError, type StoreErrorCode } from './errors.ts';

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
