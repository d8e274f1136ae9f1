import { ServerError } from '../errors.ts';

/** Where a server listens. */
export interface ListenAddress {
  /** Name or IP address. */
  readonly host: string;
  /** 0 for any free one. */
  readonly port: number;
}

/** `host:port`, with brackets around IPv6. */
export function formatAddress(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Reads `HOST:PORT`, `[IPv6]:PORT`, `:PORT` or `PORT`. Throws `ServerError` `address-invalid`. */
export function parseListenAddress(text: string, defaultHost = '127.0.0.1'): ListenAddress {
  const match = /^(?:(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]*)):)?(\d{1,5})$/.exec(text.trim());
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new ServerError('address-invalid', `'${text}' is not HOST:PORT, such as 127.0.0.1:8443 or [::1]:8443.`);
  }
  return { host: match[1] || match[2] || defaultHost, port };
}
