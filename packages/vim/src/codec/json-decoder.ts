import type { DataType, Property } from '../schema/schema.ts';
import { boxAny } from './any-values.ts';
import { schemaNameOf } from './json-names.ts';
import { checkBase64, checkDateTime, checkEnum, checkWhole } from './primitive-values.ts';
import type { Primitive } from './primitives.ts';
import { invalidRequest, invalidType, missingMember, shorten, unknownMember } from './request-faults.ts';
import type { DecodingOptions } from './value-frames.ts';
import type { WireType, WireTypes } from './wire-types.ts';

type Bag = Readonly<Record<string, unknown>>;

const deepest = 256;

/** Parses JSON with whole numbers beyond 2^53 as bigint. Throws InvalidRequest. */
export function parseJson(text: string): unknown {
  try {
    return /\d{16}/.test(text)
      ? JSON.parse(text, exactly as (key: string, value: unknown) => unknown)
      : JSON.parse(text);
  } catch {
    throw invalidRequest('The JSON is malformed.');
  }
}

function exactly(_key: string, value: unknown, context: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
  return context.source !== undefined && /^-?\d{1,40}$/.test(context.source) ? BigInt(context.source) : value;
}

/** Parsed VI/JSON as values of the model, checked as SOAP's are. Not for two values at once. */
export class JsonDecoder {
  readonly #types: WireTypes;
  readonly #lenient: boolean;
  readonly #path: (string | number)[] = [];

  constructor(types: WireTypes, { lenient }: DecodingOptions) {
    this.#types = types;
    this.#lenient = lenient;
  }

  /** A value of a declared type. */
  decode(type: { readonly name: string; readonly array: boolean }, value: unknown): unknown {
    this.#path.length = 0;
    return this.#member(type, value);
  }

  /** A method's arguments. */
  members(properties: readonly Property[], value: unknown): Record<string, unknown> {
    this.#path.length = 0;
    const values: Record<string, unknown> = {};
    const required = properties.filter((p) => !p.optional);
    this.#fill(this.#object(value), (name) => properties.find((p) => p.name === name), required, values);
    return values;
  }

