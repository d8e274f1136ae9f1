import type { ApiVersion } from '../codec/api-version.ts';
import { headersOfContext } from '../codec/context-headers.ts';
import { JsonDecoder, parseJson } from '../codec/json-decoder.ts';
import { JsonEncoder } from '../codec/json-encoder.ts';
import { VersionPlans } from '../codec/type-plan.ts';
import type { WireTypes } from '../codec/wire-types.ts';
import { VimFault } from '../runtime/fault.ts';
import type { Method } from '../schema/schema.ts';
import type { ManagedObjectReference } from '../schema/values.ts';
import type { CallEncoding } from './call-encoding.ts';
import type { CallOptions } from './caller.ts';
import { ClientError } from './errors.ts';
import type { Transport } from './transport.ts';

const sessionHeader = 'vmware-api-session-id';

/** Calls as VI/JSON, the session in a header. */
export class JsonEncoding implements CallEncoding {
  readonly #transport: Transport;
  readonly #path: string;
  readonly #encoder: JsonEncoder;
  readonly #decoder: JsonDecoder;
  #session: string | undefined;

  constructor(types: WireTypes, version: ApiVersion, transport: Transport, path: string) {
    this.#transport = transport;
    this.#path = `${path}/vim25/${version.name}`;
    this.#encoder = new JsonEncoder(new VersionPlans(types, version));
    this.#decoder = new JsonDecoder(types, { lenient: true });
  }

  async call(
    self: ManagedObjectReference,
    method: Method,
    args: Readonly<Record<string, unknown>>,
    options: CallOptions,
  ): Promise<unknown> {
    const fields = method.parameters.map(({ name, type }) => this.#encoder.plans.field(name, type));
    const headers: Record<string, string> = { 'content-type': 'application/json', ...headersOfContext(options) };
    if (this.#session !== undefined) headers[sessionHeader] = this.#session;
    const path = `${this.#path}/${self.type}/${encodeURIComponent(self.value)}/${method.name}`;
    const body = this.#encoder.members(fields, args);
    let text = '';
    const answer = await this.#transport.send(
      { path, method: 'POST', headers, body, signal: options.signal },
      (piece) => {
        text += piece;
      },
    );
    const session = answer.headers[sessionHeader];
    if (typeof session === 'string') this.#session = session;
    if (answer.status === 200) return this.#decode(method.returns ?? { name: 'anyType', array: false }, text);
    if (answer.status === 204) return method.returns?.array === true ? [] : undefined;
    const fault = this.#decode({ name: 'MethodFault', array: false }, text) as { _typeName: string; msg?: string };
    throw new VimFault(fault._typeName, fault, fault.msg ?? fault._typeName);
  }

  forget(): void {
    this.#session = undefined;
  }

  #decode(type: { readonly name: string; readonly array: boolean }, text: string): unknown {
    try {
      return this.#decoder.decode(type, parseJson(text));
    } catch (cause) {
      throw new ClientError('not-understood', cause instanceof Error ? cause.message : undefined, { cause });
    }
  }
}
