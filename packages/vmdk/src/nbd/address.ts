import type { ConnectionOptions } from 'node:tls';
import { VmdkError } from '../errors.ts';
import { defaultNbdPort } from './protocol.ts';

/** How a client proves itself and whom it trusts. `servername` is the name that the server's certificate must bear. */
export type NbdClientTls = Pick<
  ConnectionOptions,
  'ca' | 'cert' | 'key' | 'servername' | 'rejectUnauthorized' | 'checkServerIdentity' | 'pskCallback' | 'ciphers'
> & {
  /** SHA-1 or SHA-256 of the server's certificate in hexadecimal: that one alone is trusted, whatever its names. */
  readonly thumbprint?: string;
};

/** Where an NBD server listens. With `tls` the connection is encrypted or it is not made. */
export type NbdAddress =
  | { readonly socketPath: string; readonly tls?: NbdClientTls }
  | { readonly host: string; readonly port?: number; readonly tls?: NbdClientTls };

/** The standard URI of an export: `nbd`, `nbds`, `nbd+unix` or `nbds+unix`. */
export function nbdUri(address: NbdAddress, exportName: string): string {
  const scheme = address.tls === undefined ? 'nbd' : 'nbds';
  const name = exportName.split('/').map(encodeURIComponent).join('/');
  if ('socketPath' in address) {
    return `${scheme}+unix:///${name}?socket=${encodeURIComponent(address.socketPath).replaceAll('%2F', '/')}`;
  }
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  const port = address.port ?? defaultNbdPort;
  return `${scheme}://${host}${port === defaultNbdPort ? '' : `:${port}`}/${name}`;
}

/** Whether a text is the URI of an NBD export. */
export function isNbdUri(text: string): boolean {
  return /^nbds?(\+unix)?:\/\//.test(text);
}

/** Takes the URI of an export apart. TLS trusts what `tls` says. */
export function parseNbdUri(
  text: string,
  tls: NbdClientTls = {},
): { readonly address: NbdAddress; readonly exportName: string } {
  const refused = (reason: string) => new VmdkError('nbd-uri-invalid', { file: text, reason });
  if (!isNbdUri(text)) throw refused('it begins with none of nbd:, nbds:, nbd+unix: and nbds+unix:');
  let url: URL;
  let exportName: string;
  try {
    url = new URL(text);
    exportName = decodeURIComponent(url.pathname.replace(/^\//, ''));
  } catch (error) {
    throw refused(error instanceof Error ? error.message : String(error));
  }
  const secure = url.protocol.startsWith('nbds') ? { tls } : {};
  if (url.protocol.endsWith('+unix:')) {
    const socketPath = url.searchParams.get('socket');
    if (!socketPath) throw refused('it has no ?socket=');
    return { address: { socketPath, ...secure }, exportName };
  }
  if (url.hostname === '') throw refused('it names no host');
  const port = url.port === '' ? defaultNbdPort : Number(url.port);
  return { address: { host: url.hostname.replace(/^\[|\]$/g, ''), port, ...secure }, exportName };
}
