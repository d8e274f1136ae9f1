import type { EnvelopeVersion } from '../envelope/envelope.ts';
import {
  envelopeNamespace,
  epasdNamespace,
  rasdNamespace,
  sasdNamespace,
  vssdNamespace,
} from '../envelope/namespaces.ts';
import type { OvfLocation } from '../errors.ts';
import { childElements, textOf, type XmlElement } from '../xml/xml-tree.ts';
import { envelopeSchema1, envelopeSchema2 } from './envelope-schema.ts';
import type { IssueLog } from './issue-log.ts';
import type { ElementType, Particle, Schema } from './schema-language.ts';
import { simpleTypes } from './simple-types.ts';

const spaces: Readonly<Record<string, string>> = {
  ovf: envelopeNamespace,
  vssd: vssdNamespace,
  rasd: rasdNamespace,
  sasd: sasdNamespace,
  epasd: epasdNamespace,
};

/** Names of drafts for what the standard has. */
const draftNames: Readonly<Record<string, string>> = { InstanceId: 'InstanceID', 'Full-version': 'FullVersion' };
const itemNames = new Set(['Item', 'StorageItem', 'EthernetPortItem', 'System']);

interface Found {
  readonly index: number;
  readonly type: string | undefined;
}

/**
 * Checks a tree in the namespace of 1.x against the schema of its version: children by name, order and number, attributes,
 * and values by type. Goes on after an issue. The 0.9 draft had another order, so only names and values are held to it.
 */
export function checkSchema(
  root: XmlElement,
  version: EnvelopeVersion,
  log: IssueLog,
  fileName: string | undefined,
): void {
  const schema = version === '2' ? envelopeSchema2 : envelopeSchema1;
  new SchemaValidator(schema, version === '0.9', log, fileName).check(root, 'Envelope_Type', root.name);
}

class SchemaValidator {
  readonly #schema: Schema;
  readonly #isDraft: boolean;
  readonly #log: IssueLog;
  readonly #fileName: string | undefined;

  constructor(schema: Schema, isDraft: boolean, log: IssueLog, fileName: string | undefined) {
    this.#schema = schema;
    this.#isDraft = isDraft;
    this.#log = log;
    this.#fileName = fileName;
  }

  #at(element: XmlElement, section: string): OvfLocation {
    return { file: this.#fileName, line: element.line, section };
  }

  check(element: XmlElement, typeName: string, section: string): void {
    const type = this.#schema.types.get(typeName);
    if (type === undefined) {
      this.#checkText(element, typeName, section);
      return;
    }
    const here = /Section$|^(VirtualSystem|VirtualSystemCollection|References|Strings)$/.test(element.name)
      ? element.name
      : section;
    this.#checkAttributes(element, type, here);
    if (type.text !== undefined) this.#checkText(element, type.text, here);
    else this.#checkChildren(element, type, here);
  }

