import type { TypeRef } from '../schema/schema.ts';
import type { ChunkedText } from './chunked-text.ts';
import { EncodingError } from './encoding-error.ts';
import { integerText, numberType } from './number-text.ts';
import type { Primitive } from './primitives.ts';
import type { PlannedField, TypePlan, VersionPlans } from './type-plan.ts';
import type { ArrayType, WireType } from './wire-types.ts';
import { escapeXml } from './xml-text.ts';

type Bag = Readonly<Record<string, unknown>>;

const referenceAttribute = ' xsi:type="ManagedObjectReference"';

/**
 * Values of the model as XML elements, in one client's version. Elements come in the order of the XSD sequence, and
 * those of an ArrayOfX each with an `xsi:type`, without which libvirt reads none.
 */
export class SoapEncoder {
  readonly plans: VersionPlans;

  constructor(plans: VersionPlans) {
    this.plans = plans;
  }

  /** A result or an argument: one element named `tag`, or as many as the array has. */
  elements(tag: string, type: TypeRef, value: unknown): string {
    return this.#field(this.plans.field(tag, type), value);
  }

  /** The same piece by piece, for values of any size: yields whenever `output` wants to be emptied. */
  stream(tag: string, type: TypeRef, value: unknown, output: ChunkedText): Generator<void, void, void> {
    return this.#streamField(this.plans.field(tag, type), value, output, streamedLevels);
  }

  /** A data object as one element that says its type, as a fault's detail does. */
  typedElement(tag: string, declared: string, value: Bag, attributes = ''): string {
    const plan = this.plans.subtype(this.plans.plan(declared), value._typeName as string | undefined);
    return `<${tag}${attributes}${typeAttribute(plan.name)}>${this.#members(plan, value)}</${tag}>`;
  }

  *#streamField(field: PlannedField, value: unknown, output: ChunkedText, levels: number): Generator<void, void, void> {
    if (value === undefined || value === null) return;
    if (field.type.kind !== 'data' || levels === 0) {
      if (!field.array || Array.isArray(value)) {
        output.append(this.#field(field, value));
        return;
      }
      for (const item of iterable(field, value)) {
        output.append(this.#element(field.type, field.open, field.close, item));
        if (output.full) yield;
      }
      return;
    }
    const declared = this.plans.plan(field.type.name);
    for (const item of field.array ? iterable(field, value) : [value]) {
      const plan = this.plans.subtype(declared, typeNameOf(item));
      output.append(field.open + (plan === declared ? '' : typeAttribute(plan.name)));
      output.append('>');
      for (const member of plan.fields) {
        const memberValue = (item as Bag)[member.name];
        if (memberValue === undefined) continue;
        if (member.array) yield* this.#streamField(member, memberValue, output, levels - 1);
        else output.append(this.#field(member, memberValue));
      }
      output.append(field.close);
      if (output.full) yield;
    }
  }

  #members(plan: TypePlan, value: Bag): string {
    let text = '';
    for (const field of plan.fields) {
      const member = value[field.name];
      if (member !== undefined) text += this.#field(field, member);
    }
    return text;
  }

  #field(field: PlannedField, value: unknown): string {
    if (value === undefined || value === null) return '';
    if (!field.array) return this.#element(field.type, field.open, field.close, value);
    let text = '';
    for (const item of iterable(field, value)) text += this.#element(field.type, field.open, field.close, item);
    return text;
  }

