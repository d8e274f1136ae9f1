import type { DataType, EnumType, Method, Property, Schema, TypeRef } from '../schema/schema.ts';
import { rankOf } from './api-version.ts';
import type { ChunkedText } from './chunked-text.ts';
import type { WireType, WireTypes } from './wire-types.ts';

/** A document being written: yields when others should get their turn. */
export type DocumentSteps = Generator<void, void, void>;

const header =
  '<?xml version="1.0" encoding="UTF-8"?>\n<schema targetNamespace="urn:vim25" xmlns="http://www.w3.org/2001/XMLSchema" ' +
  'xmlns:vim25="urn:vim25" xmlns:xsd="http://www.w3.org/2001/XMLSchema" elementFormDefault="qualified">\n';

const include = (name: string) => `  <include schemaLocation="${name}"/>\n`;

/** Which file a type is in, after its package. */
function fileOf(vmodl: string): 'core' | 'query' | 'vim' {
  if (vmodl.startsWith('vmodl.query.')) return 'query';
  return vmodl.startsWith('vmodl.') ? 'core' : 'vim';
}

/** The schema as XML Schema and WSDL see it: without what belongs to other products. */
export class XsdDocuments {
  readonly #types: WireTypes;
  readonly #schema: Schema;
  readonly #included = new Map<string, boolean>();
  #inArrays: Set<string> | undefined;
  #methods: readonly Method[] | undefined;

  constructor(types: WireTypes) {
    this.#types = types;
    this.#schema = types.schema;
  }

