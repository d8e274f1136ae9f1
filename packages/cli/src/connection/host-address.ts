import { CliError } from '../errors.ts';

/** Where a host answers that joins a center. */
export interface HostAddress {
  /** A name or an IP address, the latter without brackets. */
  readonly host: string;
  readonly port: number;
}

/** That of `hypo host`. */
const usualPort = 8443;

/** Reads `esx2`, `esx2:443`, `[fd00::2]:8443`, `fd00::2` or `https://esx2:8443`. Throws `usage`. */
export function parseHostAddress(text: string): HostAddress {
  const bare = text.replace(/^https:\/\//i, '').replace(/\/(sdk)?$/, '');
  const match =
    /^\[([0-9a-f:.]+)\](?::(\d{1,5}))?$/i.exec(bare) ??
    /^([0-9a-f]*:[0-9a-f:.]*:[0-9a-f:.]*)()$/i.exec(bare) ??
    /^([^\s:/@]+)(?::(\d{1,5}))?$/.exec(bare);
  const [, host = '', port = ''] = match ?? [];
  const number = port === '' ? usualPort : Number(port);
  if (host !== '' && number >= 1 && number <= 65_535) return { host, port: number };
  throw new CliError('usage', `'${text}' is no address of a host.`, {
    next: `Write it as HOST or HOST:PORT; the port is ${usualPort} unless told.`,
  });
}
