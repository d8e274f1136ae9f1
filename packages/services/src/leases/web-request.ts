import { get as getHttp, type IncomingMessage } from 'node:http';
import { get as getHttps } from 'node:https';
import { isIP, type LookupFunction, type Socket } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { fault, type HttpNfcLeaseSourceFile, VimFault } from '@hypostyle/vim';
import { faults } from '../errors.ts';
import { farLookup, isNearby, NearbyAddress } from './far-lookup.ts';

const mostRedirects = 5;
/** Milliseconds in which a server must begin to answer, and in which it must go on. */
const patience = 30_000;

export interface WebOptions {
  readonly signal: AbortSignal;
  /** Milliseconds without a byte after which a server is given up. Default 30 s. */
  readonly patience?: number;
  /** Addresses of this computer alone and of its link are asked too. Default false. */
  readonly nearby?: boolean;
}

/** A good answer. */
export interface WebAnswer {
  /** What was asked for, without passwords and secrets, for error messages. */
  readonly shown: string;
  /** Bytes that the server announced. */
  readonly length?: number;
  /** Ends with HttpFault where it is cut off or stands still. */
  readonly body: AsyncIterable<Uint8Array>;
  close(): void;
}

/** Headers of a client that are the connection's own, or would change what comes. */
const ownHeaders =
  /^(host|connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|expect|content-.*|accept-encoding|digest|if-match|range)$/i;

/**
 * Asks for the URL of a source file of a pull. The client's headers go to the server that it named, and to no other that
 * this one leads to. Throws HttpFault, and SSLVerifyFault with the certificate that was found.
 */
export async function openWeb(
  file: HttpNfcLeaseSourceFile,
  { signal, patience: limit = patience, nearby = false }: WebOptions,
): Promise<WebAnswer> {
  const named = urlOf(file.url);
  let url = named;
  for (let redirects = 0; ; redirects += 1) {
    const answer = await request(url, {
      headers: url.origin === named.origin ? clientHeaders(file) : {},
      thumbprint: file.sslThumbprint === '' ? undefined : file.sslThumbprint,
      signal,
      limit,
      nearby,
    });
    const { statusCode = 0, statusMessage = '' } = answer;
    const { location } = answer.headers;
    if (statusCode === 200) return answerOf(answer, named, limit);
    answer.destroy();
    if (statusCode < 300 || statusCode > 399 || location === undefined || redirects === mostRedirects) {
      throw httpFault(statusCode, `${shownUrl(url)} answers ${statusCode} ${statusMessage}`.trimEnd());
    }
    const next = URL.parse(location, url.href);
    // What came by TLS so far does not go on in the open, and never to a file.
    if (next === null || !/^https?:$/.test(next.protocol) || (url.protocol === 'https:' && next.protocol === 'http:')) {
      throw httpFault(statusCode, `${shownUrl(url)} leads elsewhere`);
    }
    url = next;
  }
}

function urlOf(text: string): URL {
  const url = URL.parse(text);
  if (url === null) throw faults.invalidArgument('files', 'A URL cannot be read.');
  return url;
}

function clientHeaders({ httpHeaders = [] }: HttpNfcLeaseSourceFile): Record<string, string> {
  for (const { key, value } of httpHeaders) {
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(key) || !/^[\t\x20-\x7e\x80-\xff]*$/.test(value))
      throw faults.invalidArgument('files', 'A header cannot be sent.');
  }
  return Object.fromEntries(
    httpHeaders.filter(({ key }) => !ownHeaders.test(key)).map(({ key, value }) => [key, value]),
  );
}

/** Without user, password, query and fragment: they may be secrets. */
export function shownUrl({ origin, pathname }: URL): string {
  return `${origin}${pathname}`;
}

interface RequestOptions {
  readonly headers: Record<string, string>;
  readonly thumbprint: string | undefined;
  readonly signal: AbortSignal;
  readonly limit: number;
  readonly nearby: boolean;
}

