import { OvfError, type OvfErrorCode, type OvfLocation } from '../errors.ts';
import type { IssueLog } from '../validation/issue-log.ts';
import type { ValidationRule } from '../validation/rules.ts';
import { childElements, textOf, type XmlAttribute, type XmlElement } from '../xml/xml-tree.ts';
import type { EnvelopeVersion, Extensible, LocalizedText } from './envelope.ts';
import { envelopeNamespace, vmwareNamespace } from './namespaces.ts';

/** What reading one document carries along. */
export interface ReadContext {
  readonly fileName: string | undefined;
  readonly version: EnvelopeVersion;
  /** What was tolerated, or in a validation all that is wrong and leaves the values readable. */
  readonly log: IssueLog;
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

  /** Says that a rule is broken: throws when that is an error and the reading stops at errors. */
  report(rule: ValidationRule, detail: string): void {
    this.context.log.report(rule, detail, this.location);
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
  children(
    name: string,
    namespace: string | undefined = envelopeNamespace,
    isMeant: (child: XmlElement) => boolean = () => true,
  ): XmlElement[] {
    const found = this.#children.filter(
      (child) => child.name === name && (namespace === '*' || child.namespace === namespace) && isMeant(child),
    );
    for (const child of found) this.#readChildren.add(child);
    return found;
  }

  /** Says that a child is read elsewhere. */
  take(child: XmlElement): void {
    this.#readChildren.add(child);
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
    const { attributes } = this.#unreadAttributes();
    return { text: textOf(this.element), ...(messageId ? { messageId } : {}), ...(attributes ? { attributes } : {}) };
  }

  /** Info and `ovf:required`, with which every section begins; only an empty section may go without Info. */
  sectionHead(): { readonly info: LocalizedText; readonly required?: boolean } {
    const info = this.message('Info');
    if (info === undefined && this.#children.length > 0) this.fail(`${this.element.name} has no Info`);
    return { info: info ?? { text: '' }, ...present('required', this.booleanAttribute('required')) };
  }

  /**
   * What was not read, to be kept. An element that is not understood and not marked `ovf:required="false"` is refused,
   * but for VMware's own, which never say it, and what `isUnderstood` says is none of ours to read (DSP0243 7.3).
   */
  rest(isUnderstood: (element: XmlElement) => boolean = () => false): Extensible {
    const extensions = this.#children.filter((child) => !this.#readChildren.has(child));
    for (const extension of extensions) {
      if (isUnderstood(extension)) continue;
      const reader = new ElementReader(extension, this.context, this.#section);
      const required = reader.booleanAttribute('required') ?? extension.namespace !== vmwareNamespace;
      if (required) reader.fail(`the element ${extension.name} is not understood`, 'section-unknown');
      reader.report('section-kept', `the element ${extension.name} is not understood and is kept as it is`);
    }
    return {
      ...this.#unreadAttributes(),
      ...(extensions.length > 0 ? { extensions } : {}),
      ...(this.element.line === undefined ? {} : { line: this.element.line }),
    };
  }

  #unreadAttributes(): Pick<Extensible, 'attributes'> {
    const attributes = this.element.attributes.filter((attribute) => !this.#readAttributes.has(attribute));
    return attributes.length > 0 ? { attributes } : {};
  }

  #integer(name: string, text: string, minimum: number): number {
    const trimmed = text.trim();
    const value = Number(trimmed);
    if (!schemaInteger.test(trimmed)) this.fail(`${name} "${trimmed.slice(0, 64)}" is not an integer`);
    if (!Number.isSafeInteger(value)) this.fail(`${name} ${trimmed} is more than can be counted here (2^53-1)`);
    if (value < minimum) this.fail(`${name} ${value} is less than ${minimum}`);
    return value;
  }
}

/** `{ [key]: value }`, or nothing for an absent value: keeps absent fields absent. */
export function present<Key extends string, Value>(key: Key, value: Value | undefined): { [K in Key]?: Value } {
  return (value === undefined ? {} : { [key]: value }) as { [K in Key]?: Value };
}
