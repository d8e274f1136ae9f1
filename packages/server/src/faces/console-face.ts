import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { WebSocketServer } from 'ws';
import { bridgeConsole, connectToEngine } from './console-bridge.ts';

/** What a ticket opens. */
export interface ConsoleTarget {
  readonly kind: 'vnc' | 'serial';
  /** Unix socket of the engine. */
  readonly socketPath: string;
  readonly machineName: string;
}

export interface ConsoleFaceOptions {
  /** Uses a ticket up; undefined when it is not good. */
  readonly redeem: (ticket: string) => ConsoleTarget | undefined;
  readonly logger: Logger;
}

/** Most viewers at a time. */
const viewerLimit = 256;

/**
 * Consoles of machines at `/ticket/<ticket>` as WebSocket (RFC 6455), subprotocol `binary`: RFB or the bytes of a serial
 * port. The ticket is a secret that is good once, so a page of another origin can do nothing here.
 */
export class ConsoleFace {
  readonly #options: ConsoleFaceOptions;
  readonly #server = new WebSocketServer({
    noServer: true,
    clientTracking: true,
    maxPayload: 1 << 20,
    perMessageDeflate: false,
    handleProtocols: (offered) => (offered.has('binary') ? 'binary' : false),
  });

  constructor(options: ConsoleFaceOptions) {
    this.#options = options;
  }

  /** Answers a request to change the protocol. */
  handleUpgrade(incoming: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    const ticket = /^\/ticket\/([0-9A-Za-z-]{16,64})(?:\?|$)/.exec(incoming.url ?? '')?.[1];
    if (ticket === undefined) {
      refuse(socket, '404 Not Found', 'There is no console here.');
      return;
    }
    if (this.#server.clients.size >= viewerLimit) {
      refuse(socket, '503 Service Unavailable', 'Too many consoles are open.');
      return;
    }
    const target = this.#options.redeem(ticket);
    if (target === undefined) {
      refuse(socket, '403 Forbidden', 'The ticket is not good: it was used, or it is older than a minute.');
      return;
    }
    this.#open(target, incoming, socket, head).catch((error: unknown) => {
      this.#options.logger.warn({ machine: target.machineName, err: error }, 'a console could not be opened');
      refuse(socket, '502 Bad Gateway', 'The console of the machine does not answer.');
    });
  }

  close(): void {
    for (const viewer of this.#server.clients) viewer.close(1001, 'The server is being stopped.');
    this.#server.close();
  }

  async #open(target: ConsoleTarget, incoming: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const engine = await connectToEngine(target.socketPath);
    engine.pause();
    if (socket.destroyed) {
      engine.destroy();
      return;
    }
    engine.once('error', () => engine.destroy());
    // Where the handshake fails, the socket ends without a viewer.
    const abandon = () => engine.destroy();
    socket.once('close', abandon);
    this.#server.handleUpgrade(incoming, socket, head, (viewer) => {
      socket.off('close', abandon);
      const { machineName: machine, kind } = target;
      this.#options.logger.info({ machine, kind }, 'a console was opened');
      void bridgeConsole(engine, viewer).then(() => {
        this.#options.logger.info({ machine, kind }, 'a console was closed');
      });
      engine.resume();
    });
  }
}

function refuse(socket: Duplex, status: string, message: string): void {
  if (socket.destroyed) return;
  const body = `${message}\n`;
  const lines = ['connection: close', 'content-type: text/plain', `content-length: ${Buffer.byteLength(body)}`];
  socket.end(`HTTP/1.1 ${status}\r\n${lines.join('\r\n')}\r\n\r\n${body}`);
}
