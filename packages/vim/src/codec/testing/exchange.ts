import type { HttpRequest, HttpResponder } from '../http-exchange.ts';
import type { HttpHandler } from '../node-http.ts';

export interface TestAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly chunks: number;
}

export interface TestRequest {
  readonly method?: string;
  readonly url?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array | AsyncIterable<Uint8Array>;
}

/** One request answered in memory, without a socket. */
export async function exchange(handler: HttpHandler, request: TestRequest): Promise<TestAnswer> {
  const { method = 'POST', url = '/sdk', headers = {}, body = '' } = request;
  const answer = { status: 0, headers: {} as Readonly<Record<string, string>>, body: '', chunks: 0 };
  const respond: HttpResponder = {
    send: (status, fields, content) => {
      Object.assign(answer, { status, headers: fields, body: Buffer.from(content as string).toString(), chunks: 1 });
    },
    open: (status, fields) => {
      Object.assign(answer, { status, headers: fields });
      const chunks: Uint8Array[] = [];
      return {
        write: (chunk) => chunks.push(chunk) > 0,
        drain: () => Promise.resolve(),
        end: () => Object.assign(answer, { body: Buffer.concat(chunks).toString(), chunks: chunks.length }),
        abort: () => Object.assign(answer, { status: -1 }),
      };
    },
  };
  const whole: HttpRequest = {
    method,
    url,
    headers,
    body: typeof body === 'string' ? Buffer.from(body) : body,
    clientAddress: '192.0.2.1',
    signal: new AbortController().signal,
  };
  await handler.handle(whole, respond);
  return answer;
}

/** A SOAP envelope around a body's content. */
export function envelope(content: string, header = ''): string {
  return (
    '<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" ' +
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema">' +
    `${header}<s:Body>${content}</s:Body></s:Envelope>`
  );
}
