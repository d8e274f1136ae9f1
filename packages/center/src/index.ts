export { Center, type CenterOptions } from './center.ts';
export type { HostConnection, HostConnector, HostCredentials } from './hosts/host-connection.ts';
