import { StoreError } from '../errors.ts';
import { sqlState } from './postgres-error.ts';
import type { Session } from './session.ts';

/** "Hypo": the first number of our advisory locks, so that other programs of the database keep out of the way. */
export const lockClass = 0x48_79_70_6f;

/** The tables of one namespace, as statements write them. */
export interface Tables {
  readonly schema: string;
  /** One row: whose namespace it is, and its version. */
  readonly store: string;
  /** A row for each process that has owned the namespace. */
  readonly owner: string;
  readonly document: string;
}

/** Statements that bring a namespace from each version to the next. Never change one that has been released. */
const migrations: readonly ((tables: Tables) => string)[] = [
  ({ document }) => `
    CREATE TABLE ${document} (
      collection bytea NOT NULL,
      head bytea NOT NULL,
      tail bytea NOT NULL,
      tail_digest bytea NOT NULL
        GENERATED ALWAYS AS (CASE WHEN tail = ''::bytea THEN ''::bytea ELSE sha256(tail) END) STORED,
      json text NOT NULL,
      PRIMARY KEY (collection, head, tail_digest)
    );`,
];

/** The tables of a namespace. Throws `StoreError` `invalid` when it cannot be the name of a schema. */
export function tablesOf(namespace: string, path: string): Tables {
  if (!/^[a-z_][a-z0-9_]{0,62}$/.test(namespace) || /^pg_|^information_schema$/.test(namespace)) {
    throw new StoreError('invalid', path, `the namespace "${namespace}": small letters, digits and _, up to 63`);
  }
  const schema = `"${namespace}"`;
  return { schema, store: `${schema}.store`, owner: `${schema}.owner`, document: `${schema}.document` };
}

/** Makes an empty namespace ready for its first owner, or checks that it is ours. Rejects with `StoreError`. */
export async function ensureNamespace(session: Session, tables: Tables): Promise<void> {
  await inTransaction(session, async () => {
    await session.query('SELECT pg_advisory_xact_lock($1, 0)', [lockClass]);
    if ((await findVersion(session, tables)) !== undefined) return;
    const [row] = await session.query('SELECT 1 WHERE to_regnamespace($1) IS NOT NULL', [tables.schema]);
    if (row === undefined) await session.query(`CREATE SCHEMA ${tables.schema}`);
    await session.query(`
      CREATE TABLE ${tables.store} (application text NOT NULL, version integer NOT NULL);
      INSERT INTO ${tables.store} VALUES ('hypostyle', 0);
      CREATE TABLE ${tables.owner} (
        epoch bigint PRIMARY KEY,
        holder text NOT NULL,
        since timestamptz NOT NULL DEFAULT now(),
        sequence bigint NOT NULL DEFAULT 0,
        ended boolean NOT NULL DEFAULT false
      ) WITH (fillfactor = 50);`);
  });
}

/** Brings a namespace to the version of this program. Only its owner may. */
export async function migrate(session: Session, tables: Tables): Promise<void> {
  await inTransaction(session, async () => {
    const version = (await findVersion(session, tables)) ?? 0;
    for (const migration of migrations.slice(version)) await session.query(migration(tables));
    await session.query(`UPDATE ${tables.store} SET version = ${migrations.length} WHERE version = ${version}`);
  });
}

/**
 * The version of a namespace; undefined when it is not there, or empty. Rejects with `StoreError` `foreign` when it
 * is another program's, and `newer` when a later version of this program made it.
 */
export async function findVersion(session: Session, tables: Tables): Promise<number | undefined> {
  const [count] = await session.query(
    'SELECT count(*), count(*) FILTER (WHERE oid = to_regclass($2)) FROM pg_class WHERE relnamespace = to_regnamespace($1)',
    [tables.schema, tables.store],
  );
  if (count?.[0] === '0') return undefined;
  if (count?.[1] === '0') throw new StoreError('foreign', session.path);
  const [row] = await session.query(`SELECT application, version FROM ${tables.store}`).catch((error: unknown) => {
    // 42703 undefined_column
    throw sqlState(error) === '42703' ? new StoreError('foreign', session.path) : error;
  });
  if (row?.[0] !== 'hypostyle') throw new StoreError('foreign', session.path);
  const version = Number(row[1]);
  if (version > migrations.length) {
    const detail = `its version is ${version}, this program knows up to ${migrations.length}`;
    throw new StoreError('newer', session.path, detail);
  }
  return version;
}

/** Runs statements in one transaction, which is undone when one of them fails. */
export async function inTransaction<T>(session: Session, run: () => Promise<T>): Promise<T> {
  await session.query('BEGIN');
  try {
    const result = await run();
    await session.query('COMMIT');
    return result;
  } catch (error) {
    // A session that is gone has no transaction.
    if (session.alive) await session.query('ROLLBACK').catch(() => session.destroy());
    throw error;
  }
}