  #element(type: WireType, open: string, close: string, value: unknown): string {
    switch (type.kind) {
      case 'primitive':
        return `${open}>${primitiveText(type.primitive, value)}${close}`;
      case 'data': {
        const declared = this.plans.plan(type.name);
        const plan = this.plans.subtype(declared, typeNameOf(value));
        const attribute = plan === declared ? '' : typeAttribute(plan.name);
        return `${open}${attribute}>${this.#members(plan, value as Bag)}${close}`;
      }
      case 'reference':
        return this.#reference(open, close, value, '');
      case 'enum': {
        const text = this.plans.enumValue(type.name, stringOf(value));
        return text === undefined ? '' : `${open}>${escapeXml(text)}${close}`;
      }
      case 'any':
        return this.#any(open, close, value);
    }
  }

  #reference(open: string, close: string, value: unknown, attribute: string): string {
    const { type, value: id } = objectOf(value);
    const name = this.plans.referenceType(stringOf(type));
    return `${open} type="${escapeXml(name)}"${attribute}>${escapeXml(stringOf(id))}${close}`;
  }

  #any(open: string, close: string, value: unknown): string {
    switch (typeof value) {
      case 'string':
        return `${open} xsi:type="xsd:string">${escapeXml(value)}${close}`;
      case 'boolean':
        return `${open} xsi:type="xsd:boolean">${value}${close}`;
      case 'bigint':
        return `${open} xsi:type="xsd:long">${value}${close}`;
      case 'number':
        return `${open} xsi:type="xsd:${numberType(value)}">${floatText(value)}${close}`;
    }
    const bag = objectOf(value);
    const name = typeNameOf(value);
    if ('_value' in bag) return this.#boxed(open, close, name, bag._value);
    if (name === undefined || name === 'ManagedObjectReference') {
      return this.#reference(open, close, value, referenceAttribute);
    }
    const plan = this.plans.plan(this.plans.visibleName(name));
    return `${open}${typeAttribute(plan.name)}>${this.#members(plan, bag)}${close}`;
  }

  #boxed(open: string, close: string, name: string | undefined, value: unknown): string {
    if (name === undefined) throw new EncodingError('a boxed value without its type');
    const array = this.plans.types.array(name);
    if (array !== undefined) {
      return `${open}${typeAttribute(this.#arrayName(array))}>${this.#arrayElements(array, value)}${close}`;
    }
    const type = this.plans.types.named(name);
    if (type === undefined) throw new EncodingError(`a boxed value of the unknown type ${name}`);
    return this.#typed(type, open, close, value);
  }

  #arrayName(array: ArrayType): string {
    const { element } = array;
    return element.kind === 'data' ? `ArrayOf${this.plans.visibleName(element.name)}` : array.name;
  }

  #arrayElements(array: ArrayType, value: unknown): string {
    const { element } = array;
    const tag = element.kind === 'data' ? this.plans.visibleName(element.name) : array.tag;
    const open = `<${tag}`;
    const close = `</${tag}>`;
    let text = '';
    for (const item of value as Iterable<unknown>) text += this.#typed(element, open, close, item);
    return text;
  }

  /** An element that always says its type. */
  #typed(type: WireType, open: string, close: string, value: unknown): string {
    switch (type.kind) {
      case 'primitive':
        return `${open} xsi:type="xsd:${type.primitive.xsd}">${primitiveText(type.primitive, value)}${close}`;
      case 'data': {
        const plan = this.plans.plan(this.plans.visibleName(typeNameOf(value) ?? type.name));
        return `${open}${typeAttribute(plan.name)}>${this.#members(plan, objectOf(value))}${close}`;
      }
      case 'reference':
        return this.#reference(open, close, value, referenceAttribute);
      case 'enum': {
        const text = this.plans.enumValue(type.name, stringOf(value));
        return text === undefined ? '' : `${open}${typeAttribute(type.name)}>${escapeXml(text)}${close}`;
      }
      case 'any':
        return this.#any(open, close, value);
    }
  }
}

/**
 * Objects nested this deep are written one array element at a time: the result and its elements (RetrieveResult and its
 * ObjectContent, UpdateSet and its filters). What is below is small enough to be written at once.
 */
const streamedLevels = 2;

function typeAttribute(name: string): string {
  return ` xsi:type="${name}"`;
}

function iterable(field: PlannedField, value: unknown): Iterable<unknown> {
  if (typeof value !== 'object' || value === null || !(Symbol.iterator in value)) {
    throw new EncodingError(`${field.name} is no array`);
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
      return escapeXml(stringOf(value));
    case 'boolean':
      return value === true ? 'true' : 'false';
    case 'integer':
    case 'long':
      return integerText(value);
    case 'float':
      return floatText(value);
  }
}

function floatText(value: unknown): string {
  if (typeof value !== 'number') throw new EncodingError(`a ${typeof value} where a number belongs`);
  if (Number.isFinite(value)) return Object.is(value, -0) ? '-0' : `${value}`;
  if (Number.isNaN(value)) return 'NaN';
  return value > 0 ? 'INF' : '-INF';
}
