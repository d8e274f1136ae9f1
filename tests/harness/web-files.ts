import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import { request } from 'node:https';
import { pipeline } from 'node:stream/promises';
import type { Client } from '@hypostyle/vim';
import type { Daemon } from './daemon.ts';

export interface WebAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface WebRequestOptions {
  readonly method?: string;
  readonly headers?: OutgoingHttpHeaders;
  /** What is sent: bytes, or a file that is read as it goes. */
  readonly body?: Buffer | { readonly path: string };
}

/** One request over HTTPS to a server of any certificate; the whole answer. */
export async function askWeb(url: string, options: WebRequestOptions = {}): Promise<WebAnswer> {
  const { method = 'GET', body } = options;
  const length = body === undefined ? 0 : Buffer.isBuffer(body) ? body.length : (await stat(body.path)).size;
  const headers = { ...options.headers, ...(body === undefined ? {} : { 'content-length': length }) };
  const outgoing = request(url, { method, headers, rejectUnauthorized: false });
  const answer = new Promise<WebAnswer>((resolve, reject) => {
    outgoing.on('error', reject).on('response', (incoming) => {
      const parts: Buffer[] = [];
      incoming.on('data', (part: Buffer) => parts.push(part)).on('error', reject);
      incoming.on('end', () =>
        resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: Buffer.concat(parts) }),
      );
    });
  });
  if (body === undefined || Buffer.isBuffer(body)) outgoing.end(body);
  // A server that refuses may close before it has all: what it answered says more.
  else await pipeline(createReadStream(body.path), outgoing).catch(() => {});
  return answer;
}

/** Files of a datastore at `/folder` of a server, each request by a ticket of its own, as govmomi asks. */
export class DatastoreFiles {
  readonly #client: Client;
  readonly #daemon: Daemon;
  readonly #datastore: string;

  constructor(client: Client, daemon: Daemon, datastore = 'datastore1') {
    this.#client = client;
    this.#daemon = daemon;
    this.#datastore = datastore;
  }

  async ask(path: string, options: WebRequestOptions = {}): Promise<WebAnswer> {
    const { method = 'GET' } = options;
    const dcPath = this.#daemon.mode === 'center' ? 'Datacenter' : 'ha-datacenter';
    const place = path.split('/').map(encodeURIComponent).join('/');
    const url = `${this.#daemon.url}/folder/${place}?${new URLSearchParams({ dcPath, dsName: this.#datastore })}`;
    const { sessionManager } = await this.#client.content();
    if (sessionManager === undefined) throw new Error('there is no session manager');
    const spec = {
      _typeName: 'SessionManagerHttpServiceRequestSpec',
      method: `http${method[0]}${method.slice(1).toLowerCase()}`,
      url,
    } as const;
    const { id } = await this.#client.call(sessionManager, 'AcquireGenericServiceTicket', { spec });
    return askWeb(url, { ...options, headers: { ...options.headers, cookie: `vmware_cgi_ticket=${id}` } });
  }

  /** Bytes of a file, or of what it has in a stretch. Rejects with what the server says. */
  async read(path: string, stretch?: { readonly offset: number; readonly length: number }): Promise<Buffer> {
    const range = stretch && { range: `bytes=${stretch.offset}-${stretch.offset + stretch.length - 1}` };
    const { status, body } = await this.ask(path, range === undefined ? {} : { headers: range });
    if (status !== (stretch === undefined ? 200 : 206)) throw new Error(`${path}: ${status} ${body.subarray(0, 500)}`);
    return body;
  }
}
