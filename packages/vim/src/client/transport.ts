import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { nextTurn, turnEnd } from '../runtime/event-loop-turn.ts';
import { ClientError } from './errors.ts';

/** Whom to trust. Without any of it, the system's authorities. */
export interface ClientTls {
  /** Certificates in PEM that sign the server's. */
  readonly ca?: string | readonly string[];
  /** SHA-256 or SHA-1 of the server's certificate in hexadecimal, colons or not: that certificate alone is trusted. */
  readonly fingerprint?: string;
  /** Trusts anybody: for tests and first contacts. */
  readonly insecure?: boolean;
  /** In PEM, shown to a server that asks who the client is: for `LoginExtensionByCertificate`. */
  readonly certificate?: string;
  /** Of `certificate`, in PEM. */
  readonly privateKey?: string;
}

export interface TransportOptions {
  readonly url: URL;
  readonly tls: ClientTls;
  /** Largest answer in bytes. */
  readonly responseLimit: number;
  /** Milliseconds without a byte after which a call is given up. */
  readonly timeout: number;
  /** Who calls, for the server's sessions and events. */
  readonly userAgent: string;
}

export interface TransportRequest {
  readonly path: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly signal: AbortSignal | undefined;
}

export interface TransportAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

/** HTTP to one server, over connections that are kept open. */
export class Transport {
  readonly #options: TransportOptions;
  readonly #agent: Agent;

  constructor(options: TransportOptions) {
    this.#options = options;
    this.#agent = options.url.protocol === 'http:' ? new Agent({ keepAlive: true }) : secureAgent(options.tls);
  }

  /** Sends a request and hands the answer's body on as text. Throws ClientError, and the signal's reason. */
  async send(request: TransportRequest, take: (text: string) => void): Promise<TransportAnswer> {
    request.signal?.throwIfAborted();
    try {
      const response = await this.#open(request);
      const decoder = new TextDecoder();
      let size = 0;
      for await (const chunk of response as AsyncIterable<Buffer>) {
        size += chunk.length;
        if (size > this.#options.responseLimit) throw new ClientError('too-large');
        // Answers are as long as the server makes them, and many may come in one round of the event loop.
        if (performance.now() >= turnEnd()) await nextTurn();
        take(decoder.decode(chunk, { stream: true }));
      }
      take(decoder.decode());
      return { status: response.statusCode ?? 0, headers: response.headers };
    } catch (error) {
      request.signal?.throwIfAborted();
      if (error instanceof Error && 'code' in error && !(error instanceof ClientError)) {
        throw new ClientError('connection', error.message, { cause: error });
      }
      throw error;
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  #open({ path, method, headers, body, signal }: TransportRequest): Promise<IncomingMessage> {
    const { url, timeout } = this.#options;
    return new Promise((resolve, reject) => {
      const options = {
        agent: this.#agent,
        host: url.hostname.replace(/^\[|\]$/g, ''),
        port: url.port === '' ? undefined : Number(url.port),
        path,
        method,
        headers: { 'user-agent': this.#options.userAgent, ...headers, 'content-length': Buffer.byteLength(body) },
        ...(signal === undefined ? {} : { signal, giveUp: signal }),
        timeout,
      };
      const request: ClientRequest =
        url.protocol === 'http:' ? httpRequest(options, resolve) : httpsRequest(options, resolve);
      request.on('error', reject);
      request.on('timeout', () => request.destroy(new ClientError('timeout')));
      request.end(body);
    });
  }
}

/** Connections to servers that are trusted so, kept open. */
export function secureAgent({ ca, fingerprint, insecure = false, certificate, privateKey }: ClientTls): HttpsAgent {
  const own: OwnCertificate = {
    ...(certificate === undefined ? {} : { cert: certificate }),
    ...(privateKey === undefined ? {} : { key: privateKey }),
  };
  if (fingerprint === undefined) {
    const trusted = ca === undefined ? {} : { ca: typeof ca === 'string' ? ca : [...ca] };
    return new HttpsAgent({ keepAlive: true, rejectUnauthorized: !insecure, ...trusted, ...own });
  }
  return new PinnedAgent(fingerprint, own);
}

interface OwnCertificate {
  readonly cert?: string;
  readonly key?: string;
}

/** Hands a connection over only once its certificate was seen: nothing is sent to anybody else, no password above all. */
class PinnedAgent extends HttpsAgent {
  readonly #fingerprint: string;

  constructor(fingerprint: string, own: OwnCertificate) {
    // A resumed session would not show its certificate again.
    super({ keepAlive: true, maxCachedSessions: 0, ...own });
    this.#fingerprint = plain(fingerprint);
  }

  override createConnection(
    { giveUp, ...options }: ConnectionOptions & { readonly giveUp?: AbortSignal },
    callback?: (error: Error | null, socket: TLSSocket) => void,
  ): undefined {
    const socket = connect({ ...options, rejectUnauthorized: false });
    const failed = (error: Error) => callback?.(error, socket);
    // A request that is given up before it has a socket would wait for this one all the same. An agent keeps `signal` to itself.
    const end = () => socket.destroy(new ClientError('connection'));
    if (giveUp?.aborted) end();
    giveUp?.addEventListener('abort', end, { once: true });
    for (const event of ['secureConnect', 'close']) socket.once(event, () => giveUp?.removeEventListener('abort', end));
    socket.once('error', failed);
    socket.once('secureConnect', () => {
      const { fingerprint = '', fingerprint256 = '' } = socket.getPeerCertificate();
      if (this.#fingerprint !== plain(fingerprint256) && this.#fingerprint !== plain(fingerprint)) {
        socket.destroy(new ClientError('certificate'));
        return;
      }
      socket.off('error', failed);
      callback?.(null, socket);
    });
    return undefined;
  }
}

function plain(fingerprint: string): string {
  return fingerprint.replaceAll(':', '').toLowerCase();
}
