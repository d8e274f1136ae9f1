import type { FileRequest, FileResponse } from '@hypostyle/services';
import { fault } from '@hypostyle/vim';
import type { HostConnection, HostConnector } from '../hosts/connection/host-connection.ts';
import type { HostAddress } from '../inventory/entity-document.ts';

export interface ConnectorOptions {
  /** Makes a connection to the host of this process, which has none unless told. */
  readonly local?: (() => Promise<HostConnection>) | undefined;
  readonly remote: Omit<HostConnector, 'exchange'>;
  /** Carries requests for files, to the host of this process too. */
  readonly exchange: (address: HostAddress, request: FileRequest) => Promise<FileResponse>;
}

/** Reaches the host of this process without a socket, and every other one by its address. */
export function createConnector({ local, remote, exchange }: ConnectorOptions): HostConnector {
  const here = () => {
    if (local === undefined) throw fault('HostConnectFault', {}, 'This process has no host of its own.');
    return local();
  };
  return {
    introduce: async (address, credentials) => (address.local ? here() : remote.introduce(address, credentials)),
    enroll: (connection, force) => remote.enroll(connection, force),
    dismiss: (connection) => remote.dismiss(connection),
    connect: async (address, signal) => (address.local ? here() : remote.connect(address, signal)),
    exchange,
    thumbprint: (host, port) => remote.thumbprint(host, port),
  };
}