  *types(file: 'core' | 'query' | 'vim', output: ChunkedText): DocumentSteps {
    output.append(header);
    if (file !== 'core') output.append(include('core-types.xsd'));
    if (file === 'vim') output.append(include('query-types.xsd'));
    if (file === 'core') output.append(coreTypes);
    const inArrays = yield* this.#arrayElements(output);
    for (const name of this.#schema.names()) {
      const type = this.#schema.type(name);
      if (type === undefined || type.kind === 'managed') continue;
      if (fileOf(type.vmodl) === file && this.includes(name)) {
        output.append(type.kind === 'enum' ? enumText(type) : this.#dataText(type));
        if (inArrays.has(name)) output.append(this.#arrayText(this.#types.declared(name)));
      }
      if (output.full) yield;
    }
    if (file === 'core') {
      for (const name of ['anyType', 'ManagedObjectReference', ...arrayPrimitives]) {
        output.append(this.#arrayText(this.#types.declared(name)));
      }
    }
    output.append('</schema>\n');
  }

  *messageTypes(file: 'query' | 'vim', output: ChunkedText): DocumentSteps {
    output.append(header + include('core-types.xsd') + include('query-types.xsd'));
    if (file === 'vim') output.append(include('vim-types.xsd'));
    for (const method of yield* this.methods(output)) {
      const owner = this.#schema.managed(method.owner);
      if ((fileOf(owner?.vmodl ?? '') === 'query') === (file === 'query')) output.append(this.#requestText(method));
      if (output.full) yield;
    }
    output.append('</schema>\n');
  }

  /** All methods that clients are told of, in the order of their types. */
  *methods(output: ChunkedText): Generator<void, readonly Method[], void> {
    if (this.#methods !== undefined) return this.#methods;
    const methods: Method[] = [];
    for (const name of this.#schema.names()) {
      for (const method of this.#schema.managed(name)?.methods.values() ?? []) {
        if (method.owner === name && this.#methodFits(method)) methods.push(method);
      }
      if (output.full) yield;
    }
    this.#methods = methods;
    return methods;
  }

  /** Elements of a method's answer. */
  answerText(method: Method): string {
    if (method.returns === undefined) return '';
    const property = { name: 'returnval', type: method.returns, optional: method.returnsOptional };
    return this.#elementText(property);
  }

  /** True when a type and its bases belong to this product. */
  includes(name: string): boolean {
    let included = this.#included.get(name);
    if (included === undefined) {
      const type = this.#schema.type(name);
      if (type === undefined || type.kind === 'managed') included = true;
      else
        included = known(type.since) && (type.kind === 'enum' || type.base === undefined || this.includes(type.base));
      this.#included.set(name, included);
    }
    return included;
  }

  *#arrayElements(output: ChunkedText): Generator<void, Set<string>, void> {
    if (this.#inArrays !== undefined) return this.#inArrays;
    const found = new Set<string>();
    const look = (type: TypeRef | undefined) => {
      if (type?.array) found.add(type.name);
    };
    for (const name of this.#schema.names()) {
      const type = this.#schema.type(name);
      if (type === undefined || type.kind === 'enum') continue;
      for (const property of type.properties) look(property.type);
      if (type.kind === 'managed') for (const method of type.methods.values()) look(method.returns);
      if (output.full) yield;
    }
    this.#inArrays = found;
    return found;
  }

  #methodFits(method: Method): boolean {
    return (
      known(method.since) &&
      method.parameters.every((p) => this.includes(p.type.name)) &&
      (method.returns === undefined || this.includes(method.returns.name))
    );
  }

  #dataText(type: DataType): string {
    const base = type.base === undefined ? undefined : this.#schema.data(type.base);
    const own = base === undefined ? type.properties : type.properties.slice(base.properties.length);
    const elements = own.filter((p) => known(p.since) && this.includes(p.type.name)).map((p) => this.#elementText(p));
    const sequence = `<sequence>\n${elements.join('')}</sequence>`;
    if (base === undefined) return `<complexType name="${type.name}">${sequence}</complexType>\n`;
    return (
      `<complexType name="${type.name}"><complexContent><extension base="vim25:${base.name}">` +
      `${sequence}</extension></complexContent></complexType>\n`
    );
  }

  #requestText(method: Method): string {
    const self = '<element name="_this" type="vim25:ManagedObjectReference"/>\n';
    const parameters = method.parameters.map((p) => this.#elementText(p)).join('');
    return `<complexType name="${method.name}RequestType"><sequence>\n${self}${parameters}</sequence></complexType>\n`;
  }

  #elementText({ name, type, optional }: Pick<Property, 'name' | 'type' | 'optional'>): string {
    const occurs = (type.array ? ' maxOccurs="unbounded"' : '') + (optional || type.array ? ' minOccurs="0"' : '');
    return `<element name="${name}" type="${xsdName(this.#types.declared(type.name))}"${occurs}/>\n`;
  }

  #arrayText(element: WireType): string {
    const { name, tag } = this.#types.arrayOf(element);
    return (
      `<complexType name="${name}"><sequence><element name="${tag}" type="${xsdName(element)}" ` +
      'minOccurs="0" maxOccurs="unbounded"/></sequence></complexType>\n'
    );
  }
}

const arrayPrimitives = [
  'string',
  'boolean',
  'byte',
  'short',
  'int',
  'long',
  'float',
  'double',
  'dateTime',
  'base64Binary',
];

const coreTypes =
  '<complexType name="ManagedObjectReference"><simpleContent><extension base="xsd:string">' +
  '<attribute name="type" type="xsd:string"/></extension></simpleContent></complexType>\n';

function known(since: string): boolean {
  return rankOf(since) !== Number.POSITIVE_INFINITY;
}

function xsdName(type: WireType): string {
  switch (type.kind) {
    case 'primitive':
      return `xsd:${type.primitive.xsd}`;
    case 'any':
      return 'xsd:anyType';
    case 'reference':
      return 'vim25:ManagedObjectReference';
    case 'data':
    case 'enum':
      return `vim25:${type.name}`;
  }
}

function enumText(type: EnumType): string {
  const values = [...type.values].map((value) => `<enumeration value="${value}"/>`).join('');
  return `<simpleType name="${type.name}"><restriction base="xsd:string">${values}</restriction></simpleType>\n`;
}
