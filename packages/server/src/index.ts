/**
 * The composition root: one host behind one HTTPS port.
 *
 *     const server = await startServer({ home: '/var/lib/hypostyle', listen: { host: '127.0.0.1', port: 8443 }, mode: 'host' });
 *     console.log(server.url, server.username, server.passwordFile);
 *     await server.close();
 */
export { ServerError, type ServerErrorCode } from './errors.ts';
export { type DaemonRecord, findDaemon } from './home/daemon-record.ts';
export { type Home, homeAt } from './home/home.ts';
export { isAlive } from './home/process-identity.ts';
export { type ReadyMessage, writeReadyFile } from './home/ready-file.ts';
export { type ListenAddress, parseListenAddress } from './http/listen-address.ts';
export type { RunningServer, StartServerOptions } from './start-server.ts';
export { serverVersion } from './version.ts';

/** Starts a server. What that takes is loaded here: most commands only ask where one is. */
export const startServer: typeof import('./start-server.ts').startServer = async (options) =>
  (await import('./start-server.ts')).startServer(options);
