import { OvfError, type OvfErrorCode, type OvfLocation, type OvfWarning } from '../errors.ts';
import { childElements, textOf, type XmlAttribute, type XmlElement } from '../xml/xml-tree.ts';
import type { Extensible, LocalizedText } from './envelope.ts';
import { envelopeNamespace, vmwareNamespace } from './namespaces.ts';

/** What reading one document carries along. */
export interface ReadContext {
  readonly fileName: string | undefined;
  readonly version: '0.9' | '1' | '2';
  readonly warnings: OvfWarning[];
}

const schemaInteger = /^[+-]?\d{1,20}$/;

/** Reads one element's attributes and children, and remembers which were read: the rest is what to keep. */
export class ElementReader {
  readonly element: XmlElement;
  readonly context: ReadContext;
  readonly #section: string;
  readonly #readAttributes = new Set<XmlAttribute>();
  readonly #readChildren = new Set<XmlElement>();
  readonly #children: XmlElement[];

  constructor(element: XmlElement, context: ReadContext, section = element.name) {
    this.element = element;
    this.context = context;
    this.#section = section;
    this.#children = childElements(element);
  }

  get location(): OvfLocation {
    return { file: this.context.fileName, line: this.element.line, section: this.#section };
  }

  fail(detail: string, code: OvfErrorCode = 'envelope-invalid'): never {
    throw new OvfError(code, detail, this.location);
  }

  warn(detail: string): void {
    this.context.warnings.push({ detail, location: this.location });
  }

  /** A reader of a child, which reports under this section's name. */
  within(child: XmlElement): ElementReader {
    return new ElementReader(child, this.context, this.#section);
  }

  attribute(name: string, namespace = envelopeNamespace): string | undefined {
    const attribute =
      this.element.attributes.find((candidate) => candidate.name === name && candidate.namespace === namespace) ??
      this.element.attributes.find((candidate) => candidate.name === name && candidate.namespace === '');
    if (attribute === undefined) return undefined;
    this.#readAttributes.add(attribute);
    return attribute.value;
  }

  requiredAttribute(name: string, namespace = envelopeNamespace): string {
    const value = this.attribute(name, namespace)?.trim();
    return value || this.fail(`${this.element.name} has no ${name}`);
  }

  booleanAttribute(name: string): boolean | undefined {
    const value = this.attribute(name)?.trim().toLowerCase();
    if (value === undefined || value === '') return undefined;
    if (value === 'true' || value === '1') return true;
    if (value === 'false' || value === '0') return false;
    return this.fail(`${name}="${value}" is not a boolean`);
  }

  integerAttribute(name: string, minimum = 0): number | undefined {
    const value = this.attribute(name);
    return value === undefined ? undefined : this.#integer(name, value, minimum);
  }

  /** Children of one name, in the envelope's namespace unless another is given; `undefined` takes any namespace. */
  children(name: string, namespace: string | undefined = envelopeNamespace): XmlElement[] {
    const found = this.#children.filter(
      (child) => child.name === name && (namespace === '*' || child.namespace === namespace),
    );
    for (const child of found) this.#readChildren.add(child);
    return found;
  }

  child(name: string, namespace: string | undefined = envelopeNamespace): XmlElement | undefined {
    const found = this.children(name, namespace);
    if (found.length > 1) this.within(found[1]!).fail(`${this.element.name} has more than one ${name}`);
    return found[0];
  }

  /** Text of a child in any namespace, trimmed; absent when there is none or it is empty. */
  text(name: string): string | undefined {
    const child = this.child(name, '*');
    return (child && textOf(child).trim()) || undefined;
  }

  /** Integer in a child of any namespace. */
  integer(name: string, minimum = Number.MIN_SAFE_INTEGER): number | undefined {
    const value = this.text(name);
    return value === undefined ? undefined : this.#integer(name, value, minimum);
  }

  boolean(name: string): boolean | undefined {
    const value = this.text(name)?.toLowerCase();
    if (value === undefined) return undefined;
    if (value === 'true' || value === '1') return true;
    if (value === 'false' || value === '0') return false;
    return this.fail(`${name} "${value}" is not a boolean`);
  }

  message(name: string, namespace: string | undefined = envelopeNamespace): LocalizedText | undefined {
    const child = this.child(name, namespace);
    return child && this.within(child).ownMessage();
  }

  requiredMessage(name: string): LocalizedText {
    return this.message(name) ?? this.fail(`${this.element.name} has no ${name}`);
  }

  ownMessage(): LocalizedText {
    const messageId = this.attribute('msgid');
    return { text: textOf(this.element), ...(messageId ? { messageId } : {}) };
  }

  /**
   * What was not read, to be kept. An element that is not understood and not marked `ovf:required="false"` is refused,
   * but for VMware's own, which never say it (DSP0243 7.3).
   */
  rest(): Extensible {
    const attributes = this.element.attributes.filter((attribute) => !this.#readAttributes.has(attribute));
    const extensions = this.#children.filter((child) => !this.#readChildren.has(child));
    for (const extension of extensions) {
      const reader = new ElementReader(extension, this.context, this.#section);
      const required = reader.booleanAttribute('required') ?? extension.namespace !== vmwareNamespace;
      if (required) reader.fail(`the element ${extension.name} is not understood`, 'section-unknown');
      reader.warn(`the element ${extension.name} is not understood and was left aside`);
    }
    return {
      ...(attributes.length > 0 ? { attributes } : {}),
      ...(extensions.length > 0 ? { extensions } : {}),
      ...(this.element.line === undefined ? {} : { line: this.element.line }),
    };
  }

  #integer(name: string, text: string, minimum: number): number {
    const trimmed = text.trim();
    const value = Number(trimmed);
    if (!schemaInteger.test(trimmed) || !Number.isSafeInteger(value)) {
      this.fail(`${name} "${trimmed.slice(0, 64)}" is not an integer`);
    }
    if (value < minimum) this.fail(`${name} ${value} is less than ${minimum}`);
    return value;
  }
}

/** `{ [key]: value }`, or nothing for an absent value: keeps absent fields absent. */
export function present<Key extends string, Value>(key: Key, value: Value | undefined): { [K in Key]?: Value } {
  return (value === undefined ? {} : { [key]: value }) as { [K in Key]?: Value };
}
