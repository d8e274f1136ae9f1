import type { IncomingMessage, ServerResponse } from 'node:http';
import { TLSSocket } from 'node:tls';
import { requestTurn } from '../runtime/event-loop-turn.ts';
import type { HttpHeaders, HttpRequest, HttpResponder, HttpSink } from './http-exchange.ts';

/** What answers requests: the management endpoint, or one of its parts. */
export interface HttpHandler {
  handle(request: HttpRequest, respond: HttpResponder): Promise<void>;
}

/** Bodies up to this many bytes are handed over whole. */
const wholeBody = 64 * 1024;

/** Answers a request of node:http or node:https by `handler`. */
export async function handleNodeRequest(
  handler: HttpHandler,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const body = await readBody(incoming);
  if (body === undefined) return;
  const turn = requestTurn();
  if (turn !== undefined) await turn;
  await handler.handle(new NodeRequest(incoming, outgoing, body), new NodeResponder(outgoing));
  // What the handler left unread, so that the connection can go on.
  if (!(body instanceof Uint8Array)) incoming.resume();
}

/** The body whole when it is small, otherwise as it comes; undefined when the client went away. */
function readBody(incoming: IncomingMessage): Promise<HttpRequest['body'] | undefined> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const settle = (body: HttpRequest['body'] | undefined) => {
      incoming.off('data', take).off('end', finish).off('close', leave).off('error', leave);
      resolve(body);
    };
    const take = (chunk: Buffer) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size <= wholeBody) return;
      incoming.pause();
      settle(rest(chunks, incoming));
    };
    const finish = () => settle(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks));
    const leave = () => settle(undefined);
    incoming.on('data', take).on('end', finish).on('close', leave).on('error', leave);
  });
}

async function* rest(begun: readonly Buffer[], incoming: IncomingMessage): AsyncGenerator<Uint8Array, void, void> {
  yield* begun;
  // Not destroyed on return: the socket still has to carry the answer.
  yield* incoming.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
}

class NodeRequest implements HttpRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: HttpRequest['headers'];
  readonly body: HttpRequest['body'];
  readonly clientAddress: string;
  readonly #incoming: IncomingMessage;
  readonly #outgoing: ServerResponse;
  #signal: AbortSignal | undefined;

  constructor(incoming: IncomingMessage, outgoing: ServerResponse, body: HttpRequest['body']) {
    this.method = incoming.method ?? 'GET';
    this.url = incoming.url ?? '/';
    this.headers = incoming.headers;
    this.body = body;
    this.clientAddress = incoming.socket.remoteAddress ?? '';
    this.#incoming = incoming;
    this.#outgoing = outgoing;
  }

  get clientCertificate(): Uint8Array | undefined {
    const { socket } = this.#incoming;
    return socket instanceof TLSSocket ? socket.getPeerX509Certificate()?.raw : undefined;
  }

  get signal(): AbortSignal {
    if (this.#signal === undefined) {
      const controller = new AbortController();
      this.#signal = controller.signal;
      if (this.#outgoing.destroyed) controller.abort();
      this.#outgoing.once('close', () => {
        if (!this.#outgoing.writableFinished) controller.abort();
      });
    }
    return this.#signal;
  }
}

class NodeResponder implements HttpResponder {
  readonly #outgoing: ServerResponse;

  constructor(outgoing: ServerResponse) {
    this.#outgoing = outgoing;
  }

  send(status: number, headers: HttpHeaders, body: string | Uint8Array): void {
    if (this.#outgoing.destroyed) return;
    const length = typeof body === 'string' ? Buffer.byteLength(body) : body.byteLength;
    this.#outgoing.writeHead(status, { ...headers, 'content-length': length });
    this.#outgoing.end(body);
  }

  open(status: number, headers: HttpHeaders): HttpSink {
    const outgoing = this.#outgoing;
    if (!outgoing.destroyed) outgoing.writeHead(status, headers);
    return {
      write: (chunk) => outgoing.destroyed || outgoing.write(chunk),
      drain: () => drained(outgoing),
      end: () => void outgoing.end(),
      abort: () => void outgoing.destroy(),
    };
  }
}

function drained(outgoing: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    if (outgoing.destroyed || !outgoing.writableNeedDrain) {
      resolve();
      return;
    }
    const done = () => {
      outgoing.off('drain', done).off('close', done);
      resolve();
    };
    outgoing.on('drain', done).on('close', done);
  });
}
