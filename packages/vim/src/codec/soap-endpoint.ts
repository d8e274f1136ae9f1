import { isUtf8 } from 'node:buffer';
import { setImmediate } from 'node:timers/promises';
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
import { invalidRequest } from './request-faults.ts';
import type { SessionResolver } from './session-resolver.ts';
import { SoapEncoder } from './soap-encoder.ts';
import { envelopeEnd, envelopeStart, faultEnvelope } from './soap-envelope.ts';
import { fetchMethod, type SoapRequest, SoapRequestReader, soapMethods } from './soap-request.ts';
import { sendStreamed } from './streamed-answer.ts';
import { VersionPlans } from './type-plan.ts';
import { ValueFrames } from './value-frames.ts';
import type { WireTypes } from './wire-types.ts';

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

const cookieName = 'vmware_soap_session';
const longestToken = 256;
/** A request is parsed in pieces of this many bytes, and others get their turn between them. */
const pieceBytes = 64 * 1024;

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
      const connection = new SoapConnection(request);
      const session = this.#session(request, call);
      const value = await this.#invoke(call, request, connection, session, version);
      if (connection.cookie !== undefined) headers['set-cookie'] = connection.cookie;
      const output = new ChunkedText();
      const steps = answer(encoder, call.method, value, output);
      const watched: HttpResponder = {
        send: (status, fields, body) => {
          opened = true;
          respond.send(status, fields, body);
        },
        open: (status, fields) => {
          opened = true;
          return respond.open(status, fields);
        },
      };
      await sendStreamed({ status: 200, headers, steps, output }, watched, request.signal);
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
    const { method, self, args } = call;
    if (method === fetchMethod) {
      const { type, value } = this.#options.properties.read(self, args.prop as string, session);
      return anyOf(this.#options.types, type, value);
    }
    const { signal } = request;
    const invocation = { self, method, args, session, version: version.name, signal, connection };
    return (await this.#options.dispatcher.invoke(invocation)).value;
  }

  async #read({ method, body, headers }: HttpRequest): Promise<SoapRequest> {
    if (method !== 'POST') throw invalidRequest('SOAP calls are sent by POST.');
    const reader = new SoapRequestReader(this.#frames, this.#methodOf);
    if (body instanceof Uint8Array && body.byteLength <= pieceBytes) {
      if (!isUtf8(body)) throw invalidRequest('The request is not UTF-8.');
      reader.write(textOf(body));
      return reader.end();
    }
    if (Number(headers['content-length'] ?? 0) > this.#bodyLimit) throw tooLarge();
    const decoder = new TextDecoder('utf-8', { fatal: true });
    let size = 0;
    for await (const chunk of body instanceof Uint8Array ? [body] : body) {
      size += chunk.byteLength;
      if (size > this.#bodyLimit) throw tooLarge();
      for (let at = 0; at < chunk.byteLength; at += pieceBytes) {
        reader.write(decode(decoder, chunk.subarray(at, at + pieceBytes)));
        await setImmediate();
      }
    }
    reader.write(decode(decoder, undefined));
    return reader.end();
  }

  #session(request: HttpRequest, call: SoapRequest): Session | undefined {
    const token = soapToken(header(request, 'cookie')) ?? call.sessionToken;
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

/** The session's token in a Cookie header, quoted or not. */
export function soapToken(cookies: string | undefined): string | undefined {
  if (cookies === undefined) return undefined;
  const match = /(?:^|;\s*)vmware_soap_session="?([^";,\s]+)/.exec(cookies);
  return match?.[1];
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

class SoapConnection implements CallConnection {
  readonly clientAddress: string;
  readonly userAgent: string;
  /** Set-Cookie of the answer: exactly this one, as pyVmomi cannot tell others apart. */
  cookie: string | undefined;

  constructor(request: HttpRequest) {
    this.clientAddress = request.clientAddress;
    this.userAgent = header(request, 'user-agent') ?? '';
  }

  establish(_session: Session, token: string): void {
    if (!/^[A-Za-z0-9._~+/=-]{1,256}$/.test(token)) throw new Error('a session token that fits no cookie');
    this.cookie = `${cookieName}="${token}"; Path=/; HttpOnly; Secure`;
  }

  release(): void {
    this.cookie = undefined;
  }
}

function tooLarge(): VimFault {
  return invalidRequest('The request is too large.');
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}

function decode(decoder: InstanceType<typeof TextDecoder>, bytes: Uint8Array | undefined): string {
  try {
    return bytes === undefined ? decoder.decode() : decoder.decode(bytes, { stream: true });
  } catch {
    throw invalidRequest('The request is not UTF-8.');
  }
}
