import type { Dispatcher } from '../runtime/dispatcher.ts';
import { asFault, fault, VimFault } from '../runtime/fault.ts';
import type { CallConnection } from '../runtime/managed-object.ts';
import type { Session } from '../runtime/session.ts';
import type { Method } from '../schema/schema.ts';
import { anyOf } from './any-values.ts';
import { type ApiVersion, versionOfSoapAction } from './api-version.ts';
import { ChunkedText } from './chunked-text.ts';
import { type HttpRequest, type HttpResponder, header } from './http-exchange.ts';
import type { PropertyReader } from './property-reader.ts';
import { readText } from './request-body.ts';
import { longestToken, RequestConnection } from './request-connection.ts';
import { invalidRequest } from './request-faults.ts';
import { sessionCookie, soapToken } from './session-cookie.ts';
import type { SessionResolver } from './session-resolver.ts';
import { SoapEncoder } from './soap-encoder.ts';
import { envelopeEnd, envelopeStart, faultEnvelope } from './soap-envelope.ts';
import { fetchMethod, type SoapRequest, SoapRequestReader, soapMethods } from './soap-request.ts';
import { sendStreamed } from './streamed-answer.ts';
import { VersionPlans } from './type-plan.ts';
import { ValueFrames } from './value-frames.ts';
import type { WireTypes } from './wire-types.ts';

/** Largest request of a client without a session's cookie, in bytes. */
const strangersLimit = 1024 * 1024;

export interface SoapEndpointOptions {
  readonly types: WireTypes;
  readonly dispatcher: Dispatcher;
  readonly properties: PropertyReader;
  readonly sessions: SessionResolver;
  /** Largest request in bytes; 20 MB unless told. */
  readonly bodyLimit?: number;
  /** Told of answers that could not be encoded. */
  readonly onDefect?: (method: string, error: unknown) => void;
}

/** `/sdk`: SOAP calls over HTTP. Answers 200 or 500 only, as clients take any other status for a broken server. */
export class SoapEndpoint {
  readonly #options: SoapEndpointOptions;
  readonly #bodyLimit: number;
  readonly #frames: ValueFrames;
  readonly #methodOf: (name: string) => Method | undefined;
  readonly #encoders = new Map<ApiVersion, SoapEncoder>();

  constructor(options: SoapEndpointOptions) {
    this.#options = options;
    this.#bodyLimit = options.bodyLimit ?? 20 * 1024 * 1024;
    this.#frames = new ValueFrames(options.types, { lenient: false });
    this.#methodOf = soapMethods(options.types.schema);
  }

  /** Answers one request. Never throws. */
  async handle(request: HttpRequest, respond: HttpResponder): Promise<void> {
    const version = versionOfSoapAction(header(request, 'soapaction'));
    const encoder = this.#encoder(version);
    const headers: Record<string, string> = { 'content-type': 'text/xml; charset=utf-8', 'cache-control': 'no-store' };
    let method = 'unknown';
    let opened = false;
    try {
      const call = await this.#read(request);
      method = call.method.name;
      const connection = new RequestConnection(request);
      const session = this.#session(request, call);
      const value = await this.#invoke(call, request, connection, session, version);
      if (connection.token !== undefined) headers['set-cookie'] = sessionCookie(connection.token);
      const output = new ChunkedText();
      const steps = answer(encoder, call.method, value, output);
      const onOpen = () => {
        opened = true;
      };
      await sendStreamed({ status: 200, headers, steps, output, onOpen }, respond, request.signal);
    } catch (error) {
      if (!(error instanceof VimFault)) this.#options.onDefect?.(method, error);
      if (!opened) respond.send(500, headers, this.#fault(encoder, method, asFault(error)));
    }
  }

  async #invoke(
    call: SoapRequest,
    request: HttpRequest,
    connection: CallConnection,
    session: Session | undefined,
    version: ApiVersion,
  ): Promise<unknown> {
    const { method, self, args, context } = call;
    if (method === fetchMethod) {
      const { type, value } = this.#options.properties.read(self, args.prop as string, session);
      return anyOf(this.#options.types, type, value);
    }
    const { signal } = request;
    const invocation = { self, method, args, session, version: version.name, signal, connection, context };
    return (await this.#options.dispatcher.invoke(invocation)).value;
  }

  async #read(request: HttpRequest): Promise<SoapRequest> {
    const { method, body, headers } = request;
    if (method !== 'POST') throw invalidRequest('SOAP calls are sent by POST.');
    const reader = new SoapRequestReader(this.#frames, this.#methodOf);
    // A stranger's request is a sign-in, and small: many of them must not fill the memory.
    const limit = this.#byCookie(request) === undefined ? Math.min(strangersLimit, this.#bodyLimit) : this.#bodyLimit;
    await readText({ headers, body, limit }, (text) => reader.write(text));
    return reader.end();
  }

  #session(request: HttpRequest, call: SoapRequest): Session | undefined {
    return this.#byCookie(request) ?? this.#byToken(call.sessionToken);
  }

  #byCookie(request: HttpRequest): Session | undefined {
    return this.#byToken(soapToken(header(request, 'cookie')));
  }

  #byToken(token: string | undefined): Session | undefined {
    return token === undefined || token.length > longestToken ? undefined : this.#options.sessions.byToken(token);
  }

  #encoder(version: ApiVersion): SoapEncoder {
    let encoder = this.#encoders.get(version);
    if (encoder === undefined) {
      encoder = new SoapEncoder(new VersionPlans(this.#options.types, version));
      this.#encoders.set(version, encoder);
    }
    return encoder;
  }

  #fault(encoder: SoapEncoder, method: string, thrown: VimFault): string {
    try {
      return faultEnvelope(encoder, thrown);
    } catch (error) {
      this.#options.onDefect?.(method, error);
      return faultEnvelope(encoder, fault('SystemError', { reason: thrown.type }, thrown.message));
    }
  }
}

function* answer(
  encoder: SoapEncoder,
  method: Method,
  value: unknown,
  output: ChunkedText,
): Generator<void, void, void> {
  output.append(`${envelopeStart}<${method.name}Response xmlns="urn:vim25">`);
  if (method.returns !== undefined) yield* encoder.stream('returnval', method.returns, value, output);
  output.append(`</${method.name}Response>${envelopeEnd}`);
}