function request(url: URL, options: RequestOptions): Promise<IncomingMessage> {
  const { headers, thumbprint, signal, limit, nearby } = options;
  return new Promise((resolve, reject) => {
    const lookup = nearby ? undefined : farLookup;
    // An address that is written out is not looked up.
    if (!nearby && isNearby(hostOf(url))) throw tooNear(url);
    const common = { headers, signal, ...(lookup ? { lookup } : {}) };
    const sent =
      url.protocol === 'https:'
        ? getHttps(url, {
            ...common,
            // A connection of its own, and nothing is said on it before its other end is known.
            createConnection: (_, ready) => {
              checkedConnection(url, { thumbprint, signal, lookup }).then(
                (socket) => ready(null, socket),
                (error: unknown) => ready(error as Error, undefined as unknown as Socket),
              );
              return undefined;
            },
          })
        : getHttp(url, { ...common, agent: false });
    const timer = setTimeout(() => sent.destroy(httpFault(0, `${shownUrl(url)} does not answer`)), limit);
    sent.once('close', () => clearTimeout(timer));
    sent.once('error', (error) => {
      clearTimeout(timer);
      if (signal.aborted) reject(signal.reason);
      else if (error instanceof NearbyAddress) reject(tooNear(url));
      else
        reject(error instanceof VimFault ? error : httpFault(0, `${shownUrl(url)} cannot be read: ${error.message}`));
    });
    sent.once('response', (answer) => {
      clearTimeout(timer);
      resolve(answer);
    });
  });
}

/** A connection to whom the client means: the certificate of its thumbprint, or else one that this computer believes. */
function checkedConnection(
  url: URL,
  {
    thumbprint,
    signal,
    lookup,
  }: Pick<RequestOptions, 'thumbprint' | 'signal'> & { lookup: LookupFunction | undefined },
): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const host = hostOf(url);
    const socket = connect({
      host,
      port: Number(url.port || 443),
      ...(lookup ? { lookup } : {}),
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ALPNProtocols: ['http/1.1'],
      rejectUnauthorized: false,
    });
    const abort = () => socket.destroy(new Error('given up'));
    signal.addEventListener('abort', abort, { once: true });
    socket.once('close', () => signal.removeEventListener('abort', abort));
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      const { fingerprint, fingerprint256 } = socket.getPeerCertificate();
      const found = thumbprint !== undefined && bare(thumbprint).length === 64 ? fingerprint256 : fingerprint;
      if (thumbprint === undefined ? socket.authorized : bare(found) === bare(thumbprint)) {
        socket.removeListener('error', reject);
        resolve(socket);
        return;
      }
      const reason =
        thumbprint === undefined ? `has a certificate that is not believed (${socket.authorizationError})` : undefined;
      reject(
        fault(
          'SSLVerifyFault',
          { selfSigned: /SELF_SIGNED/.test(String(socket.authorizationError)), thumbprint: found },
          `${url.host} ${reason ?? 'has another certificate than was said'}; its thumbprint is ${found}.`,
        ),
      );
      socket.destroy();
    });
  });
}

/** The name or address of a URL, without the brackets of IPv6. */
function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, '');
}

function tooNear(url: URL): VimFault {
  return httpFault(0, `${shownUrl(url)} is on the host itself or its own link, which leases are not pulled from`);
}

function bare(thumbprint: string): string {
  return thumbprint.replaceAll(':', '').toUpperCase();
}

function answerOf(answer: IncomingMessage, named: URL, limit: number): WebAnswer {
  const shown = shownUrl(named);
  const announced = answer.headers['content-length'];
  return {
    shown,
    ...(announced === undefined ? {} : { length: Number(announced) }),
    body: bodyOf(answer, shown, limit),
    close: () => answer.destroy(),
  };
}

async function* bodyOf(
  answer: IncomingMessage,
  shown: string,
  limit: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  const pieces: AsyncIterator<Uint8Array> = answer[Symbol.asyncIterator]();
  let received = 0;
  try {
    for (;;) {
      // The time that the reader takes between two pieces is not the server's.
      const timer = setTimeout(() => answer.destroy(new Error(`nothing came for ${limit / 1000} s`)), limit);
      const { done, value } = await pieces.next().finally(() => clearTimeout(timer));
      if (done === true) return;
      received += value.length;
      yield value;
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw httpFault(200, `${shown} broke off after ${received} bytes: ${reason}`);
  } finally {
    answer.destroy();
  }
}

export function httpFault(statusCode: number, message: string): VimFault {
  return fault('HttpFault', { statusCode, statusMessage: message }, `${message}.`);
}
