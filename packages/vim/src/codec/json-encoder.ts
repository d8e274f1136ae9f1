import type { TypeRef } from '../schema/schema.ts';
import type { ChunkedText } from './chunked-text.ts';
import { EncodingError } from './encoding-error.ts';
import { jsonArrayName, jsonPrimitiveName } from './json-names.ts';
import { integerText, numberType } from './number-text.ts';
import type { Primitive } from './primitives.ts';
import type { PlannedField, TypePlan, VersionPlans } from './type-plan.ts';
import type { WireType } from './wire-types.ts';

type Bag = Readonly<Record<string, unknown>>;

/** Values of the model as VI/JSON, in one client's version: every object says its type in `_typeName`. */
export class JsonEncoder {
  readonly plans: VersionPlans;

  constructor(plans: VersionPlans) {
    this.plans = plans;
  }

  /** A value of a declared type. An enum value that the version does not have becomes null. */
  value(type: TypeRef, value: unknown): string {
    const wire = this.plans.types.declared(type.name);
    return type.array ? this.#array(wire, value) : (this.#value(wire, value) ?? 'null');
  }

  /** The same piece by piece, for values of any size: yields whenever `output` wants to be emptied. */
  stream(type: TypeRef, value: unknown, output: ChunkedText): Generator<void, void, void> {
    return this.#stream(this.plans.types.declared(type.name), type.array, value, output, streamedLevels);
  }

  /** Arguments as one object. */
  members(fields: readonly PlannedField[], values: Bag): string {
    return `{${this.#members(fields, values, '')}}`;
  }

  *#stream(
    type: WireType,
    array: boolean,
    value: unknown,
    output: ChunkedText,
    levels: number,
  ): Generator<void, void, void> {
    if (!array) {
      yield* this.#streamItem(type, value, output, levels);
      return;
    }
    let separator = '[';
    for (const item of iterable(value)) {
      output.append(separator);
      separator = ',';
      yield* this.#streamItem(type, item, output, levels);
      if (output.full) yield;
    }
    output.append(separator === '[' ? '[]' : ']');
  }

  *#streamItem(type: WireType, value: unknown, output: ChunkedText, levels: number): Generator<void, void, void> {
    if (type.kind !== 'data' || levels === 0) {
      output.append(this.#value(type, value) ?? 'null');
      return;
    }
    const plan = this.plans.subtype(this.plans.plan(type.name), typeNameOf(value));
    output.append(`{"_typeName":"${plan.name}"`);
    for (const field of plan.fields) {
      const member = (value as Bag)[field.name];
      if (member === undefined || member === null) continue;
      if (field.array) {
        output.append(`,${field.key}`);
        yield* this.#stream(field.type, true, member, output, levels - 1);
      } else {
        const text = this.#value(field.type, member);
        if (text !== undefined) output.append(`,${field.key}${text}`);
      }
    }
    output.append('}');
  }

  #object(plan: TypePlan, value: Bag): string {
    return `{"_typeName":"${plan.name}"${this.#members(plan.fields, value, ',')}}`;
  }

  #members(fields: readonly PlannedField[], value: Bag, first: string): string {
    let text = '';
    let separator = first;
    for (const field of fields) {
      const member = value[field.name];
      if (member === undefined || member === null) continue;
      const memberText = field.array ? this.#array(field.type, member) : this.#value(field.type, member);
      if (memberText === undefined) continue;
      text += separator + field.key + memberText;
      separator = ',';
    }
    return text;
  }

  #array(type: WireType, value: unknown): string {
    let text = '[';
    for (const item of iterable(value)) {
      const itemText = this.#value(type, item);
      if (itemText !== undefined) text += text === '[' ? itemText : `,${itemText}`;
    }
    return `${text}]`;
  }

  #value(type: WireType, value: unknown): string | undefined {
    switch (type.kind) {
      case 'primitive':
        return primitiveText(type.primitive, value);
      case 'data':
        return this.#object(this.plans.subtype(this.plans.plan(type.name), typeNameOf(value)), value as Bag);
      case 'reference':
        return this.#reference(value);
      case 'enum': {
        const text = this.plans.enumValue(type.name, stringOf(value));
        return text === undefined ? undefined : JSON.stringify(text);
      }
      case 'any':
        return this.#any(value);
    }
  }

  #reference(value: unknown): string {
    const { type, value: id } = objectOf(value);
    const name = JSON.stringify(this.plans.referenceType(stringOf(type)));
    return `{"_typeName":"ManagedObjectReference","type":${name},"value":${JSON.stringify(stringOf(id))}}`;
  }

  #any(value: unknown): string | undefined {
    switch (typeof value) {
      case 'string':
        return `{"_typeName":"string","_value":${JSON.stringify(value)}}`;
      case 'boolean':
        return `{"_typeName":"boolean","_value":${value}}`;
      case 'bigint':
        return `{"_typeName":"long","_value":${value}}`;
      case 'number':
        return `{"_typeName":"${numberType(value)}","_value":${floatText(value)}}`;
    }
    const bag = objectOf(value);
    const name = typeNameOf(value);
    if ('_value' in bag) return this.#boxed(name, bag._value);
    if (name === undefined || name === 'ManagedObjectReference') return this.#reference(value);
    return this.#object(this.plans.plan(this.plans.visibleName(name)), bag);
  }

  #boxed(name: string | undefined, value: unknown): string | undefined {
    if (name === undefined) throw new EncodingError('a boxed value without its type');
    const { types } = this.plans;
    const array = types.array(name);
    if (array !== undefined) {
      const { element } = array;
      if (element.kind !== 'data') return box(jsonArrayName(array.name), this.#array(element, value));
      // Elements may be newer than the client: they are encoded as what it knows.
      const items = Array.from(iterable(value), (item) => {
        const plan = this.plans.plan(this.plans.visibleName(typeNameOf(item) ?? element.name));
        return this.#object(plan, item as Bag);
      });
      return box(`ArrayOf${this.plans.visibleName(element.name)}`, `[${items.join(',')}]`);
    }
    const type = types.named(name);
    if (type === undefined) throw new EncodingError(`a boxed value of the unknown type ${name}`);
    const text = this.#value(type, value);
    const wireName = type.kind === 'primitive' ? jsonPrimitiveName(type.primitive) : name;
    return text === undefined ? undefined : box(wireName, text);
  }
}

