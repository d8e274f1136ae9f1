import type { Server } from 'node:https';
import type { Logger } from 'pino';
import { listen, makeHttpsServer } from '../http/https-listener.ts';
import type { ListenAddress } from '../http/listen-address.ts';
import { routeRequests } from '../http/request-router.ts';
import { StallWatch } from '../http/stall-watch.ts';
import type { ServedEndpoint } from '../served-endpoint.ts';
import type { TlsMaterial } from '../tls/tls-material.ts';
import { ConsoleFace } from './console-face.ts';
import { healthOf } from './health.ts';
import { makePages } from './pages.ts';

export interface HttpsFacesOptions {
  readonly endpoint: ServedEndpoint;
  readonly tls: TlsMaterial;
  readonly version: string;
  readonly logger: Logger;
  /** Whether clients may show certificates: centers sign in to hosts by theirs. */
  readonly asksForCertificates?: boolean;
}

/** Milliseconds that answers under way have at the end. */
const farewell = 3_000;

/** Every HTTPS face of a host or a center, on one port. */
export class HttpsFaces {
  readonly #pages: ReturnType<typeof makePages>;
  readonly #stalls = new StallWatch();
  readonly #consoles: ConsoleFace;

  constructor({ endpoint, tls, version, logger, asksForCertificates = false }: HttpsFacesOptions) {
    const startedAt = Date.now();
    this.#consoles = new ConsoleFace({ redeem: (ticket) => endpoint.redeemConsole(ticket), logger });
    this.#pages = makePages({
      version,
      health: () =>
        healthOf({ version, startedAt, machines: endpoint.machineCounts(), hypervisor: endpoint.hypervisorInfo }),
      serve: (pages) =>
        makeHttpsServer(tls, routeRequests({ endpoint, logger, stalls: this.#stalls, pages }), { asksForCertificates }),
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

  /** Accepts nothing more. What clients wait for is the endpoint's to end now; `end` comes after that. */
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
