import type { Authorizer } from '../runtime/authorizer.ts';
import type { Dispatcher } from '../runtime/dispatcher.ts';
import type { Registry } from '../runtime/registry.ts';
import { DescriptionEndpoint } from './description-endpoint.ts';
import type { HttpRequest, HttpResponder } from './http-exchange.ts';
import { JsonEndpoint, jsonPrefix } from './json-endpoint.ts';
import { PropertyReader } from './property-reader.ts';
import type { SessionResolver } from './session-resolver.ts';
import { SoapEndpoint } from './soap-endpoint.ts';
import { WireTypes } from './wire-types.ts';

export interface ManagementEndpointOptions {
  readonly registry: Registry;
  readonly dispatcher: Dispatcher;
  readonly authorizer: Authorizer;
  readonly sessions: SessionResolver;
  /** Largest SOAP request in bytes; 20 MB unless told. */
  readonly soapBodyLimit?: number;
  /** Largest VI/JSON request in bytes; 2 MB unless told. */
  readonly jsonBodyLimit?: number;
  /** Told of answers that could not be encoded: defects of ours. */
  readonly onDefect?: (method: string, error: unknown) => void;
}

/**
 * All of the Management Interface below `/sdk`: SOAP calls, VI/JSON, versions and WSDL. A server mounts it at `/sdk` and
 * everything below, for any method, with bodies left alone.
 */
export class ManagementEndpoint {
  readonly #soap: SoapEndpoint;
  readonly #json: JsonEndpoint;
  readonly #descriptions: DescriptionEndpoint;

  constructor(options: ManagementEndpointOptions) {
    const { registry, dispatcher, authorizer, sessions, soapBodyLimit, jsonBodyLimit, onDefect } = options;
    const types = new WireTypes(registry.schema);
    const properties = new PropertyReader({ registry, authorizer });
    const shared = { types, dispatcher, properties, sessions, ...(onDefect === undefined ? {} : { onDefect }) };
    this.#soap = new SoapEndpoint({ ...shared, ...bodyLimit(soapBodyLimit) });
    this.#json = new JsonEndpoint({ ...shared, ...bodyLimit(jsonBodyLimit) });
    this.#descriptions = new DescriptionEndpoint(types);
  }

  /** Answers a request for `/sdk` or anything below it. Never throws. */
  async handle(request: HttpRequest, respond: HttpResponder): Promise<void> {
    const path = pathOf(request.url);
    if (path.startsWith(jsonPrefix)) {
      await this.#json.handle(request, path, respond);
      return;
    }
    if ((request.method === 'GET' || request.method === 'HEAD') && path.startsWith('/sdk/')) {
      await this.#descriptions.handle(request, path, respond);
      return;
    }
    await this.#soap.handle(request, respond);
  }
}

function bodyLimit(limit: number | undefined): { bodyLimit?: number } {
  return limit === undefined ? {} : { bodyLimit: limit };
}

function pathOf(url: string): string {
  const end = url.indexOf('?');
  return end === -1 ? url : url.slice(0, end);
}
