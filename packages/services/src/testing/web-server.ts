import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

/** For tests alone: nobody believes its certificate. */
export const testKey = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgE7i+bsmd6rCjFWQn
3UR34FFNfhi7Ka8WOIyGjve0TcqhRANCAATGl0Gq94z4P9zLAXeQazw4jjvdTx6x
XscDjVEBuKPrJdrV9p0J/lhC8xITMljBXRRfUiNPBVJ3KSbDOp8EC/uG
-----END PRIVATE KEY-----
`;
export const testCertificate = `-----BEGIN CERTIFICATE-----
MIIBmzCCAUGgAwIBAgIUOXa6zVhRNOAwUqpBkzw1StRRp1kwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJcHVsbC50ZXN0MCAXDTI2MTEyMTIyMjgxNFoYDzIxMjYxMDI4
MjIyODE0WjAUMRIwEAYDVQQDDAlwdWxsLnRlc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAATGl0Gq94z4P9zLAXeQazw4jjvdTx6xXscDjVEBuKPrJdrV9p0J/lhC
8xITMljBXRRfUiNPBVJ3KSbDOp8EC/uGo28wbTAdBgNVHQ4EFgQU2zWbEVRE1VeK
eY5lUix8WHd5QycwHwYDVR0jBBgwFoAU2zWbEVRE1VeKeY5lUix8WHd5QycwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDSAAwRQIhAPvx3+uljFoHt89jG/UaJplR1uw1srvKwX8h8tTN3RRKAiBJ
S6RlXdAlWAtAKiXiPz9O/UO57PvkNwGYOse7th8bEw==
-----END CERTIFICATE-----
`;

export interface WebServer {
  /** Such as `http://127.0.0.1:1234`. */
  readonly url: string;
}

/** The SHA-1 thumbprint of `webServer`'s certificate. */
export const thumbprint = new X509Certificate(testCertificate).fingerprint;
export const thumbprint256 = new X509Certificate(testCertificate).fingerprint256;

/** A server of the test's own, gone after it, with every connection. */
export async function webServer(
  test: TestContext,
  answer: RequestListener,
  { tls = false }: { readonly tls?: boolean } = {},
): Promise<WebServer> {
  const server = tls ? createTlsServer({ key: testKey, cert: testCertificate }, answer) : createServer(answer);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  test.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http${tls ? 's' : ''}://127.0.0.1:${(server.address() as AddressInfo).port}` };
}