  #fill(
    bag: Bag,
    property: (name: string) => Property | undefined,
    required: readonly Property[],
    values: Record<string, unknown>,
  ): void {
    for (const name in bag) {
      const value = bag[name];
      if (name === '_typeName' || value === null) continue;
      const declared = property(name);
      this.#path.push(name);
      if (declared === undefined) {
        if (!this.#lenient) throw unknownMember(shorten(this.#where()));
      } else {
        values[name] = this.#member(declared.type, value);
      }
      this.#path.pop();
    }
    if (this.#lenient) return;
    for (const { name, type } of required) {
      if (values[name] !== undefined) continue;
      this.#path.push(name);
      if (!type.array) throw missingMember(this.#where());
      values[name] = [];
      this.#path.pop();
    }
  }

  #member(type: { readonly name: string; readonly array: boolean }, value: unknown): unknown {
    const wire = this.#types.declared(type.name);
    return type.array ? this.#array(wire, value) : this.#value(wire, value);
  }

  #array(type: WireType, value: unknown): unknown[] {
    if (!Array.isArray(value)) throw invalidType(this.#where(), 'a single value where an array belongs');
    return value.map((item, index) => {
      this.#path.push(index);
      const decoded = this.#value(type, item);
      this.#path.pop();
      return decoded;
    });
  }

  #value(type: WireType, value: unknown): unknown {
    if (this.#path.length > deepest) throw invalidRequest('Values are nested too deep.');
    switch (type.kind) {
      case 'primitive':
        return this.#primitive(type.primitive, value);
      case 'enum': {
        const text = this.#string(value, type.name);
        return this.#lenient ? text : checkEnum(type.type, text, this.#where);
      }
      case 'reference':
        return this.#reference(type.name, value);
      case 'data':
        return this.#data(type.type, value);
      case 'any':
        return this.#any(value);
    }
  }

  #data(declared: DataType, value: unknown): unknown {
    const bag = this.#object(value);
    const type = this.#subtype(declared, bag._typeName);
    const values: Record<string, unknown> = { _typeName: type.name };
    this.#fill(bag, (name) => type.property(name), this.#types.required(type), values);
    return values;
  }

  #subtype(declared: DataType, name: unknown): DataType {
    if (name === undefined || name === declared.name) return declared;
    const { schema } = this.#types;
    const type = typeof name === 'string' ? schema.data(name) : undefined;
    if (type !== undefined && schema.isSubtype(type.name, declared.name)) return type;
    if (this.#lenient) return declared;
    throw invalidType(this.#where(), `${shorten(String(name))} is no ${declared.name}`);
  }

  #reference(declared: string, value: unknown): unknown {
    const { type, value: id } = this.#object(value);
    if (typeof type !== 'string' || typeof id !== 'string' || id === '') {
      throw invalidType(this.#where(), 'a reference without type or value');
    }
    if (!this.#lenient) this.#types.checkReference(type, declared, this.#where);
    return { _typeName: 'ManagedObjectReference', type, value: id };
  }

  #any(value: unknown): unknown {
    if (typeof value === 'string' || typeof value === 'boolean') return value;
    if (typeof value === 'number' || typeof value === 'bigint') return this.#plainNumber(value);
    const bag = this.#object(value);
    if (typeof bag._typeName !== 'string') throw invalidType(this.#where(), 'a value without its _typeName');
    const name = schemaNameOf(bag._typeName);
    const array = this.#types.array(name);
    if (array !== undefined) {
      const { element } = array;
      return { _typeName: array.name, _value: this.#array(element, bag._value) };
    }
    const type = this.#types.named(name);
    switch (type?.kind) {
      case 'primitive':
      case 'enum':
        return boxAny(type, this.#value(type, bag._value));
      case 'data':
        return this.#data(type.type, bag);
      case 'reference':
        return this.#reference(type.name, bag);
    }
    if (this.#lenient) return undefined;
    throw invalidType(this.#where(), `There is no type ${shorten(bag._typeName)}`);
  }

  #plainNumber(value: number | bigint): unknown {
    if (typeof value === 'number' && !Number.isSafeInteger(value)) return value;
    const isInt = value >= -2147483648 && value <= 2147483647;
    return isInt ? value : { _typeName: 'long', _value: value };
  }

  #primitive(primitive: Primitive, value: unknown): unknown {
    switch (primitive.kind) {
      case 'string':
        return this.#string(value, primitive.xsd);
      case 'dateTime':
        return checkDateTime(this.#string(value, primitive.xsd), this.#where);
      case 'binary':
        return checkBase64(this.#string(value, primitive.xsd), this.#where);
      case 'boolean':
        if (typeof value !== 'boolean') throw this.#mismatch(value, primitive.xsd);
        return value;
      case 'integer':
      case 'long':
        if (typeof value !== 'bigint' && !Number.isInteger(value)) throw this.#mismatch(value, primitive.xsd);
        return checkWhole(primitive, value as number | bigint, this.#where);
      case 'float':
        return this.#float(primitive, value);
    }
  }

  #float(primitive: Primitive, value: unknown): number {
    if (typeof value === 'number') return value;
    if (typeof value === 'bigint') return Number(value);
    if (value === 'NaN' || value === 'Infinity' || value === '-Infinity') return Number(value);
    throw this.#mismatch(value, primitive.xsd);
  }

  #string(value: unknown, type: string): string {
    if (typeof value !== 'string') throw this.#mismatch(value, type);
    return value;
  }

  #object(value: unknown): Bag {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw this.#mismatch(value, 'object');
    return value as Bag;
  }

  #mismatch(value: unknown, type: string): Error {
    const kind = value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;
    return invalidType(this.#where(), `${kind} is no ${type}`);
  }

  readonly #where = (): string => {
    let path = '';
    for (const step of this.#path) {
      if (typeof step === 'number') path += `[${step}]`;
      else path += path === '' ? step : `.${step}`;
    }
    return path;
  };
}
