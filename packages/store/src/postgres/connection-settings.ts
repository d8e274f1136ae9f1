import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import type { ConnectionOptions } from 'node:tls';
import { StoreError } from '../errors.ts';

/** Where a database is, and who signs in. */
export interface PostgresConnection {
  /** A name, an address, or the folder of a Unix-domain socket. Default localhost. */
  readonly host?: string;
  /** Default 5432. */
  readonly port?: number;
  /** Default the user's name. */
  readonly database?: string;
  /** Default the user of this process. */
  readonly user?: string;
  /** Asked anew for each connection when it is a function. */
  readonly password?: string | (() => string | Promise<string>);
  /** A file in the format of libpq's `.pgpass`, read anew for each connection. Default `PGPASSFILE`. */
  readonly passwordFile?: string;
  /** TLS with these options, `true` for the system's authorities, `false` for none. Default: none on this machine. */
  readonly tls?: boolean | ConnectionOptions;
  /** Milliseconds for one connection to be made. Default 10,000. */
  readonly connectTimeout?: number;
}

/** A connection with everything decided. */
export interface ConnectionSettings {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string | (() => string | Promise<string>) | undefined;
  readonly passwordFile: string | undefined;
  readonly tls: boolean | ConnectionOptions;
  readonly connectTimeout: number;
  /** For people: the address without the password. */
  readonly address: string;
}

/**
 * Parses a `postgres://` URL with the parameters `host`, `port`, `dbname`, `user`, `password`, `passfile`,
 * `connect_timeout`, `sslmode`, `sslrootcert`, `sslcert` and `sslkey` of libpq, or takes an object. `sslmode` is
 * `disable`, `require`, `verify-ca` or `verify-full`; other machines are asked by `verify-full` when it is absent.
 * Throws `StoreError` `invalid`, which never holds the URL.
 */
export function connectionSettings(connection: string | PostgresConnection): ConnectionSettings {
  const given = typeof connection === 'string' ? parseUrl(connection) : connection;
  const host = given.host || 'localhost';
  const port = given.port ?? 5432;
  if (!(Number.isInteger(port) && port > 0 && port < 65_536)) throw invalid(`a port of ${port}`);
  const user = given.user || userInfo().username;
  const database = given.database || user;
  const connectTimeout = given.connectTimeout ?? 10_000;
  if (!(connectTimeout > 0 && connectTimeout < 2 ** 31)) throw invalid(`a connect timeout of ${connectTimeout}`);
  if ([host, user, database].some((text) => text.includes('\0'))) throw invalid('a NUL in a name');
  return {
    host,
    port,
    user,
    database,
    password: given.password,
    passwordFile: given.passwordFile ?? (process.env.PGPASSFILE || undefined),
    tls: given.tls ?? !isThisMachine(host),
    connectTimeout,
    address: `postgres://${user}@${host.includes(':') ? `[${host}]` : host}:${port}/${database}`,
  };
}

function parseUrl(text: string): PostgresConnection {
  // The parser's own error would quote the URL, and with it the password.
  if (!URL.canParse(text)) throw invalid('a URL that cannot be read');
  const url = new URL(text);
  if (url.protocol !== 'postgres:' && url.protocol !== 'postgresql:') throw invalid('a URL that is not postgres://');
  const { sslmode, sslrootcert, sslcert, sslkey, ...rest } = parameters(url);
  const { host, port, dbname, user, password, passfile, connect_timeout: seconds } = rest;
  const timeout = seconds === undefined ? undefined : { connectTimeout: Number(seconds) * 1000 };
  return {
    host: host ?? decode(url.hostname).replace(/^\[(.*)\]$/, '$1'),
    port: Number(port ?? (url.port || 5432)),
    database: dbname ?? decode(url.pathname.slice(1)),
    user: user ?? decode(url.username),
    ...given('password', password ?? (decode(url.password) || undefined)),
    ...given('passwordFile', passfile),
    ...given('tls', tlsOptions(sslmode, sslrootcert, sslcert, sslkey)),
    ...timeout,
  };
}

const knownParameters = [
  ...(['host', 'port', 'dbname', 'user', 'password', 'passfile', 'connect_timeout'] as const),
  ...(['sslmode', 'sslrootcert', 'sslcert', 'sslkey'] as const),
];

type Parameters = Partial<Record<(typeof knownParameters)[number], string>>;

function parameters(url: URL): Parameters {
  const known: readonly string[] = knownParameters;
  for (const name of url.searchParams.keys()) if (!known.includes(name)) throw invalid(`a URL with ${name}`);
  return Object.fromEntries(url.searchParams) as Parameters;
}

function tlsOptions(
  mode: string | undefined,
  rootFile: string | undefined,
  certificateFile: string | undefined,
  keyFile: string | undefined,
): boolean | ConnectionOptions | undefined {
  if (mode === 'disable') return false;
  if (mode === undefined && rootFile === undefined && certificateFile === undefined) return undefined;
  const own = {
    ...(certificateFile === undefined ? {} : { cert: read(certificateFile) }),
    ...(keyFile === undefined ? {} : { key: read(keyFile) }),
  };
  const authorities = rootFile === undefined || rootFile === 'system' ? {} : { ca: read(rootFile) };
  switch (mode ?? 'verify-full') {
    case 'verify-full':
      return { ...own, ...authorities };
    case 'verify-ca':
      return { ...own, ...authorities, checkServerIdentity: () => undefined };
    case 'require':
      // As libpq: a root certificate that is named is also checked.
      if (rootFile !== undefined) return { ...own, ...authorities, checkServerIdentity: () => undefined };
      return { ...own, rejectUnauthorized: false };
    default:
      throw invalid(`an sslmode of ${mode}; it is disable, require, verify-ca or verify-full`);
  }
}

function read(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw invalid(error instanceof Error ? error.message : String(error));
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid('a URL that cannot be read');
  }
}

function given<N extends string, T>(name: N, value: T | undefined): { [K in N]?: T } {
  return (value === undefined ? {} : { [name]: value }) as { [K in N]?: T };
}

function isThisMachine(host: string): boolean {
  return host.startsWith('/') || ['localhost', '127.0.0.1', '::1'].includes(host);
}

const invalid = (what: string): StoreError => new StoreError('invalid', 'in PostgreSQL', what);
