import type { IncomingMessage } from 'node:http';
import { get as getHttp } from 'node:http';
import { get as getHttps } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { readOva } from '@hypostyle/ovf';
import { fault, type HttpNfcLeaseSourceFile, type VimFault } from '@hypostyle/vim';
import { faults } from '../errors.ts';

const mostRedirects = 5;
/** Milliseconds in which a server must begin to answer. */
const answerTimeout = 30_000;

/** The content that a source file of a pull names on the web, as a stream. Throws HttpFault and SSLVerifyFault. */
export async function* webContent(
  file: HttpNfcLeaseSourceFile,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const body = await openWeb(file, signal);
  const { memberName } = file;
  if (memberName === undefined || memberName === '') {
    yield* body;
    return;
  }
  const ova = await readOva(body);
  try {
    for await (const { reference, content } of ova.files()) {
      if (reference?.href !== memberName) continue;
      yield* content;
      return;
    }
    throw faults.notFound(`${memberName} in ${file.url}`);
  } finally {
    await ova.close();
  }
}

/** The answer to a request, where it is good. */
export async function openWeb(file: HttpNfcLeaseSourceFile, signal: AbortSignal): Promise<IncomingMessage> {
  const headers = Object.fromEntries((file.httpHeaders ?? []).map(({ key, value }) => [key, value]));
  let url = new URL(file.url);
  for (let redirects = 0; ; redirects += 1) {
    const answer = await request(url, { headers, signal, thumbprint: file.sslThumbprint });
    const { statusCode = 0, statusMessage = '' } = answer;
    const { location } = answer.headers;
    if (statusCode === 200) return answer;
    answer.destroy();
    if (statusCode < 300 || statusCode > 399 || location === undefined || redirects === mostRedirects) {
      throw httpFault(statusCode, `${url.href} answers ${statusCode} ${statusMessage}.`);
    }
    url = new URL(location, url);
    if (url.protocol !== 'https:' && url.protocol !== 'http:')
      throw httpFault(statusCode, `${file.url} leads elsewhere.`);
  }
}

function request(
  url: URL,
  options: {
    readonly headers: Record<string, string>;
    readonly signal: AbortSignal;
    readonly thumbprint: string | undefined;
  },
): Promise<IncomingMessage> {
  const { headers, signal, thumbprint } = options;
  const pinned = thumbprint !== undefined && thumbprint !== '';
  return new Promise((resolve, reject) => {
    const common = { headers, signal, timeout: answerTimeout };
    const sent =
      url.protocol === 'https:' ? getHttps(url, { ...common, rejectUnauthorized: !pinned }) : getHttp(url, common);
    if (pinned && url.protocol === 'https:') {
      sent.once('socket', (socket) => {
        (socket as TLSSocket).once('secureConnect', () => {
          const { fingerprint } = (socket as TLSSocket).getPeerCertificate();
          if (fingerprint?.toUpperCase() === thumbprint.toUpperCase()) return;
          sent.destroy(sslFault(url, thumbprint));
        });
      });
    }
    sent.once('timeout', () => sent.destroy(httpFault(0, `${url.host} does not answer.`)));
    sent.once('error', (error) => {
      if (signal.aborted) reject(signal.reason);
      else reject(error.name === 'VimFault' ? error : httpFault(0, `${url.href} cannot be read: ${error.message}.`));
    });
    sent.once('response', resolve);
  });
}

function httpFault(statusCode: number, statusMessage: string): VimFault {
  return fault('HttpFault', { statusCode, statusMessage }, statusMessage);
}

function sslFault(url: URL, thumbprint: string): VimFault {
  return fault(
    'SSLVerifyFault',
    { selfSigned: false, thumbprint },
    `${url.host} has another certificate than was said.`,
  );
}
