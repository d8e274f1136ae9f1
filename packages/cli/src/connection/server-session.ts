import type { ConnectionOptions } from 'node:tls';
import { type Client, ClientError, createClient, type ServiceContent } from '@hypostyle/vim';
import { CliError } from '../errors.ts';
import type { ServerAddress } from './server-address.ts';
import { tlsOptions } from './tls-options.ts';

/** A signed-in connection to a server. */
export interface ServerSession {
  readonly address: ServerAddress;
  readonly client: Client;
  readonly content: ServiceContent;
  readonly userName: string;
  /** For files, transfers and consoles. */
  readonly tls: ConnectionOptions;
}

/** Signs in, works, and signs out whatever happens. */
export async function withSession<T>(address: ServerAddress, work: (session: ServerSession) => Promise<T>): Promise<T> {
  const tls = await tlsOptions(address);
  await using client = createClient({ url: new URL('/sdk', address.url), tls: address.tls, userAgent: 'hypo' });
  const userName = await signIn(client, address);
  return await work({ address, client, content: await client.content(), userName, tls });
}

/** Answers who signed in. */
async function signIn(client: Client, address: ServerAddress): Promise<string> {
  try {
    const userName = address.userName ?? (isCenter(await client.content()) ? 'administrator@vsphere.local' : 'root');
    await client.signIn(userName, address.password);
    return userName;
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    throw new CliError('unreachable', `${address.url.origin} cannot be reached. ${error.message}`, {
      next: /certificate|self-signed/i.test(error.message)
        ? 'Name its authority with --ca-file, or its certificate with --fingerprint.'
        : "Check --url, and that the server runs ('hypo host status').",
      cause: error,
    });
  }
}

/** Whether a server is a center over hosts, not a host by itself. */
export function isCenter({ about }: ServiceContent): boolean {
  return about.apiType === 'VirtualCenter';
}

/** Throws for a host, which by itself cannot do what only a center does. */
export function requireCenter({ content }: ServerSession, why: string): void {
  if (isCenter(content)) return;
  throw new CliError('failed', why, { next: "Do it at a center: 'hypo up' runs one." });
}
