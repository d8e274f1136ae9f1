import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import type { Home } from '../home/home.ts';
import { makeAuthority, makeServerCertificate } from './certificate.ts';
import { loadOrMake } from './kept-certificate.ts';

export interface TlsMaterial {
  /** PEM of the server's private key. */
  readonly key: string;
  /** PEM of the server's certificate and of its authority's. */
  readonly certificateChain: string;
  /** SHA-1 of the server's certificate, `AB:CD:…`. */
  readonly thumbprint: string;
}

const day = 86_400_000;
/** A certificate is made anew when it has less than this left. */
const renewalTime = 30 * day;

/** Names and addresses that a server which listens at `listenHost` is reached by. */
export function serverNames(listenHost: string): string[] {
  const own = hostname().toLowerCase();
  const named = [own, listenHost.toLowerCase()].filter(
    (name) => !['0.0.0.0', '::'].includes(name) && (isIP(name) !== 0 || /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(name)),
  );
  return [...new Set(['localhost', ...named, '127.0.0.1', '::1'])];
}

/**
 * The server's key and certificate, from the home where they still serve, made there otherwise. The authority stays
 * the same for ten years, so that clients which trust it need not be told of a renewal.
 */
export async function loadTlsMaterial(home: Home, names: readonly string[], now = new Date()): Promise<TlsMaterial> {
  const authority = await loadOrMake(home, 'ca', isAuthority(now), () =>
    makeAuthority(`Hypostyle authority of ${hostname()}`.slice(0, 64), now),
  );
  const signer = new X509Certificate(authority.certificate);
  const server = await loadOrMake(
    home,
    'server',
    (certificate) =>
      certificate.verify(signer.publicKey) && lasts(certificate, now) && namesOf(certificate) === spelled(names),
    () => makeServerCertificate(authority, names, now),
  );
  return {
    key: server.key,
    certificateChain: server.certificate + authority.certificate,
    thumbprint: new X509Certificate(server.certificate).fingerprint,
  };
}

function isAuthority(now: Date): (certificate: X509Certificate) => boolean {
  return (certificate) => certificate.ca && lasts(certificate, now);
}

function lasts(certificate: X509Certificate, now: Date): boolean {
  return (
    certificate.validFromDate.getTime() <= now.getTime() &&
    certificate.validToDate.getTime() - now.getTime() > renewalTime
  );
}

function namesOf(certificate: X509Certificate): string {
  return (certificate.subjectAltName ?? '')
    .split(', ')
    .map((name) => name.replace(/^(DNS|IP Address):/, ''))
    .map((name) => (name.includes(':') ? shortAddress(name) : name))
    .sort()
    .join(' ');
}

function spelled(names: readonly string[]): string {
  return names
    .map((name) => (name.includes(':') ? shortAddress(name) : name))
    .sort()
    .join(' ');
}

/** An IPv6 address in its one canonical spelling. */
function shortAddress(address: string): string {
  return URL.canParse(`http://[${address}]`) ? new URL(`http://[${address}]`).hostname : address;
}
