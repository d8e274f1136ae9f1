import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { findDaemon, homeAt } from '@hypostyle/server';
import type { ClientTls } from '@hypostyle/vim';
import { CliError } from '../errors.ts';

/** Options that every command takes. */
export interface GlobalOptions {
  readonly url?: string;
  readonly username?: string;
  readonly passwordFile?: string;
  readonly caFile?: string;
  readonly fingerprint?: string;
  readonly insecure?: boolean;
  readonly home?: string;
  readonly json?: boolean;
}

/** Where the server is, who signs in, and which certificate is trusted. */
export interface ServerAddress {
  /** Without a path, such as `https://127.0.0.1:8443`. */
  readonly url: URL;
  /** Undefined for the administrator, whatever the server calls that. */
  readonly userName: string | undefined;
  readonly password: string;
  readonly tls: ClientTls;
}

export function homePath(options: GlobalOptions, environment: NodeJS.ProcessEnv): string {
  return resolve(options.home || environment.HYPOSTYLE_HOME || join(homedir(), '.hypostyle'));
}

/** The server that options and environment name; without one, that of the local home. */
export async function findServer(options: GlobalOptions, environment: NodeJS.ProcessEnv): Promise<ServerAddress> {
  const text = options.url ?? environment.HYPOSTYLE_URL;
  return text ? named(text, options, environment) : local(options, environment);
}

async function local(options: GlobalOptions, environment: NodeJS.ProcessEnv): Promise<ServerAddress> {
  const home = homeAt(homePath(options, environment));
  const daemon = await findDaemon(home);
  if (daemon?.url === undefined) {
    throw new CliError('unreachable', `No server runs for ${home.directory}${daemon === undefined ? '' : ' yet'}.`, {
      next: "Start one with 'hypo up --detach', or name a server with --url.",
    });
  }
  const own = options.passwordFile === undefined && environment.HYPOSTYLE_PASSWORD === undefined;
  return {
    url: new URL(daemon.url),
    userName: options.username ?? environment.HYPOSTYLE_USERNAME ?? daemon.userName,
    password: own ? await readPassword(home.passwordFile) : await password(options, environment, ''),
    tls: { ca: await readFile(home.authorityFile, 'utf8') },
  };
}

async function named(text: string, options: GlobalOptions, environment: NodeJS.ProcessEnv): Promise<ServerAddress> {
  const spelled = text.includes('://') ? text : `https://${text}`;
  if (!URL.canParse(spelled) || new URL(spelled).protocol !== 'https:') {
    throw new CliError('usage', `'${text}' is no address of a server.`, {
      next: 'Write it as https://HOST:PORT.',
    });
  }
  const url = new URL(spelled);
  const userName =
    options.username ?? environment.HYPOSTYLE_USERNAME ?? (decodeURIComponent(url.username) || undefined);
  const written = decodeURIComponent(url.password);
  return {
    url: new URL(url.origin),
    userName,
    password: await password(options, environment, written),
    tls: await trust(options, environment),
  };
}

async function password(options: GlobalOptions, environment: NodeJS.ProcessEnv, written: string): Promise<string> {
  if (options.passwordFile !== undefined) return readPassword(options.passwordFile);
  const given = environment.HYPOSTYLE_PASSWORD || written;
  if (given) return given;
  throw new CliError('usage', 'The password is missing.', {
    next: 'Give it with --password-file, or in HYPOSTYLE_PASSWORD.',
  });
}

async function readPassword(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CliError('usage', `The password cannot be read: ${reason}.`, {
      next: 'Give a file that this user can read with --password-file.',
      cause,
    });
  });
  return text.split(/\r?\n/, 1)[0] ?? '';
}

async function trust(options: GlobalOptions, environment: NodeJS.ProcessEnv): Promise<ClientTls> {
  if (options.fingerprint !== undefined) return { fingerprint: options.fingerprint };
  const caFile = options.caFile ?? environment.HYPOSTYLE_CA_FILE;
  if (caFile) return { ca: await readFile(caFile, 'utf8') };
  return options.insecure || environment.HYPOSTYLE_INSECURE === '1' ? { insecure: true } : {};
}
