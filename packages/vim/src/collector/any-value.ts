import type { Schema, TypeRef } from '../schema/schema.ts';
import type { AnyValue } from '../schema/values.ts';

/** Primitives that a reader could not tell from the plain value: they are boxed with their type. */
const boxedPrimitives = new Set(['byte', 'short', 'long', 'float', 'double', 'dateTime', 'base64Binary']);
const stringTypes = new Set(['TypeName', 'MethodName', 'PropertyPath', 'Link']);
const plainTypes = new Set(['string', 'boolean', 'int', 'anyType', ...stringTypes]);

/** Turns values of declared types into values that say their type themselves, for where anyType is declared. */
export class AnyValues {
  readonly #schema: Schema;
  /** Tagged copies of data objects that came without a tag, so that one value stays one value. */
  readonly #tagged = new WeakMap<object, AnyValue>();

  constructor(schema: Schema) {
    this.#schema = schema;
  }

  of(value: unknown, type: TypeRef): AnyValue {
    if (type.array) return { _typeName: this.arrayName(type.name), _value: value };
    if (plainTypes.has(type.name)) return value as AnyValue;
    if (boxedPrimitives.has(type.name)) return { _typeName: type.name, _value: value };
    const kind = this.#schema.type(type.name)?.kind;
    if (kind === 'enum') return { _typeName: type.name, _value: value };
    const object = value as { readonly _typeName?: string };
    if (object._typeName !== undefined) return object as AnyValue;
    let tagged = this.#tagged.get(object);
    if (tagged === undefined) {
      const name = kind === 'managed' ? 'ManagedObjectReference' : type.name;
      tagged = { ...object, _typeName: name };
      this.#tagged.set(object, tagged);
    }
    return tagged;
  }

  /** The schema's name of an array type: `ArrayOfString`, `ArrayOfVirtualDevice`. */
  arrayName(element: string): string {
    if (stringTypes.has(element)) return 'ArrayOfString';
    if (this.#schema.type(element)?.kind === 'managed') return 'ArrayOfManagedObjectReference';
    return `ArrayOf${element.charAt(0).toUpperCase()}${element.slice(1)}`;
  }
}
