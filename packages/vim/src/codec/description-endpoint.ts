import { setImmediate } from 'node:timers/promises';
import { ChunkedText } from './chunked-text.ts';
import { type HttpRequest, type HttpResponder, header } from './http-exchange.ts';
import { serviceVersions } from './service-versions.ts';
import type { WireTypes } from './wire-types.ts';
import { vimServiceWsdl, vimWsdl } from './wsdl-documents.ts';
import { type DocumentSteps, XsdDocuments } from './xsd-documents.ts';

/** What tells clients of the interface: versions, WSDL and XML Schema. Each document is made when first asked for. */
export class DescriptionEndpoint {
  readonly #makers: Readonly<Record<string, (output: ChunkedText) => DocumentSteps>>;
  readonly #made = new Map<string, Promise<Uint8Array>>();

  constructor(types: WireTypes) {
    const xsd = new XsdDocuments(types);
    this.#makers = {
      'vim.wsdl': (output) => vimWsdl(xsd, output),
      'core-types.xsd': (output) => xsd.types('core', output),
      'query-types.xsd': (output) => xsd.types('query', output),
      'vim-types.xsd': (output) => xsd.types('vim', output),
      'query-messagetypes.xsd': (output) => xsd.messageTypes('query', output),
      'vim-messagetypes.xsd': (output) => xsd.messageTypes('vim', output),
    };
  }

  /** Answers a GET or HEAD of a path below `/sdk/`. */
  async handle(request: HttpRequest, path: string, respond: HttpResponder): Promise<void> {
    const body = await this.#document(path.slice('/sdk/'.length), request);
    const headers = { 'content-type': body === undefined ? 'text/plain' : 'text/xml; charset=utf-8' };
    if (body === undefined) respond.send(404, headers, 'Not found\n');
    else respond.send(200, headers, body);
  }

  async #document(name: string, request: HttpRequest): Promise<string | Uint8Array | undefined> {
    if (name === 'vimServiceVersions.xml') return serviceVersions();
    if (name === 'vimService.wsdl' || name === 'vimService') return vimServiceWsdl(address(header(request, 'host')));
    if (!Object.hasOwn(this.#makers, name)) return undefined;
    let made = this.#made.get(name);
    if (made === undefined) {
      made = make(this.#makers[name] as (output: ChunkedText) => DocumentSteps);
      this.#made.set(name, made);
    }
    return made;
  }
}

/** Writes a document in slices of a few milliseconds. */
async function make(maker: (output: ChunkedText) => DocumentSteps): Promise<Uint8Array> {
  const output = new ChunkedText();
  const chunks: Uint8Array[] = [];
  for (const _ of maker(output)) {
    if (output.ready) chunks.push(...output.take());
    await setImmediate();
    output.beginSlice();
  }
  chunks.push(...output.take());
  return Buffer.concat(chunks);
}

/** Where the client came to, so that it finds the service behind any name and port. */
function address(host: string | undefined): string {
  const safe = host !== undefined && /^[A-Za-z0-9.:[\]_-]{1,255}$/.test(host) ? host : 'localhost';
  return `https://${safe}/sdk`;
}
