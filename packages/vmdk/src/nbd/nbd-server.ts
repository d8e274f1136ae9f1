import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { VmdkError } from '../errors.ts';
import type { NbdExport, NbdExports } from './nbd-export.ts';
import { ServerConnection } from './server-connection.ts';
import { type Chosen, ServerHandshake } from './server-handshake.ts';
import { listenUnix } from './unix-listener.ts';
import { Wire } from './wire.ts';

/** The server's key and certificate. With `requestCert` clients need one that `ca` signed. */
export type NbdServerTls = Pick<TlsOptions, 'ca' | 'cert' | 'key' | 'requestCert' | 'ciphers' | 'pskCallback'>;

export interface NbdServerOptions {
  readonly exports: NbdExports;
  /** Asked at each connection. With it no client goes on without TLS. */
  readonly tls?: () => NbdServerTls;
  /** Clients at a time. Default 32. Each may hold some 10 MiB of memory. */
  readonly maximumConnections?: number;
  /** Time that a client has to choose its export, in seconds. Default 15. */
  readonly handshakeSeconds?: number;
  /** Told why a connection ended, unless the client just left. */
  readonly onFailure?: (error: unknown) => void;
}

/** Time for the last bytes to leave. */
const farewellMilliseconds = 5000;

interface Client {
  readonly end: () => void;
  readonly served: Promise<void>;
  exported?: NbdExport;
}

/**
 * Serves disks to NBD clients. Listen with `listenUnix` or `listenTcp`, or hand sockets to `accept`. It closes no disk.
 */
export class NbdServer {
  readonly #options: NbdServerOptions;
  readonly #listeners: { readonly server: Server; readonly close: () => Promise<void> }[] = [];
  readonly #clients = new Set<Client>();
  #closed = false;

  constructor(options: NbdServerOptions) {
    this.#options = options;
  }

  /** Clients that are connected, of one export or of all. */
  connections(exported?: NbdExport): number {
    if (exported === undefined) return this.#clients.size;
    return [...this.#clients].filter((client) => client.exported === exported).length;
  }

  /** Listens on a socket of mode 0600. One that nobody answers any more is replaced; `exists` where somebody does. */
  async listenUnix(socketPath: string): Promise<void> {
    const server = this.#server();
    this.#listeners.push({ server, close: await listenUnix(server, socketPath) });
  }

  /** Listens on TCP, with TLS; without it on a loopback address only. Port 0: any free one. The port. */
  async listenTcp(host: string, port: number): Promise<number> {
    if (this.#options.tls === undefined && !['127.0.0.1', '::1', 'localhost'].includes(host)) {
      throw new VmdkError('nbd-plain', { file: `${host}:${port}`, reason: 'only loopback addresses go without TLS' });
    }
    const server = this.#server();
    server.listen({ host, port });
    try {
      await once(server, 'listening');
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new VmdkError('nbd-listen', { file: `${host}:${port}`, reason, cause });
    }
    this.#listeners.push({ server, close: async () => void server.close() });
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : port;
  }

  /** Serves one client. */
  accept(socket: Socket): void {
    if (this.#closed || this.#clients.size >= (this.#options.maximumConnections ?? 32)) {
      socket.on('error', () => undefined);
      socket.destroy();
      return;
    }
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 60_000);
    const state: { current: Socket } = { current: socket };
    const { promise: served, resolve } = Promise.withResolvers<void>();
    const client: Client = { end: () => state.current.destroy(), served };
    this.#clients.add(client);
    this.#serve(client, state)
      .catch((error: unknown) => {
        // One that leaves at whatever moment has done nothing wrong.
        if (!(error instanceof VmdkError && error.code === 'nbd-closed')) this.#options.onFailure?.(error);
      })
      .finally(() => {
        state.current.destroy();
        this.#clients.delete(client);
        resolve();
      });
  }

  /** Ends the connections of an export, and waits until nothing uses its disk. */
  async end(exported: NbdExport): Promise<void> {
    await this.#end([...this.#clients].filter((client) => client.exported === exported));
  }

  /** Ends everything, and waits until no disk is used. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#listeners.splice(0).map(({ close }) => close()));
    await this.#end([...this.#clients]);
  }

  async #end(clients: readonly Client[]): Promise<void> {
    for (const { end } of clients) end();
    await Promise.all(clients.map(({ served }) => served));
  }

  #server(): Server {
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => this.accept(socket));
    server.on('error', (error) => this.#options.onFailure?.(error));
    return server;
  }

  async #serve(client: Client, state: { current: Socket }): Promise<void> {
    const name = clientName(state.current);
    let late = false;
    const timer = setTimeout(
      () => {
        late = true;
        state.current.destroy();
      },
      (this.#options.handshakeSeconds ?? 15) * 1000,
    );
    let wire: Wire;
    let chosen: Chosen | undefined;
    try {
      wire = new Wire(state.current, name);
      chosen = await this.#choose(wire, state, name, (secure) => {
        wire = secure;
      });
    } catch (error) {
      if (late) throw new VmdkError('nbd-protocol', { file: name, reason: 'it did not choose an export in time' });
      throw error;
    } finally {
      clearTimeout(timer);
    }
    if (chosen !== undefined) {
      client.exported = chosen.exported;
      try {
        await new ServerConnection(wire, chosen, name).serve();
      } finally {
        // The client is told of the end only now: who sees it has let go of the disk.
        delete client.exported;
      }
    }
    await sent(state.current);
  }

  async #choose(
    wire: Wire,
    state: { current: Socket },
    name: string,
    use: (wire: Wire) => void,
  ): Promise<Chosen | undefined> {
    const { exports, tls } = this.#options;
    const plain = new ServerHandshake(wire, { exports, tls: tls === undefined ? 'none' : 'offered', name });
    await plain.greet();
    const outcome = await plain.negotiate();
    if (outcome !== 'tls' || tls === undefined) return outcome === 'tls' ? undefined : outcome;
    const secure = await secured(wire.release() as Socket, tls(), name);
    state.current = secure;
    const encrypted = new Wire(secure, name);
    use(encrypted);
    const handshake = plain.continueOn(encrypted);
    const chosen = await handshake.negotiate();
    return chosen === 'tls' ? undefined : chosen;
  }
}

/** The encrypted side of a socket, once its handshake is done. */
function secured(socket: Socket, { requestCert = false, ...material }: NbdServerTls, name: string): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const failed = (cause?: Error) => {
    const reason = `its TLS failed: ${cause?.message ?? 'it left'}`;
    reject(new VmdkError('nbd-protocol', { file: name, reason, ...(cause === undefined ? {} : { cause }) }));
  };
  const options = { minVersion: 'TLSv1.2', ...material, requestCert, rejectUnauthorized: requestCert } as const;
  // It does not listen: it is there for its handshake.
  const server = createTlsServer(options, resolve).on('tlsClientError', failed);
  socket.once('close', () => failed());
  server.emit('connection', socket);
  return promise;
}

/** Ends a connection when what was written is on its way, or its client does not take it. */
async function sent(socket: Socket): Promise<void> {
  if (socket.destroyed) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.once('close', resolve);
  socket.end(resolve);
  await Promise.race([promise, sleep(farewellMilliseconds, undefined, { ref: false })]);
}

function clientName(socket: Socket): string {
  return socket.remoteAddress === undefined ? 'NBD client' : `NBD client ${socket.remoteAddress}`;
}
