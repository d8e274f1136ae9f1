import type { Server } from 'node:https';
import type { Logger } from 'pino';
import { type ListenAddress, listen, makeHttpsServer } from '../http/https-listener.ts';
import { routeRequests } from '../http/request-router.ts';
import { StallWatch } from '../http/stall-watch.ts';
import type { ServedHost } from '../served-host.ts';
import type { TlsMaterial } from '../tls/tls-material.ts';
import { ConsoleFace } from './console-face.ts';
import { healthOf } from './health.ts';
import { makePages } from './pages.ts';

export interface HttpsFacesOptions {
  readonly host: ServedHost;
  readonly tls: TlsMaterial;
  readonly version: string;
  readonly logger: Logger;
}

/** Milliseconds that answers under way have at the end. */
const farewell = 3_000;

/** Every HTTPS face of a host, on one port. */
export class HttpsFaces {
  readonly #pages: ReturnType<typeof makePages>;
  readonly #stalls = new StallWatch();
  readonly #consoles: ConsoleFace;

  constructor({ host, tls, version, logger }: HttpsFacesOptions) {
    const startedAt = Date.now();
    this.#consoles = new ConsoleFace({ redeem: (ticket) => host.redeemConsole(ticket), logger });
    this.#pages = makePages({
      version,
      health: () => healthOf({ version, startedAt, machines: host.machineCounts(), hypervisor: host.hypervisorInfo }),
      serve: (pages) => makeHttpsServer(tls, routeRequests({ host, logger, stalls: this.#stalls, pages })),
      onError: (url, error) => logger.error({ path: url.split('?', 1)[0], err: error }, 'a page failed'),
    });
    this.#server.on('upgrade', (incoming, socket, head) => this.#consoles.handleUpgrade(incoming, socket, head));
  }

  get #server(): Server {
    return this.#pages.server;
  }

  /** Resolves with the port. Throws `ServerError` `address-unavailable`. */
  async listen(address: ListenAddress): Promise<number> {
    await this.#pages.ready();
    return listen(this.#server, address);
  }

  /** New connections get this certificate. */
  renewCertificate(tls: TlsMaterial): void {
    this.#server.setSecureContext({ key: tls.key, cert: tls.certificateChain, minVersion: 'TLSv1.2' });
  }

  /** Accepts nothing more. What clients wait for is the host's to end now; `end` comes after that. */
  stop(): void {
    this.#consoles.close();
    if (this.#server.listening) this.#server.close();
    this.#server.closeIdleConnections();
  }

  /** Ends every connection: the idle ones at once, the others once they have their answer or a few seconds later. */
  async end(): Promise<void> {
    this.#server.closeIdleConnections();
    if ((await openConnections(this.#server)) > 0) {
      const hurry = setTimeout(() => this.#server.closeAllConnections(), farewell);
      await new Promise((resolve) => this.#server.once('close', resolve));
      clearTimeout(hurry);
    }
    this.#stalls.close();
    await this.#pages.close();
  }
}

function openConnections(server: Server): Promise<number> {
  return new Promise((resolve) => server.getConnections((error, count) => resolve(error ? 0 : count)));
}
