import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

interface Exchange {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  /** When it must have arrived whole. */
  readonly bodyUntil: number;
  /** When bytes last moved, and how many had by then. */
  since: number;
  read: number;
  written: number;
}

export interface StallWatchOptions {
  /** Milliseconds between looks. */
  readonly interval?: number;
  /** Milliseconds that a body may stand still. */
  readonly timeout?: number;
}

/**
 * Ends connections whose request body or answer stands still because of the client. It takes the place of Node's
 * `requestTimeout`, which would end every long upload; a client that waits for an answer may wait for ever.
 */
export class StallWatch {
  readonly #exchanges = new Map<Socket, Exchange>();
  readonly #timeout: number;
  readonly #timer: NodeJS.Timeout;

  constructor({ interval = 15_000, timeout = 120_000 }: StallWatchOptions = {}) {
    this.#timeout = timeout;
    this.#timer = setInterval(() => this.#look(Date.now()), interval).unref();
  }

  /** Follows the exchange that begins on a connection, in place of the one before. `bodyTime` in milliseconds. */
  begin(incoming: IncomingMessage, outgoing: ServerResponse, bodyTime = Number.POSITIVE_INFINITY): void {
    const { socket } = incoming;
    const known = this.#exchanges.has(socket);
    const { bytesRead: read, bytesWritten: written } = socket;
    const since = Date.now();
    this.#exchanges.set(socket, { incoming, outgoing, bodyUntil: since + bodyTime, since, read, written });
    if (!known) socket.once('close', () => this.#exchanges.delete(socket));
  }

  close(): void {
    clearInterval(this.#timer);
    this.#exchanges.clear();
  }

  #look(now: number): void {
    for (const [socket, exchange] of this.#exchanges) {
      const { incoming, outgoing } = exchange;
      // With bytes of the body waiting here, it is this side that is slow.
      const waitsForBody = !incoming.complete && incoming.readableLength === 0;
      const waitsForReader = outgoing.writableLength > 0;
      const moved = socket.bytesRead !== exchange.read || socket.bytesWritten !== exchange.written;
      if (waitsForBody && now > exchange.bodyUntil) {
        // Bytes that come one at a time are no body either.
        socket.destroy();
      } else if (moved || !(waitsForBody || waitsForReader)) {
        exchange.since = now;
        exchange.read = socket.bytesRead;
        exchange.written = socket.bytesWritten;
      } else if (now - exchange.since > this.#timeout) {
        socket.destroy();
      }
    }
  }
}
