import type { ApiVersion } from '../codec/api-version.ts';
import { soapToken } from '../codec/session-cookie.ts';
import { SoapEncoder } from '../codec/soap-encoder.ts';
import { envelopeEnd, envelopeStartOf } from '../codec/soap-envelope.ts';
import { SoapResponseReader } from '../codec/soap-response.ts';
import { TextPool } from '../codec/text-pool.ts';
import { VersionPlans } from '../codec/type-plan.ts';
import { ValueFrames } from '../codec/value-frames.ts';
import type { WireTypes } from '../codec/wire-types.ts';
import { VimFault } from '../runtime/fault.ts';
import type { Method } from '../schema/schema.ts';
import type { ManagedObjectReference } from '../schema/values.ts';
import type { CallEncoding } from './call-encoding.ts';
import type { CallOptions } from './caller.ts';
import { ClientError } from './errors.ts';
import type { Transport } from './transport.ts';

const managedObject = { name: 'ManagedObject', array: false };

/** Calls as SOAP, the session in a cookie. */
export class SoapEncoding implements CallEncoding {
  readonly #transport: Transport;
  readonly #path: string;
  readonly #encoder: SoapEncoder;
  readonly #frames: ValueFrames;
  readonly #action: string;
  #cookie: string | undefined;

  constructor(types: WireTypes, version: ApiVersion, transport: Transport, path: string) {
    this.#transport = transport;
    this.#path = path;
    this.#encoder = new SoapEncoder(new VersionPlans(types, version));
    this.#frames = new ValueFrames(types, { lenient: true, texts: new TextPool() });
    this.#action = `"urn:vim25/${version.name}"`;
  }

  async call(
    self: ManagedObjectReference,
    method: Method,
    args: Readonly<Record<string, unknown>>,
    options: CallOptions,
  ): Promise<unknown> {
    let content = this.#encoder.elements('_this', managedObject, self);
    for (const { name, type } of method.parameters) content += this.#encoder.elements(name, type, args[name]);
    const body = `${envelopeStartOf(options)}<${method.name} xmlns="urn:vim25">${content}</${method.name}>${envelopeEnd}`;
    const reader = new SoapResponseReader(this.#frames, method);
    try {
      const headers: Record<string, string> = { 'content-type': 'text/xml; charset=utf-8', soapaction: this.#action };
      if (this.#cookie !== undefined) headers.cookie = this.#cookie;
      const answer = await this.#transport.send(
        { path: this.#path, method: 'POST', headers, body, signal: options.signal },
        (text) => reader.write(text),
      );
      this.#remember(answer.headers['set-cookie']);
    } catch (error) {
      throw error instanceof VimFault ? notUnderstood(error) : error;
    }
    const outcome = end(reader);
    if ('fault' in outcome) throw outcome.fault;
    return outcome.value;
  }

  forget(): void {
    this.#cookie = undefined;
  }

  #remember(cookies: string | readonly string[] | undefined): void {
    for (const cookie of typeof cookies === 'string' ? [cookies] : (cookies ?? [])) {
      const token = soapToken(cookie);
      if (token !== undefined) this.#cookie = `vmware_soap_session="${token}"`;
    }
  }
}

function end(reader: SoapResponseReader): ReturnType<SoapResponseReader['end']> {
  try {
    return reader.end();
  } catch (error) {
    throw notUnderstood(error);
  }
}

/** The decoder speaks in faults; here it is the server that was wrong. */
function notUnderstood(cause: unknown): ClientError {
  return new ClientError('not-understood', cause instanceof Error ? cause.message : undefined, { cause });
}
