import type { ConnectionOptions } from 'node:tls';
import type { ServerSession } from './server-session.ts';
import { tlsOptions } from './tls-options.ts';

/**
 * The address of a transfer or a console as it works from here, and whom to trust there. A server writes `*` for itself,
 * as its client knows an address that works; a center may name one of its hosts, with the thumbprint of its certificate.
 */
export async function reachTransfer(
  { address, tls }: ServerSession,
  written: string,
  thumbprint: string | undefined,
): Promise<{ readonly url: URL; readonly tls: ConnectionOptions }> {
  const url = new URL(written.replace('://*', `://${address.url.host}`));
  if (url.host === address.url.host || address.tls.insecure || !thumbprint) return { url, tls };
  return { url, tls: await tlsOptions({ url: new URL(`https://${url.host}`), tls: { fingerprint: thumbprint } }) };
}
