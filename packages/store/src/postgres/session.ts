import { Client, Query } from 'pg';
import { StoreError } from '../errors.ts';
import type { ConnectionSettings } from './connection-settings.ts';
import { readPasswordFile } from './password-file.ts';
import { asStoreError, ConnectionLost, endsSession } from './postgres-error.ts';

/** One column of a row, as PostgreSQL writes it as text. */
export type Row = readonly string[];

export type Parameter = string | number | Uint8Array | null | readonly string[] | readonly Uint8Array[];

export interface SessionSettings {
  readonly connection: ConnectionSettings;
  /** Names the store in errors. */
  readonly path: string;
  /** Shown by `pg_stat_activity`. */
  readonly applicationName: string;
  /** A session that only reads; its statements are sent without waiting for each other. */
  readonly reads: boolean;
}

/** A statement ends after this long, whatever it does. */
const statementSeconds = 120;
/** A server that does not answer for this long after that is taken for gone. */
const graceSeconds = 10;
const oldestServer = 140_000;

// No search path: names are written whole. Statements go by the keys of their table whatever its statistics say.
// Keep-alives and the user timeout end the session, and with it its lock, when this machine goes without a word.
const preparation = `
  SET search_path = '';
  SET client_min_messages = warning;
  SET default_transaction_isolation = 'read committed';
  SET idle_in_transaction_session_timeout = 0;
  SET idle_session_timeout = 0;
  SET statement_timeout = '${statementSeconds}s';
  SET jit = off;
  SET enable_seqscan = off;
  SET enable_hashjoin = off;
  SET enable_mergejoin = off;
  SET tcp_keepalives_idle = 10;
  SET tcp_keepalives_interval = 5;
  SET tcp_keepalives_count = 3;
  SET tcp_user_timeout = '30s';
  SELECT set_config('synchronous_commit', 'on', false)
    WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply');
`;

/** One connection to the server. */
export class Session {
  readonly path: string;
  readonly #client: Client;
  #failed = false;
  #ended = false;
  /** Resolves when the connection is gone, however it went. */
  readonly gone: Promise<void>;

  /** Connects and signs in. Rejects with `StoreError`: `unreachable` when it may work later, else `failed`. */
  static async open(settings: SessionSettings): Promise<Session> {
    const session = new Session(settings);
    try {
      await session.#client.connect();
      await session.#prepare(settings.reads);
      return session;
    } catch (error) {
      session.destroy();
      throw asStoreError(error, settings.path);
    }
  }

  private constructor({ connection, path, applicationName, reads }: SessionSettings) {
    this.path = path;
    this.#client = new Client({
      host: connection.host,
      port: connection.port,
      database: connection.database,
      user: connection.user,
      password: () => passwordOf(connection),
      ssl: connection.host.startsWith('/') ? false : connection.tls,
      application_name: applicationName,
      client_encoding: 'UTF8',
      connectionTimeoutMillis: connection.connectTimeout,
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      pipeline: reads,
      // Rows stay text: what a column means is known where it is asked for.
      types: { getTypeParser: () => (value: string) => value },
    });
    this.#client.on('error', () => this.destroy());
    this.gone = new Promise((resolve) => {
      this.#client.on('end', () => {
        this.#ended = true;
        resolve();
      });
    });
  }

  /** Whether it can be asked. False from the first failure on, before the connection is gone. */
  get alive(): boolean {
    return !this.#failed && !this.#ended;
  }

  /** Rows of a statement. Rejects with `ConnectionLost`, or with the error that the server sent. */
  async query(text: string, values: readonly Parameter[] = [], name?: string): Promise<Row[]> {
    const rows: Row[] = [];
    await this.read(text, values, (row) => rows.push(row), name);
    return rows;
  }

  /** Runs a statement and hands each row over as it comes. Rejects as `query` does. */
  async read(
    text: string,
    values: readonly Parameter[],
    use: (row: Row) => void,
    name: string | undefined,
  ): Promise<void> {
    if (!this.alive) throw new ConnectionLost('the connection has ended');
    const answered = Promise.withResolvers<void>();
    const config = { text, values: [...values], rowMode: 'array', ...(name === undefined ? {} : { name }) };
    const query = new Query<string[]>(config);
    let failure: { readonly error: unknown } | undefined;
    query.on('row', (row) => {
      try {
        if (failure === undefined) use(row);
      } catch (error) {
        failure = { error };
      }
    });
    query.on('end', () => answered.resolve());
    query.on('error', (error: Error) => answered.reject(error));
    const deadline = setTimeout(() => this.destroy(), (statementSeconds + graceSeconds) * 1000);
    try {
      this.#client.query(query);
      await answered.promise;
    } catch (error) {
      if (!endsSession(error)) throw error;
      this.destroy();
      throw new ConnectionLost(error instanceof Error ? error.message : String(error));
    } finally {
      clearTimeout(deadline);
    }
    if (failure !== undefined) throw failure.error;
  }

  /** Ends the connection at once; what waits for an answer rejects with `ConnectionLost`. */
  destroy(): void {
    this.#failed = true;
    this.#client.connection.stream.destroy();
  }

  /** Says goodbye, and resolves when the server has let go. */
  async end(): Promise<void> {
    if (!this.#ended) await this.#client.end();
  }

  async #prepare(reads: boolean): Promise<void> {
    const [row] = await this.query(
      "SELECT current_setting('server_version_num'), current_setting('server_encoding'), pg_is_in_recovery()::text",
    );
    const [version, encoding, standby] = row ?? [];
    if (Number(version) < oldestServer) throw new StoreError('failed', this.path, 'it takes PostgreSQL 14 or later');
    if (encoding !== 'UTF8') throw new StoreError('failed', this.path, `the database is ${encoding}, not UTF8`);
    if (standby === 'true' && !reads) throw new StoreError('unreachable', this.path, 'the server is a standby');
    // Several statements in one message need the simple protocol, which `read` uses when there are no values.
    await this.query(`${preparation} SET default_transaction_read_only = ${reads ? 'on' : 'off'};`);
  }
}

async function passwordOf({ password, passwordFile, ...question }: ConnectionSettings): Promise<string> {
  if (typeof password === 'function') return await password();
  if (password !== undefined) return password;
  const found = passwordFile === undefined ? undefined : await readPasswordFile(passwordFile, question);
  if (found === undefined) throw new Error('the server wants a password, and none was given');
  return found;
}