  #checkText(element: XmlElement, typeName: string, section: string): void {
    if (typeName === 'any') return;
    const check = simpleTypes[typeName === 'text' ? 'string' : typeName]!;
    const children = childElements(element);
    if (children.length > 0 && !this.#isDraft) {
      const detail = `${element.name} holds text and no element ${children[0]!.name}`;
      this.#log.report('schema-unexpected', detail, this.#at(children[0]!, section));
    }
    const text = textOf(element).trim();
    if (!check(text)) {
      const detail = `${element.name} "${text.slice(0, 64)}" is not of the type ${typeName}`;
      this.#log.report('schema-type', detail, this.#at(element, section));
    }
  }

  #checkAttributes(element: XmlElement, type: ElementType, section: string): void {
    for (const [name, { type: valueType, required }] of type.attributes) {
      const named = element.attributes.filter((attribute) => attribute.name === name);
      const own = named.find(({ namespace }) => namespace === envelopeNamespace);
      const attribute = own ?? named.find(({ namespace }) => namespace === '');
      if (attribute === undefined) {
        if (required) {
          const detail = `${element.name} has no attribute ${name}`;
          this.#log.report('schema-attribute-missing', detail, this.#at(element, section));
        }
        continue;
      }
      if (own === undefined && required) {
        const detail = `the attribute ${name} of ${element.name} is not in the namespace of the envelope`;
        this.#log.report('schema-attribute-unqualified', detail, this.#at(element, section));
      }
      if (!simpleTypes[valueType]!(attribute.value.trim())) {
        const detail = `${name}="${attribute.value.slice(0, 64)}" of ${element.name} is not of the type ${valueType}`;
        this.#log.report('schema-type', detail, this.#at(element, section));
      }
    }
  }

  /** Whether an element is one of a particle, and of which type; foreign elements may be sections of other schemas. */
  #match(particle: Particle, element: XmlElement, space: string): { readonly type: string | undefined } | undefined {
    const isOwn = element.namespace === space;
    if (particle.isWildcard) return isOwn ? undefined : { type: undefined };
    for (const [name, type] of particle.elements) {
      const group = this.#schema.groups.get(name);
      if (group === undefined) {
        if (isOwn && name === (draftNames[element.name] ?? element.name)) return { type };
      } else if (isOwn) {
        const member = group.get(element.name);
        if (member !== undefined) return { type: member };
      } else if (name === 'Section') return { type: undefined };
    }
    return undefined;
  }

  #find(type: ElementType, element: XmlElement): Found | undefined {
    const space = spaces[type.space]!;
    for (const [index, particle] of type.particles.entries()) {
      const match = this.#match(particle, element, space);
      if (match !== undefined) return { index, type: match.type };
    }
    return undefined;
  }

  #checkChildren(element: XmlElement, type: ElementType, section: string): void {
    const counts = type.particles.map(() => 0);
    let reached = 0;
    for (const child of childElements(element)) {
      const at = this.#at(child, section);
      const found = this.#find(type, child);
      if (found === undefined) {
        this.#unexpected(child, element, section);
        continue;
      }
      const { index } = found;
      if (child.name in draftNames && found.type !== undefined && !this.#isDraft) {
        this.#log.report('schema-draft-name', `${child.name} is called ${draftNames[child.name]} in the standard`, at);
      }
      counts[index]! += 1;
      if (counts[index]! > type.particles[index]!.maximum) {
        this.#log.report('schema-repeated', `${element.name} has more than one ${child.name}`, at);
      }
      if (index < reached && !this.#isDraft) {
        const detail = `${child.name} stands after ${[...type.particles[reached]!.elements.keys()].join(' or ') || 'elements of other namespaces'}, which it precedes in the schema`;
        this.#log.report('schema-order', detail, at);
      }
      reached = Math.max(reached, index);
      if (found.type !== undefined) this.check(child, found.type, section);
    }
    const isItem = itemNames.has(element.name);
    for (const [index, particle] of type.particles.entries()) {
      if (counts[index]! >= particle.minimum || (this.#isDraft && isItem)) continue;
      const detail = `${element.name} has no ${[...particle.elements.keys()].join(' or ')}`;
      const rule = particle.isNaming ? 'schema-name-missing' : 'schema-missing';
      this.#log.report(rule, detail, this.#at(element, section));
    }
    if (textOf(element).trim() !== '' && !this.#isDraft) {
      this.#log.report('schema-text', `${element.name} holds elements and no text`, this.#at(element, section));
    }
  }

  #unexpected(child: XmlElement, parent: XmlElement, section: string): void {
    const optional = child.attributes.some(
      ({ namespace, name, value }) =>
        name === 'required' &&
        (namespace === envelopeNamespace || namespace === '') &&
        /^(false|0)$/i.test(value.trim()),
    );
    if (!optional && this.#isDraft) return;
    const detail = `${parent.name} has no element ${child.name} of the namespace "${child.namespace}"`;
    this.#log.report(optional ? 'extension-optional' : 'schema-unexpected', detail, this.#at(child, section));
  }
}
