import { createServer } from 'node:net';
import type { ListenAddress } from '@hypostyle/server';

/** Where the host of a center answers unless told: beside the center's own 8443. */
export const usualHostPort = 8444;

/** The usual port of a center's host, or any where that is taken or the center itself takes any. */
export async function hostAddressBeside(center: ListenAddress): Promise<ListenAddress> {
  const { host, port } = center;
  const usual = port !== 0 && port !== usualHostPort && (await isFree({ host, port: usualHostPort }));
  return { host, port: usual ? usualHostPort : 0 };
}

function isFree({ host, port }: ListenAddress): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