/** As in SOAP: what is deeper is small enough to be written at once. */
const streamedLevels = 2;

function box(name: string, text: string): string {
  return `{"_typeName":"${name}","_value":${text}}`;
}

function iterable(value: unknown): Iterable<unknown> {
  if (typeof value !== 'object' || value === null || !(Symbol.iterator in value)) {
    throw new EncodingError('a single value where an array belongs');
  }
  return value as Iterable<unknown>;
}

function objectOf(value: unknown): Bag {
  if (typeof value !== 'object' || value === null) throw new EncodingError(`a ${typeof value} where an object belongs`);
  return value as Bag;
}

function typeNameOf(value: unknown): string | undefined {
  return objectOf(value)._typeName as string | undefined;
}

function stringOf(value: unknown): string {
  if (typeof value !== 'string') throw new EncodingError(`a ${typeof value} where a string belongs`);
  return value;
}

function primitiveText(primitive: Primitive, value: unknown): string {
  switch (primitive.kind) {
    case 'string':
    case 'dateTime':
    case 'binary':
      return JSON.stringify(stringOf(value));
    case 'boolean':
      return value === true ? 'true' : 'false';
    case 'integer':
    case 'long':
      return integerText(value);
    case 'float':
      return floatText(value);
  }
}

/** JSON has no word for what is not finite: the names stand in strings. */
function floatText(value: unknown): string {
  if (typeof value !== 'number') throw new EncodingError(`a ${typeof value} where a number belongs`);
  if (!Number.isFinite(value)) return `"${value}"`;
  return Object.is(value, -0) ? '-0' : `${value}`;
}
