import { type ConnectionOptions, connect, type DetailedPeerCertificate } from 'node:tls';
import { CliError } from '../errors.ts';
import type { ServerAddress } from './server-address.ts';

/** Whom connections other than those of the API trust: files, transfers, consoles. */
export async function tlsOptions({ url, tls }: Pick<ServerAddress, 'url' | 'tls'>): Promise<ConnectionOptions> {
  if (tls.insecure) return { rejectUnauthorized: false };
  if (tls.fingerprint === undefined) return tls.ca === undefined ? {} : { ca: [tls.ca].flat() };
  const certificate = await serverCertificate(url);
  const wanted = plain(tls.fingerprint);
  if (![certificate.fingerprint, certificate.fingerprint256].some((one) => plain(one) === wanted)) {
    throw new CliError('unreachable', `${url.host} has another certificate: ${certificate.fingerprint256}.`, {
      next: 'Give the fingerprint of the server that you mean with --fingerprint.',
    });
  }
  // From here on that certificate alone is trusted, whatever its names.
  const pem = `-----BEGIN CERTIFICATE-----\n${certificate.raw.toString('base64')}\n-----END CERTIFICATE-----\n`;
  return { ca: pem, allowPartialTrustChain: true, checkServerIdentity: () => undefined } as ConnectionOptions;
}

function serverCertificate(url: URL): Promise<DetailedPeerCertificate> {
  return new Promise((resolve, reject) => {
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const socket = connect({ host, port: Number(url.port || 443), rejectUnauthorized: false, timeout: 15_000 });
    const fail = (error: Error) => {
      socket.destroy();
      reject(new CliError('unreachable', `${url.host} cannot be reached: ${error.message}.`, { cause: error }));
    };
    socket.once('error', fail);
    socket.once('timeout', () => fail(new Error('no answer for 15 seconds')));
    socket.once('secureConnect', () => {
      resolve(socket.getPeerCertificate(true));
      socket.end();
    });
  });
}

function plain(fingerprint: string): string {
  return fingerprint.replaceAll(':', '').toLowerCase();
}
