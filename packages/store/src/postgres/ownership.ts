import { hostname } from 'node:os';
import { StoreError } from '../errors.ts';
import { sqlState } from './postgres-error.ts';
import { lockClass, type Tables } from './schema.ts';
import type { Session } from './session.ts';

/** What a process that owns a namespace knows of its claim. */
export interface Claim {
  /** Larger than that of every owner before. */
  readonly epoch: string;
  /** The session that holds the lock. */
  readonly backend: Backend;
}

interface Backend {
  readonly processId: string;
  readonly started: string;
}

/** How a claim stands after its session was lost. `sequence` is the last group of the claim that was committed. */
export type Standing =
  | { readonly state: 'held'; readonly claim: Claim; readonly sequence: number }
  | { readonly state: 'waiting' }
  | { readonly state: 'lost'; readonly sequence: number | undefined };

/** Owners whose last sequence is kept, for those of them that come back and ask. */
const keptOwners = 1000;
/** Longest wait for the lock in one statement, in milliseconds. */
const longestTry = 5000;

/**
 * Takes the lock of a namespace, and ends the claim of whoever had it before. The session keeps the lock until it
 * ends. Rejects with `StoreError` `inUse` when another has it for all of `wait` milliseconds.
 */
export async function claimNamespace(
  session: Session,
  tables: Tables,
  { wait, prepare }: { readonly wait: number; readonly prepare: () => Promise<void> },
): Promise<Claim> {
  const deadline = performance.now() + wait;
  for (;;) {
    const left = deadline - performance.now();
    if (await takeLock(session, tables, Math.min(left, longestTry))) break;
    if (left <= longestTry) throw new StoreError('inUse', session.path, await holderOf(session, tables));
  }
  await prepare();
  const [row] = await session.query(
    `WITH ended AS (UPDATE ${tables.owner} SET ended = true WHERE NOT ended),
      forgotten AS (
        DELETE FROM ${tables.owner} WHERE ended AND epoch < (SELECT max(epoch) FROM ${tables.owner}) - ${keptOwners}
      )
    INSERT INTO ${tables.owner} (epoch, holder)
      SELECT coalesce(max(epoch), 0) + 1, $1 FROM ${tables.owner} RETURNING epoch`,
    [`${hostname()}, process ${process.pid}`],
  );
  return { epoch: row?.[0] ?? '', backend: await backendOf(session) };
}

/** Takes up a claim with a new session, unless somebody else has claimed the namespace in between. */
export async function resumeClaim(session: Session, tables: Tables, { epoch, backend }: Claim): Promise<Standing> {
  // The server may not know yet that the old session's client has left it.
  await session.query(
    'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND extract(epoch FROM backend_start) = $2',
    [backend.processId, backend.started],
  );
  if ((await standingOf(session, tables, epoch)).ended) return await lost(session, tables, epoch);
  if (!(await takeLock(session, tables, longestTry))) return { state: 'waiting' };
  // With the lock, nobody else is writing: neither another process nor the old session.
  const { ended, sequence } = await standingOf(session, tables, epoch);
  if (ended || sequence === undefined) return { state: 'lost', sequence };
  return { state: 'held', claim: { epoch, backend: await backendOf(session) }, sequence };
}

/** Whoever ended the claim had the lock, so that the sequence is final. */
async function lost(session: Session, tables: Tables, epoch: string): Promise<Standing> {
  return { state: 'lost', sequence: (await standingOf(session, tables, epoch)).sequence };
}

async function standingOf(session: Session, tables: Tables, epoch: string) {
  const [row] = await session.query(`SELECT sequence, ended FROM ${tables.owner} WHERE epoch = $1`, [epoch]);
  // Without a row this is a copy of the namespace from before the claim.
  return { sequence: row === undefined ? undefined : Number(row[0]), ended: row?.[1] !== 'f' };
}

async function takeLock(session: Session, tables: Tables, wait: number): Promise<boolean> {
  try {
    await session.query(`SET lock_timeout = ${Math.max(1, Math.ceil(wait))}`);
    // The number of the table in this database: no two namespaces share it.
    const number = `'${tables.owner}'::regclass::oid::int8::bit(32)::int4`;
    await session.query(`SELECT pg_advisory_lock(${lockClass}, ${number})`);
    return true;
  } catch (error) {
    // 55P03 lock_not_available
    if (sqlState(error) === '55P03') return false;
    throw error;
  } finally {
    if (session.alive) await session.query('SET lock_timeout = 0').catch(() => session.destroy());
  }
}

async function holderOf(session: Session, tables: Tables): Promise<string | undefined> {
  const [row] = await session.query(
    `SELECT holder || ', since ' || to_char(since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
      FROM ${tables.owner} WHERE NOT ended ORDER BY epoch DESC LIMIT 1`,
  );
  return row?.[0];
}

async function backendOf(session: Session): Promise<Backend> {
  const [row] = await session.query(
    'SELECT pid, extract(epoch FROM backend_start) FROM pg_stat_activity WHERE pid = pg_backend_pid()',
  );
  const [processId = '', started = ''] = row ?? [];
  return { processId, started };
}
