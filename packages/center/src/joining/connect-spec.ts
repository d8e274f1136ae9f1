import { isIP } from 'node:net';
import { type DataTypes, fault } from '@hypostyle/vim';
import type { HostConnector, HostCredentials } from '../hosts/connection/host-connection.ts';
import type { HostAddress } from '../inventory/entity-document.ts';
import { sameThumbprint, sslVerifyFault } from './host-certificate.ts';

type HostConnectSpec = DataTypes['HostConnectSpec'];

/** Where a host is said to be. */
export interface HostTarget {
  readonly host: string;
  readonly port: number;
  /** Of the certificate that the caller trusts. */
  readonly thumbprint?: string;
  readonly force: boolean;
}

const defaultPort = 443;

/** What a HostConnectSpec says of the host. Throws InvalidArgument. */
export function hostTarget({ hostName, port = defaultPort, sslThumbprint, force }: HostConnectSpec): HostTarget {
  const host = (hostName ?? '').trim().replace(/^\[(.*)\]$/, '$1');
  const isName = /^[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?\.?$/.test(host) && host.length <= 253;
  if (isIP(host) === 0 && !isName)
    throw fault('InvalidArgument', { invalidProperty: 'spec.hostName' }, 'The host needs a name or an IP address.');
  if (port < 0 || port > 65_535)
    throw fault('InvalidArgument', { invalidProperty: 'spec.port' }, 'A port is between 1 and 65535.');
  const thumbprint = sslThumbprint?.trim() ?? '';
  return {
    host,
    port: port === 0 ? defaultPort : port,
    force,
    ...(thumbprint === '' ? {} : { thumbprint }),
  };
}

/** Undefined when the spec names no user. */
export function hostCredentials({ userName, password = '' }: HostConnectSpec): HostCredentials | undefined {
  return userName === undefined || userName === '' ? undefined : { userName, password };
}

/** The host's address once its certificate is the confirmed one. Throws SSLVerifyFault with the one that it shows, NoHost. */
export async function confirmedAddress(
  connector: HostConnector,
  { host, port, thumbprint }: HostTarget,
): Promise<HostAddress> {
  const shown = await connector.thumbprint(host, port);
  if (thumbprint === undefined || !sameThumbprint(shown, thumbprint))
    throw sslVerifyFault(host, { thumbprint: shown, selfSigned: true });
  return { local: false, host, port, thumbprint: shown };
}
