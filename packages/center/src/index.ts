export { Center, type CenterOptions } from './center.ts';
export type { HostConnection, HostConnector, HostCredentials } from './hosts/connection/host-connection.ts';
export { type ConnectorOptions, createConnector } from './joining/connector.ts';
export { createRemoteConnector, extensionKeyOf, type RemoteConnectorOptions } from './joining/remote-connector.ts';
