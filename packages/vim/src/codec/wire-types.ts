import type { DataType, EnumType, Property, Schema } from '../schema/schema.ts';
import { rankOf } from './api-version.ts';
import { type Primitive, primitives } from './primitives.ts';
import { invalidType, shorten } from './request-faults.ts';

/** What a type name of the schema means on the wire. Every managed type is a reference there. */
export type WireType =
  | { readonly kind: 'primitive'; readonly name: string; readonly primitive: Primitive }
  | { readonly kind: 'any'; readonly name: 'anyType' }
  | { readonly kind: 'enum'; readonly name: string; readonly type: EnumType }
  | { readonly kind: 'reference'; readonly name: string }
  | { readonly kind: 'data'; readonly name: string; readonly type: DataType };

/** An array type by its wire name: `ArrayOfString` holds elements `<string>`. */
export interface ArrayType {
  readonly name: string;
  readonly element: WireType;
  /** Tag of its elements, and their type's name where they have no better one. */
  readonly tag: string;
}

const referenceName = 'ManagedObjectReference';

/** Names of the schema as wire types, each resolved once. */
export class WireTypes {
  readonly schema: Schema;
  readonly #types = new Map<string, WireType>();
  readonly #required = new Map<DataType, readonly Property[]>();
  readonly #arrays = new Map<string, ArrayType>();

  constructor(schema: Schema) {
    this.schema = schema;
    for (const [name, primitive] of primitives) this.#types.set(name, { kind: 'primitive', name, primitive });
    this.#types.set('anyType', { kind: 'any', name: 'anyType' });
    this.#types.set(referenceName, { kind: 'reference', name: referenceName });
    for (const primitive of new Set(primitives.values())) this.#addArray(primitive.arrayOf, primitive.xsd);
    this.#addArray('ArrayOfAnyType', 'anyType');
    this.#addArray(`ArrayOf${referenceName}`, referenceName);
  }

  /** The type of that name in the schema; undefined when there is none. */
  named(name: string): WireType | undefined {
    const known = this.#types.get(name);
    if (known !== undefined) return known;
    const type = this.schema.type(name);
    if (type === undefined) return undefined;
    let wire: WireType;
    if (type.kind === 'data') wire = { kind: 'data', name, type };
    else if (type.kind === 'enum') wire = { kind: 'enum', name, type };
    else wire = { kind: 'reference', name };
    this.#types.set(name, wire);
    return wire;
  }

  /** The type of a declaration of the schema itself. */
  declared(name: string): WireType {
    const type = this.named(name);
    if (type === undefined) throw new Error(`the schema declares the unknown type ${name}`);
    return type;
  }

  /**
   * Members of a data type that must be there. Not among them: what is younger than its type, which older clients do
   * not know, and what only other products have.
   */
  required(type: DataType): readonly Property[] {
    let required = this.#required.get(type);
    if (required === undefined) {
      const rank = rankOf(type.since);
      required = type.properties.filter((p) => !p.optional && (p.type.array || rankOf(p.since) <= rank));
      this.#required.set(type, required);
    }
    return required;
  }

  /** The array type of that name; undefined when it is none. */
  array(name: string): ArrayType | undefined {
    const known = this.#arrays.get(name);
    if (known !== undefined || !name.startsWith('ArrayOf')) return known;
    const elementName = name.slice('ArrayOf'.length);
    const element = this.named(elementName);
    if (element === undefined) return undefined;
    const array = this.arrayOf(element);
    this.#arrays.set(name, array);
    return array;
  }

  /** The array type that holds elements of that type. */
  arrayOf(element: WireType): ArrayType {
    let name: string;
    if (element.kind === 'primitive') name = element.primitive.arrayOf;
    else if (element.kind === 'any') name = 'ArrayOfAnyType';
    else if (element.kind === 'reference') name = `ArrayOf${referenceName}`;
    else name = `ArrayOf${element.name}`;
    const known = this.#arrays.get(name);
    if (known !== undefined) return known;
    const array = { name, element, tag: element.name };
    this.#arrays.set(name, array);
    return array;
  }

  /** Checks a reference's type against its declaration, in either direction: clients may know only a base type. */
  checkReference(type: string, declared: string, path: () => string): void {
    const { schema } = this;
    if (schema.managed(type) === undefined) {
      throw invalidType(path(), `${shorten(type)} is no managed object type`);
    }
    if (declared === 'ManagedObject' || declared === referenceName || type === declared) return;
    if (!schema.isSubtype(type, declared) && !schema.isSubtype(declared, type)) {
      throw invalidType(path(), `a reference to a ${type} where one to a ${declared} belongs`);
    }
  }

  #addArray(name: string, element: string): void {
    this.#arrays.set(name, { name, element: this.declared(element), tag: element });
  }
}
