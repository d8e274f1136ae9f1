import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type HttpHandler, handleNodeRequest } from '@hypostyle/vim';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** The body as JSON; undefined where there is none. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look at what they expect.
  readonly json: any;
}

export interface Sent {
  readonly token?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Serves a handler on a port of its own, and asks it as a client does. */
export class HttpClient implements AsyncDisposable {
  readonly #server;

  private constructor(handler: HttpHandler) {
    // A test may compute for longer than a server keeps an idle connection, and would then ask over one that just ended.
    this.#server = createServer(
      { keepAliveTimeout: 0 },
      (incoming, outgoing) => void handleNodeRequest(handler, incoming, outgoing),
    );
  }

  static async open(handler: HttpHandler): Promise<HttpClient> {
    const client = new HttpClient(handler);
    client.#server.listen(0, '127.0.0.1');
    await once(client.#server, 'listening');
    return client;
  }

  async send(method: string, path: string, { token, body, headers = {} }: Sent = {}): Promise<Answer> {
    const outgoing = request({
      port: (this.#server.address() as AddressInfo).port,
      host: '127.0.0.1',
      method,
      path,
      headers: { ...(token === undefined ? {} : { 'vmware-api-session-id': token }), ...headers },
    });
    const answered = once(outgoing, 'response') as Promise<[import('node:http').IncomingMessage]>;
    if (body === undefined) outgoing.end();
    else outgoing.end(typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body));
    const [incoming] = await answered;
    const text = Buffer.concat((await incoming.toArray()) as Buffer[]).toString();
    const isJson = incoming.headers['content-type']?.includes('json') === true;
    return {
      status: incoming.statusCode ?? 0,
      headers: incoming.headers,
      text,
      json: isJson ? JSON.parse(text) : undefined,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
