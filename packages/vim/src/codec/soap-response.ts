import { VimFault } from '../runtime/fault.ts';
import type { Method, Property } from '../schema/schema.ts';
import { invalidRequest, shorten } from './request-faults.ts';
import { type Attributes, type Frame, openMember, SkippedFrame, type ValueFrames } from './value-frames.ts';
import { XmlReader } from './xml-reader.ts';

/** Reads the answer to a call, in as many pieces as it comes in. */
export class SoapResponseReader {
  readonly #document: ResponseDocument;
  readonly #reader: XmlReader;

  constructor(frames: ValueFrames, method: Method) {
    this.#document = new ResponseDocument(frames, method);
    this.#reader = new XmlReader(this.#document);
  }

  write(text: string): void {
    this.#reader.write(text);
  }

  /** The result; the fault is answered, not thrown, when the server sent one. Throws InvalidRequest for no SOAP. */
  end(): { readonly value: unknown } | { readonly fault: VimFault } {
    this.#reader.close();
    return this.#document.outcome();
  }
}

const root = { path: () => '' };

class ResponseDocument implements Frame {
  readonly #frames: ValueFrames;
  readonly #returned: Property | undefined;
  readonly #values: Record<string, unknown> = {};
  readonly #fault: Record<string, unknown> = {};
  #answered = false;
  #failed = false;

  constructor(frames: ValueFrames, method: Method) {
    this.#frames = frames;
    this.#returned =
      method.returns === undefined
        ? undefined
        : { name: 'returnval', type: method.returns, optional: true, secret: false, since: '2.0' };
  }

  outcome(): { readonly value: unknown } | { readonly fault: VimFault } {
    if (this.#failed) return { fault: this.#thrown() };
    if (!this.#answered) throw invalidRequest('The answer is no SOAP envelope.');
    const empty = this.#returned?.type.array === true ? [] : undefined;
    return { value: this.#values.returnval ?? empty };
  }

  child(name: string): Frame {
    if (name !== 'Envelope') throw invalidRequest(`A SOAP envelope was expected, not ${shorten(name)}.`);
    return new Level((part) => (part === 'Body' ? new Level((content) => this.#content(content)) : new SkippedFrame()));
  }

  text(): void {}
  end(): void {}

  #content(name: string): Frame {
    if (name === 'Fault') {
      this.#failed = true;
      return new Level((part) => this.#faultPart(part));
    }
    this.#answered = true;
    return new Level((part, attributes) => {
      if (part !== 'returnval' || this.#returned === undefined) return new SkippedFrame();
      return openMember(this.#frames, this.#returned, this.#values, attributes, root);
    });
  }

  #faultPart(name: string): Frame {
    const slot = {
      put: (value: unknown) => {
        this.#fault[name] = value;
      },
      path: () => name,
    };
    if (name === 'faultstring') return this.#frames.open(this.#frames.types.declared('string'), {}, slot);
    if (name !== 'detail') return new SkippedFrame();
    const fault = this.#frames.types.declared('MethodFault');
    return new Level((_type, typed) => this.#frames.open(fault, typed, slot));
  }

  #thrown(): VimFault {
    const detail = (this.#fault.detail ?? { _typeName: 'SystemError' }) as { _typeName: string };
    const message = typeof this.#fault.faultstring === 'string' ? this.#fault.faultstring : '';
    return new VimFault(detail._typeName, detail, message === '' ? detail._typeName : message);
  }
}

class Level implements Frame {
  readonly child: (name: string, attributes: Attributes) => Frame;

  constructor(child: (name: string, attributes: Attributes) => Frame) {
    this.child = child;
  }

  text(): void {}
  end(): void {}
}
