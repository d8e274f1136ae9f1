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
  /** For files, transfers and consoles. */
  readonly tls: ConnectionOptions;
}

/** Signs in, works, and signs out whatever happens. */
export async function withSession<T>(address: ServerAddress, work: (session: ServerSession) => Promise<T>): Promise<T> {
  const tls = await tlsOptions(address);
  await using client = createClient({ url: new URL('/sdk', address.url), tls: address.tls, userAgent: 'hypo' });
  await signIn(client, address);
  return await work({ address, client, content: await client.content(), tls });
}

async function signIn(client: Client, address: ServerAddress): Promise<void> {
  try {
    await client.signIn(address.userName, address.password);
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
