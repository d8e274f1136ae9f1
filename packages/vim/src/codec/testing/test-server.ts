import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type HttpHandler, handleNodeRequest } from '../node-http.ts';
import { testCertificate, testKey } from './certificate.ts';

export interface TestServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
}

/** Asks clients for a certificate, and takes any or none. */
const asking = { requestCert: true, rejectUnauthorized: false };

/** Serves `handler` over HTTPS on a free port of the loopback interface. */
export async function serveForTest(handler: HttpHandler): Promise<TestServer> {
  const server = createServer({ key: testKey, cert: testCertificate, ...asking }, (incoming, outgoing) => {
    void handleNodeRequest(handler, incoming, outgoing);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `https://127.0.0.1:${port}/sdk`,
    port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
