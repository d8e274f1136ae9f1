import { setImmediate } from 'node:timers/promises';
import { SaxesParser, type SaxesTagNS } from 'saxes';
import { xmlNamespace, xsiNamespace } from '../envelope/namespaces.ts';
import { OvfError } from '../errors.ts';
import type { XmlAttribute, XmlElement } from './xml-tree.ts';

/** Bounds on what is read; the defaults are far above any real descriptor. */
export interface XmlLimits {
  /** Length of the document in `bytes` (of UTF-16 units for a text); 4 MiB. */
  readonly maxLength?: number;
  /** Elements inside each other; 64. */
  readonly maxDepth?: number;
  /** Elements in all; 20,000. */
  readonly maxElements?: number;
  /** Attributes of one element; 128. */
  readonly maxAttributes?: number;
  /** Name of the document in messages. */
  readonly fileName?: string;
}

interface OpenElement {
  namespace: string;
  prefix: string;
  name: string;
  attributes: XmlAttribute[];
  children: (XmlElement | string)[];
  type?: { namespace: string; name: string };
  line: number;
}

const defaultMaxLength = 4 * 1024 * 1024;
const sliceLength = 64 * 1024;
const unboundNamespace = 'urn:x-unbound:';
const decodable = new Set(['utf-8', 'utf8', 'us-ascii', 'ascii', 'iso-8859-1', 'latin1', 'windows-1252', 'utf-16']);

/** Text of an XML document: by byte order mark, else by the XML declaration, else UTF-8. */
function decodeXml(bytes: Uint8Array, fileName: string | undefined): string {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 256)).toString('latin1');
  let encoding = 'utf-8';
  if (head.startsWith('\xff\xfe')) encoding = 'utf-16le';
  else if (head.startsWith('\xfe\xff')) encoding = 'utf-16be';
  else if (!head.startsWith('\xef\xbb\xbf')) {
    encoding = /^<\?xml[^>]*?\bencoding\s*=\s*["']([\w.:-]+)["']/.exec(head)?.[1]?.toLowerCase() ?? 'utf-8';
  }
  if (!decodable.has(encoding) && !encoding.startsWith('utf-16')) {
    throw new OvfError('xml-forbidden', `the encoding ${encoding} is not supported`, { file: fileName });
  }
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch (error) {
    throw new OvfError('xml-malformed', `the text is not valid ${encoding}`, { file: fileName }, { cause: error });
  }
}

class TreeBuilder {
  readonly #parser: SaxesParser<{ xmlns: true; position: true }>;
  readonly #limits: Required<Omit<XmlLimits, 'fileName' | 'maxLength'>>;
  readonly #fileName: string | undefined;
  readonly #open: OpenElement[] = [];
  #root: XmlElement | undefined;
  #elements = 0;

