import { request } from 'node:https';
import { Readable } from 'node:stream';
import type { Daemon } from './daemon.ts';

export interface RawRequest {
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Text, or pieces that are sent without a length told. */
  readonly body?: string | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly text: string;
}

/** Sends a request as it is; SOAP to `/sdk` unless told. The answer counts also when the rest of the body was not taken. */
export function rawRequest(daemon: Daemon, options: RawRequest): Promise<RawAnswer> {
  const { path = '/sdk', method = 'POST', body = '' } = options;
  const headers = { 'content-type': 'text/xml; charset=utf-8', soapaction: '"urn:vim25/8.0.3.0"', ...options.headers };
  return new Promise((resolve, reject) => {
    const outgoing = request({
      host: daemon.host,
      port: daemon.port,
      path,
      method,
      headers,
      rejectUnauthorized: false,
    });
    outgoing.on('response', (incoming) => {
      let text = '';
      incoming.setEncoding('utf8');
      incoming.on('data', (part: string) => {
        text += part;
      });
      incoming.on('error', reject);
      incoming.on('end', () => {
        resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text });
        outgoing.destroy();
      });
    });
    outgoing.on('error', reject);
    if (typeof body === 'string') outgoing.end(body);
    else Readable.from(body, { objectMode: false }).pipe(outgoing);
  });
}

/** A SOAP envelope around the XML of a call. */
export function envelope(call: string): string {
  return `<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema"><soapenv:Body>${call}</soapenv:Body></soapenv:Envelope>`;
}

/** Type of the fault in a SOAP answer. */
export function soapFault({ text }: RawAnswer): string | undefined {
  return /<detail>\s*<\w+ [^>]*xsi:type="(?:\w+:)?(\w+)"/.exec(text)?.[1];
}
