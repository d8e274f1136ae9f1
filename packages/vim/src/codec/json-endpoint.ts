import type { CallContext } from '../runtime/call-context.ts';
import type { Dispatcher } from '../runtime/dispatcher.ts';
import { asFault, fault, VimFault } from '../runtime/fault.ts';
import type { Session } from '../runtime/session.ts';
import type { ManagedType, TypeRef } from '../schema/schema.ts';
import type { ManagedObjectReference } from '../schema/values.ts';
import { type ApiVersion, apiVersion } from './api-version.ts';
import { ChunkedText } from './chunked-text.ts';
import { contextOfHeaders } from './context-headers.ts';
import { type HttpRequest, type HttpResponder, header } from './http-exchange.ts';
import { JsonDecoder, parseJson } from './json-decoder.ts';
import { JsonEncoder } from './json-encoder.ts';
import type { PropertyReader } from './property-reader.ts';
import { readText } from './request-body.ts';
import { longestToken, RequestConnection } from './request-connection.ts';
import { invalidRequest } from './request-faults.ts';
import type { SessionResolver } from './session-resolver.ts';
import { sendStreamed } from './streamed-answer.ts';
import { VersionPlans } from './type-plan.ts';
import type { WireTypes } from './wire-types.ts';

export interface JsonEndpointOptions {
  readonly types: WireTypes;
  readonly dispatcher: Dispatcher;
  readonly properties: PropertyReader;
  readonly sessions: SessionResolver;
  /** Largest request in bytes; 2 MB unless told, as JSON is parsed at once. */
  readonly bodyLimit?: number;
  /** Told of answers that could not be encoded. */
  readonly onDefect?: (method: string, error: unknown) => void;
}

export const jsonPrefix = '/sdk/vim25/';
const sessionHeader = 'vmware-api-session-id';

interface Target {
  readonly version: ApiVersion;
  readonly type: ManagedType;
  readonly self: ManagedObjectReference;
  readonly member: string;
}

interface Answer {
  readonly type: TypeRef | undefined;
  readonly value: unknown;
}

/** `/sdk/vim25/{release}/{type}/{id}/{member}`: VI/JSON. POST calls a method, GET reads a property. */
export class JsonEndpoint {
  readonly #options: JsonEndpointOptions;
  readonly #bodyLimit: number;
  readonly #encoders = new Map<ApiVersion, JsonEncoder>();
  readonly #decoder: JsonDecoder;

  constructor(options: JsonEndpointOptions) {
    this.#options = options;
    this.#bodyLimit = options.bodyLimit ?? 2 * 1024 * 1024;
    this.#decoder = new JsonDecoder(options.types, { lenient: false });
  }

  /** Answers one request whose path begins with `jsonPrefix`. Never throws. */
  async handle(request: HttpRequest, path: string, respond: HttpResponder): Promise<void> {
    const headers: Record<string, string> = { 'content-type': 'application/json', 'cache-control': 'no-store' };
    const target = this.#target(path);
    if (target === undefined) {
      respond.send(404, headers, '{"_typeName":"InvalidRequest","msg":"There is no such object type or member."}');
      return;
    }
    const encoder = this.#encoder(target.version);
    let opened = false;
    try {
      const connection = new RequestConnection(request);
      const { type, value } = await this.#answer(request, target, connection);
      if (connection.token !== undefined) headers[sessionHeader] = connection.token;
      if (type === undefined || value === undefined || value === null) {
        respond.send(204, headers, '');
        return;
      }
      const output = new ChunkedText();
      const steps = encoder.stream(type, value, output);
      const onOpen = () => {
        opened = true;
      };
      await sendStreamed({ status: 200, headers, steps, output, onOpen }, respond, request.signal);
    } catch (error) {
      if (!(error instanceof VimFault)) this.#options.onDefect?.(target.member, error);
      if (!opened) this.#refuse(encoder, asFault(error), target.member, headers, respond);
    }
  }

  async #answer(request: HttpRequest, target: Target, connection: RequestConnection): Promise<Answer> {
    const session = this.#session(request);
    const { self, type, member, version } = target;
    if (request.method === 'GET' || request.method === 'HEAD') {
      return this.#options.properties.read(self, member, session);
    }
    if (request.method !== 'POST') throw new RequestRefused('Methods are called by POST, properties read by GET.');
    const method = type.methods.get(member);
    if (method === undefined) throw new RequestRefused(`${type.name} has no method ${member}.`);
    const context = this.#context(request);
    const args = await this.#arguments(request, method.parameters);
    const { signal } = request;
    const invocation = { self, method, args, session, version: version.name, signal, connection, context };
    return this.#options.dispatcher.invoke(invocation);
  }

  #context(request: HttpRequest): CallContext | undefined {
    try {
      return contextOfHeaders(request);
    } catch (error) {
      throw error instanceof VimFault ? new RequestRefused(error.message, error) : error;
    }
  }

  async #arguments(request: HttpRequest, parameters: ManagedType['properties']): Promise<Record<string, unknown>> {
    try {
      const { headers, body } = request;
      let text = '';
      await readText({ headers, body, limit: this.#bodyLimit }, (piece) => {
        text += piece;
      });
      return this.#decoder.members(parameters, text.trim() === '' ? {} : parseJson(text));
    } catch (error) {
      throw error instanceof VimFault ? new RequestRefused(error.message, error) : error;
    }
  }

  #refuse(
    encoder: JsonEncoder,
    thrown: VimFault,
    member: string,
    headers: Readonly<Record<string, string>>,
    respond: HttpResponder,
  ): void {
    const status = thrown instanceof RequestRefused ? 400 : (statuses[thrown.type] ?? 500);
    let body: string;
    try {
      body = faultText(encoder, thrown);
    } catch (error) {
      this.#options.onDefect?.(member, error);
      body = faultText(encoder, fault('SystemError', { reason: thrown.type }, thrown.message));
    }
    respond.send(status, headers, body);
  }

  #target(path: string): Target | undefined {
    const parts = path.slice(jsonPrefix.length).split('/');
    const [release = '', typeName = '', id = '', member = ''] = parts;
    if (parts.length !== 4 || !/^\d{1,4}(\.\d{1,4}){1,5}$/.test(release)) return undefined;
    const type = this.#options.types.schema.managed(typeName);
    const value = decodePart(id);
    if (type === undefined || value === undefined || value === '') return undefined;
    if (!type.methods.has(member) && type.property(member) === undefined) return undefined;
    const self = { _typeName: 'ManagedObjectReference', type: typeName, value };
    return { version: apiVersion(release), type, self, member };
  }

  #session(request: HttpRequest): Session | undefined {
    const token = header(request, sessionHeader);
    return token === undefined || token.length > longestToken ? undefined : this.#options.sessions.byToken(token);
  }

  #encoder(version: ApiVersion): JsonEncoder {
    let encoder = this.#encoders.get(version);
    if (encoder === undefined) {
      encoder = new JsonEncoder(new VersionPlans(this.#options.types, version));
      this.#encoders.set(version, encoder);
    }
    return encoder;
  }
}

const statuses: Readonly<Record<string, number>> = {
  NotAuthenticated: 401,
  NoPermission: 403,
  ManagedObjectNotFound: 404,
};

/** A request that never reached its method. */
class RequestRefused extends VimFault {
  constructor(message: string, cause: VimFault = invalidRequest(message)) {
    super(cause.type, cause.detail, message, { cause });
  }
}

function faultText(encoder: JsonEncoder, thrown: VimFault): string {
  return encoder.value({ name: 'MethodFault', array: false }, { msg: thrown.message, ...thrown.detail });
}

function decodePart(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