  constructor(limits: XmlLimits) {
    this.#fileName = limits.fileName;
    this.#limits = {
      maxDepth: limits.maxDepth ?? 64,
      maxElements: limits.maxElements ?? 20_000,
      maxAttributes: limits.maxAttributes ?? 128,
    };
    // Some tools forget to declare a prefix. It gets a namespace that nothing knows, as other readers do.
    this.#parser = new SaxesParser({
      xmlns: true,
      position: true,
      resolvePrefix: (prefix: string) => (prefix === '' ? '' : `${unboundNamespace}${prefix}`),
    });
    this.#parser.on('error', (error) => {
      const reason = error.message.replace(/^(\S*:)?\d+:\d+: /, '');
      throw new OvfError('xml-malformed', reason, this.#here());
    });
    this.#parser.on('doctype', () => {
      throw new OvfError('xml-forbidden', 'a document type declaration is not allowed', this.#here());
    });
    let attributes = 0;
    this.#parser.on('opentagstart', () => {
      attributes = 0;
      this.#elements += 1;
      if (this.#elements > this.#limits.maxElements) this.#exceed(`more than ${this.#limits.maxElements} elements`);
      if (this.#open.length >= this.#limits.maxDepth) {
        this.#exceed(`elements more than ${this.#limits.maxDepth} deep`);
      }
    });
    this.#parser.on('attribute', () => {
      attributes += 1;
      if (attributes > this.#limits.maxAttributes) {
        this.#exceed(`more than ${this.#limits.maxAttributes} attributes on an element`);
      }
    });
    this.#parser.on('opentag', (tag) => this.#start(tag));
    this.#parser.on('closetag', () => this.#end());
    this.#parser.on('text', (text) => this.#text(text));
    this.#parser.on('cdata', (text) => this.#text(text));
  }

  write(text: string): void {
    this.#parser.write(text);
  }

  finish(): XmlElement {
    this.#parser.close();
    if (this.#root === undefined) throw new OvfError('xml-malformed', 'there is no root element', this.#here());
    return this.#root;
  }

  #here() {
    return { file: this.#fileName, line: this.#parser.line };
  }

  #exceed(what: string): never {
    throw new OvfError('xml-limit', what, this.#here());
  }

  #start(tag: SaxesTagNS): void {
    const attributes: XmlAttribute[] = [];
    let type: OpenElement['type'];
    for (const { uri, prefix, local, value } of Object.values(tag.attributes)) {
      if (prefix === 'xmlns' || (prefix === '' && local === 'xmlns')) continue;
      if (uri === xsiNamespace && local === 'type') {
        const [first = '', second] = value.trim().split(':', 2);
        const namespace = this.#parser.resolve(second === undefined ? '' : first) ?? '';
        type = { namespace, name: second ?? first };
      }
      attributes.push({ namespace: prefix === 'xml' ? xmlNamespace : uri, prefix, name: local, value });
    }
    const element: OpenElement = {
      namespace: tag.uri,
      prefix: tag.prefix,
      name: tag.local,
      attributes,
      children: [],
      line: this.#parser.line,
    };
    if (type !== undefined) element.type = type;
    this.#open.at(-1)?.children.push(element);
    this.#open.push(element);
    this.#root ??= element;
  }

  /** White space between elements says nothing and is left out, so that what is kept can be laid out anew. */
  #end(): void {
    const element = this.#open.pop();
    if (element === undefined) return;
    const { children } = element;
    const isLayout = (child: XmlElement | string) => typeof child === 'string' && child.trim() === '';
    if (children.length > 1 && children.every((child) => typeof child !== 'string' || isLayout(child))) {
      element.children = children.filter((child) => typeof child !== 'string');
    }
  }

  #text(text: string): void {
    const children = this.#open.at(-1)?.children;
    if (children === undefined) return;
    const last = children.at(-1);
    if (typeof last === 'string') children[children.length - 1] = last + text;
    else children.push(text);
  }
}

/** The text of a document as it is read. Throws as {@link parseXml}. */
export function xmlText(source: string | Uint8Array, limits: XmlLimits): string {
  const maxLength = limits.maxLength ?? defaultMaxLength;
  if (source.length > maxLength) {
    throw new OvfError('xml-limit', `the document is longer than ${maxLength}`, { file: limits.fileName });
  }
  const text = typeof source === 'string' ? source : decodeXml(source, limits.fileName);
  return text.startsWith('\ufeff') ? text.slice(1) : text;
}

/**
 * Reads a whole XML document. No DOCTYPE, no entities but the five; length, depth, elements and attributes bounded.
 * Throws {@link OvfError} `xml-malformed`, `xml-forbidden`, `xml-limit`.
 */
export function parseXml(source: string | Uint8Array, limits: XmlLimits = {}): XmlElement {
  const builder = new TreeBuilder(limits);
  builder.write(xmlText(source, limits));
  return builder.finish();
}

/** {@link parseXml} in slices, so that a long document does not hold up the event loop. */
export async function readXml(source: string | Uint8Array, limits: XmlLimits = {}): Promise<XmlElement> {
  const builder = new TreeBuilder(limits);
  const text = xmlText(source, limits);
  for (let start = 0; start < text.length; start += sliceLength) {
    if (start > 0) await setImmediate();
    builder.write(text.slice(start, start + sliceLength));
  }
  return builder.finish();
}
