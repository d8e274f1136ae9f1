import type { CallContext } from '../runtime/call-context.ts';
import type { Method, Schema } from '../schema/schema.ts';
import type { ManagedObjectReference } from '../schema/values.ts';
import { callContext } from './request-context.ts';
import { invalidRequest, missingMember, shorten, unknownMember, unknownMethod } from './request-faults.ts';
import {
  type Attributes,
  completeMembers,
  type Frame,
  openMember,
  SkippedFrame,
  type ValueFrames,
} from './value-frames.ts';
import { XmlReader } from './xml-reader.ts';

/** A call out of its envelope. */
export interface SoapRequest {
  readonly method: Method;
  readonly self: ManagedObjectReference;
  readonly args: Readonly<Record<string, unknown>>;
  /** From the header; undefined when there is nothing of it. */
  readonly context: CallContext | undefined;
  /** The session's token where the client sends no cookie; from the header. */
  readonly sessionToken: string | undefined;
}

/** Reads one request, in as many pieces as it comes in. Throws VimFault alone. */
export class SoapRequestReader {
  readonly #envelope: RequestEnvelope;
  readonly #reader: XmlReader;

  constructor(frames: ValueFrames, methodOf: (name: string) => Method | undefined) {
    this.#envelope = new RequestEnvelope(frames, methodOf);
    this.#reader = new XmlReader(this.#envelope);
  }

  write(text: string): void {
    this.#reader.write(text);
  }

  /** The request, once all was written. */
  end(): SoapRequest {
    this.#reader.close();
    return this.#envelope.request();
  }

  /** The method, as soon as it is known: a fault's element and the answer's are named after it. */
  get method(): Method | undefined {
    return this.#envelope.call?.method;
  }
}

/**
 * `Fetch` reads one property of any object. The schema leaves it out, as it belongs to every managed object; its
 * answer is that of the property.
 */
export const fetchMethod: Method = {
  name: 'Fetch',
  owner: 'ManagedObject',
  parameters: [{ name: 'prop', type: { name: 'string', array: false }, optional: false, secret: false, since: '2.0' }],
  returns: { name: 'anyType', array: false },
  returnsOptional: true,
  taskResult: undefined,
  privilege: undefined,
  faults: [],
  since: '2.0',
};

/** Methods by name: those of the schema, and Fetch. */
export function soapMethods(schema: Schema): (name: string) => Method | undefined {
  return (name) => (name === fetchMethod.name ? fetchMethod : schema.method(name));
}

/** The document and, in its turn, the envelope, header and body: four levels that differ only in what may be inside. */
class RequestEnvelope implements Frame {
  readonly frames: ValueFrames;
  readonly #methodOf: (name: string) => Method | undefined;
  call: CallFrame | undefined;
  readonly headers = new Map<string, string>();

  constructor(frames: ValueFrames, methodOf: (name: string) => Method | undefined) {
    this.frames = frames;
    this.#methodOf = methodOf;
  }

  request(): SoapRequest {
    if (this.call === undefined) throw invalidRequest('The SOAP body is empty.');
    return {
      method: this.call.method,
      self: this.call.self(),
      args: this.call.args,
      context: this.#context(),
      sessionToken: this.headers.get('vcSessionCookie'),
    };
  }

  child(name: string): Frame {
    if (name !== 'Envelope') throw invalidRequest(`A SOAP envelope was expected, not ${shorten(name)}.`);
    return new LevelFrame((part) => {
      if (part === 'Header') return new LevelFrame((header) => this.#header(header));
      if (part === 'Body') return new LevelFrame((method) => this.#method(method));
      throw invalidRequest(`A SOAP envelope has no ${shorten(part)}.`);
    });
  }

  text(): void {}
  end(): void {}

  #context(): CallContext | undefined {
    const { headers } = this;
    if (headers.size === 0) return undefined;
    const operationId = headers.get('operationID');
    return callContext({ operationId, activationId: headers.get('activationId'), realUser: headers.get('realUser') });
  }

  #header(name: string): Frame {
    if (!knownHeaders.has(name)) return new SkippedFrame();
    return new HeaderFrame((text) => this.headers.set(name, text));
  }

  #method(name: string): Frame {
    if (this.call !== undefined) throw invalidRequest('A SOAP body has one method.');
    const method = this.#methodOf(name);
    if (method === undefined) throw unknownMethod(name);
    this.call = new CallFrame(this.frames, method);
    return this.call;
  }
}

class LevelFrame implements Frame {
  readonly child: (name: string) => Frame;

  constructor(child: (name: string) => Frame) {
    this.child = child;
  }

  text(): void {}
  end(): void {}
}

/** Elements of a header that are read; others are passed over. */
const knownHeaders = new Set(['operationID', 'activationId', 'realUser', 'vcSessionCookie']);
const longestHeader = 1024;

class HeaderFrame extends SkippedFrame {
  readonly #done: (text: string) => void;
  #text = '';

  constructor(done: (text: string) => void) {
    super();
    this.#done = done;
  }

  override text(text: string): void {
    this.#text += text;
    if (this.#text.length > longestHeader) throw invalidRequest('A SOAP header is too long.');
  }

  override end(): void {
    this.#done(this.#text.trim());
  }
}

const root = { path: () => '' };

class CallFrame implements Frame {
  readonly #frames: ValueFrames;
  readonly method: Method;
  readonly args: Record<string, unknown> = {};
  #self: ManagedObjectReference | undefined;

  constructor(frames: ValueFrames, method: Method) {
    this.#frames = frames;
    this.method = method;
  }

  child(name: string, attributes: Attributes): Frame {
    if (name === '_this') {
      return this.#frames.open({ kind: 'reference', name: this.method.owner }, attributes, {
        put: (value) => {
          this.#self = value as ManagedObjectReference;
        },
        path: () => '_this',
      });
    }
    const parameter = this.method.parameters.find((p) => p.name === name);
    if (parameter === undefined) throw unknownMember(`${this.method.name}.${shorten(name)}`);
    return openMember(this.#frames, parameter, this.args, attributes, root);
  }

  text(): void {}

  end(): void {
    if (this.#self === undefined) throw missingMember('_this');
    const required = this.method.parameters.filter((p) => !p.optional);
    completeMembers(required, this.args, root);
  }

  self(): ManagedObjectReference {
    return this.#self as ManagedObjectReference;
  }
}
