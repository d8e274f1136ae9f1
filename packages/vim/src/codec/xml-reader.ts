import { SaxesParser } from 'saxes';
import { VimFault } from '../runtime/fault.ts';
import { invalidRequest, shorten } from './request-faults.ts';
import { type Attributes, type Frame, localName } from './value-frames.ts';

const deepest = 256;

/**
 * Feeds elements to frames, by local name: prefixes are the sender's own affair. Refuses DOCTYPE, processing
 * instructions and any entity but XML's own five. Throws VimFault and nothing else.
 */
export class XmlReader {
  readonly #parser: SaxesParser;
  readonly #stack: Frame[];

  constructor(root: Frame) {
    this.#stack = [root];
    const parser = new SaxesParser({ position: false });
    this.#parser = parser;
    parser.on('error', (error) => {
      throw invalidRequest(`The XML is malformed: ${shorten(error.message)}`);
    });
    parser.on('doctype', () => {
      throw invalidRequest('A DOCTYPE is not allowed.');
    });
    parser.on('processinginstruction', () => {
      throw invalidRequest('A processing instruction is not allowed.');
    });
    parser.on('opentag', (tag) => {
      const top = this.#stack[this.#stack.length - 1] as Frame;
      if (this.#stack.length > deepest) throw invalidRequest('Elements are nested too deep.');
      this.#stack.push(top.child(localName(tag.name), tag.attributes as Attributes));
    });
    parser.on('closetag', () => {
      (this.#stack.pop() as Frame).end();
    });
    const text = (characters: string): void => {
      const top = this.#stack[this.#stack.length - 1] as Frame;
      if (this.#stack.length > 1) top.text(characters);
    };
    parser.on('text', text);
    parser.on('cdata', text);
  }

  write(text: string): void {
    this.#guard(() => this.#parser.write(text));
  }

  close(): void {
    this.#guard(() => this.#parser.close());
  }

  #guard(step: () => void): void {
    try {
      step();
    } catch (error) {
      if (error instanceof VimFault) throw error;
      throw invalidRequest('The XML cannot be read.');
    }
  }
}
