import type { RequestListener } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { ServerError, systemCode } from '../errors.ts';
import type { TlsMaterial } from '../tls/tls-material.ts';
import { formatAddress, type ListenAddress } from './listen-address.ts';

/** Most connections at a time. A client's pool keeps some dozens. */
const connectionLimit = 4_096;

export interface HttpsServerOptions {
  /**
   * Asks clients for a certificate and takes any, or none: who it stands for is the sign-in's to say. Off unless told, as
   * browsers then ask people which of theirs to show.
   */
  readonly asksForCertificates?: boolean;
}

/** The one HTTPS port: HTTP/1.1 over TLS 1.2 and later, with limits that real clients live with. */
export function makeHttpsServer(
  tls: TlsMaterial,
  onRequest: RequestListener,
  { asksForCertificates = false }: HttpsServerOptions = {},
): Server {
  const server = createServer(
    {
      key: tls.key,
      cert: tls.certificateChain,
      minVersion: 'TLSv1.2',
      requestCert: asksForCertificates,
      rejectUnauthorized: false,
      ALPNProtocols: ['http/1.1'],
      handshakeTimeout: 30_000,
      maxHeaderSize: 32 * 1024,
      headersTimeout: 60_000,
      // Uploads take hours; StallWatch ends those that stand still.
      requestTimeout: 0,
      // Above the 900 s for which pyVmomi keeps connections in its pool: it is never the server that hangs up first.
      keepAliveTimeout: 960_000,
      noDelay: true,
    },
    onRequest,
  );
  server.maxConnections = connectionLimit;
  server.maxHeadersCount = 100;
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  server.on('clientError', (error, socket) => {
    if (!socket.writable || systemCode(error) === 'ECONNRESET') socket.destroy();
    else socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
  });
  return server;
}

/** Resolves with the port once the server accepts connections. Throws `ServerError` `address-unavailable`. */
export async function listen(server: Server, { host, port }: ListenAddress): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    const fail = (cause: Error) => reject(listenFailure(cause, host, port));
    server.once('error', fail);
    server.listen({ host, port, backlog: 1_024 }, () => {
      server.off('error', fail);
      resolve();
    });
  });
  return (server.address() as AddressInfo).port;
}

function listenFailure(cause: Error, host: string, port: number): ServerError {
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: 'another process listens there; choose another port with --listen',
    EACCES: 'this user may not listen there; choose a port above 1023 with --listen',
    EADDRNOTAVAIL: 'this machine does not have that address; choose another with --listen',
    ENOTFOUND: 'no address is known for that name; give an IP address with --listen',
  };
  const reason = reasons[systemCode(cause) ?? ''] ?? cause.message;
  return new ServerError('address-unavailable', `${formatAddress(host, port)}: ${reason}.`, { cause });
}
