import type { AboutInfo, HttpRequest, HttpResponder, Session, SessionService } from '@hypostyle/vim';
import { readBytes } from '../edge/read-json.ts';
import { sessionToken } from '../edge/session-token.ts';
import { type PolicyFault, policyMethods } from './policy-methods.ts';
import { child, parseSoapCall, type SoapCall } from './soap-call.ts';

export interface PolicyEndpointOptions {
  readonly sessions: Pick<SessionService, 'byToken'>;
  readonly product: Pick<AboutInfo, 'instanceUuid'>;
  readonly onDefect?: (where: string, error: unknown) => void;
}

const soapLimit = 1 << 18;
const xml = { 'content-type': 'text/xml; charset=utf-8', 'cache-control': 'no-store' };

/**
 * Storage policies at `/pbm`: the SOAP service that clients ask at start and at every refresh. There are no policies
 * here, and no object has one.
 */
export class PolicyEndpoint {
  readonly #options: PolicyEndpointOptions;

  constructor(options: PolicyEndpointOptions) {
    this.#options = options;
  }

  /** Answers 200 or 500 only, as SOAP clients expect. Never throws. */
  async handle(request: HttpRequest, path: string, respond: HttpResponder): Promise<void> {
    try {
      if (request.method === 'GET') {
        const isVersions = path === '/pbm/pbmServiceVersions.xml';
        respond.send(isVersions ? 200 : 404, xml, isVersions ? versions : '');
        return;
      }
      const call = await this.#read(request);
      if (call === undefined) {
        fail(respond, { type: 'InvalidRequest', message: 'The request is no SOAP call.' });
        return;
      }
      this.#answer(call, request, respond);
    } catch (error) {
      this.#options.onDefect?.('/pbm', error);
      fail(respond, { type: 'SystemError', message: 'An internal error occurred.' });
    }
  }

  async #read(request: HttpRequest): Promise<SoapCall | undefined> {
    try {
      const announced = Number(request.headers['content-length'] ?? 0);
      return parseSoapCall((await readBytes(request.body, announced, soapLimit)).toString('utf8'));
    } catch {
      return undefined;
    }
  }

  #answer(call: SoapCall, request: HttpRequest, respond: HttpResponder): void {
    const { name } = call.method;
    const method = Object.hasOwn(policyMethods, name) ? policyMethods[name] : undefined;
    if (method === undefined) {
      const isOurs = /^Pbm[A-Za-z]{1,80}$/.test(name);
      fail(respond, {
        type: isOurs ? 'NotSupported' : 'InvalidRequest',
        message: isOurs ? `${name} is not supported here.` : 'There is no such method.',
      });
      return;
    }
    if (method.open !== true && this.#session(call, request) === undefined) {
      fail(respond, { type: 'NotAuthenticated', message: 'The session is not authenticated.' });
      return;
    }
    const answer = method.run(call.method, this.#options.product);
    if (typeof answer === 'string')
      respond.send(200, xml, envelope(`<${name}Response xmlns="urn:pbm">${answer}</${name}Response>`));
    else fail(respond, answer);
  }

  /** By the header that policy clients send, or by cookie. */
  #session({ header }: SoapCall, request: HttpRequest): Session | undefined {
    const told = child(header, 'vcSessionCookie')
      ?.text.trim()
      .replace(/^"(.*)"$/, '$1');
    for (const token of [told, sessionToken(request)]) {
      if (token === undefined || token === '' || token.length > 256) continue;
      const session = this.#options.sessions.byToken(token);
      if (session !== undefined) return session;
    }
    return undefined;
  }
}

const versions =
  '<?xml version="1.0" encoding="UTF-8"?><namespaces version="1.0"><namespace><name>urn:pbm</name>' +
  '<version>2.0</version><priorVersions><version>1.0</version></priorVersions></namespace></namespaces>';

function envelope(body: string): string {
  return (
    '<?xml version="1.0" encoding="UTF-8"?>' +
    '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" ' +
    'xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">' +
    `<soapenv:Body>${body}</soapenv:Body></soapenv:Envelope>`
  );
}

function fail(respond: HttpResponder, { type, message, members = '' }: PolicyFault): void {
  const detail = `<${type}Fault xmlns:vim25="urn:vim25" xmlns="urn:vim25" xsi:type="vim25:${type}">${members}</${type}Fault>`;
  const fault =
    `<soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>${message}</faultstring>` +
    `<detail>${detail}</detail></soapenv:Fault>`;
  respond.send(500, xml, envelope(fault));
}
