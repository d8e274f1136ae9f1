import type { DataType, Property } from '../schema/schema.ts';
import { boxAny } from './any-values.ts';
import { checkEnum, parsePrimitive } from './primitive-values.ts';
import { invalidRequest, invalidType, missingMember, shorten, unknownMember } from './request-faults.ts';
import type { TextPool } from './text-pool.ts';
import type { ArrayType, WireType, WireTypes } from './wire-types.ts';

export type Attributes = Readonly<Record<string, string>>;

/** An element being read. */
export interface Frame {
  /** A child begins; throws a fault when it may not. */
  child(name: string, attributes: Attributes): Frame;
  text(text: string): void;
  end(): void;
}

/** Where a finished value goes, and how a message names that place. */
export interface Slot {
  put(value: unknown): void;
  path(): string;
}

export interface DecodingOptions {
  /** Passes over members, types and values that the schema does not know: for a client of a newer server. */
  readonly lenient: boolean;
  /** Where texts come from that are kept for long. */
  readonly texts?: TextPool;
}

/** Elements whose type the schema tells, read into values of the model. */
export class ValueFrames {
  readonly types: WireTypes;
  readonly lenient: boolean;
  readonly #texts: TextPool | undefined;

  constructor(types: WireTypes, { lenient, texts }: DecodingOptions) {
    this.types = types;
    this.lenient = lenient;
    this.#texts = texts;
  }

  /** A text as it is kept. */
  kept(text: string): string {
    return this.#texts === undefined ? text : this.#texts.own(text);
  }

  /** The frame for an element of a declared type. */
  open(declared: WireType, attributes: Attributes, slot: Slot): Frame {
    let typeName: string | undefined;
    let referenceType: string | undefined;
    let count = 0;
    for (const key in attributes) {
      count += 1;
      const colon = key.indexOf(':');
      if (colon === -1) {
        if (key === 'type') referenceType = attributes[key];
        continue;
      }
      const local = key.slice(colon + 1);
      if (local === 'type') typeName = localName((attributes[key] as string).trim());
      else if (local === 'nil' && isTrue(attributes[key])) return new SkippedFrame();
    }
    if (count > mostAttributes) throw invalidRequest('An element has too many attributes.');
    switch (declared.kind) {
      case 'data':
        return new ObjectFrame(this, this.#subtype(declared.type, typeName, slot), slot);
      case 'reference':
        return new ReferenceFrame(this, declared.name, referenceType, slot);
      case 'any':
        return this.#openAny(typeName, referenceType, slot);
      case 'primitive':
      case 'enum':
        if (typeName !== undefined) this.#checkLeafType(declared, typeName, slot);
        return new LeafFrame(this, declared, slot, false);
    }
  }

  #subtype(declared: DataType, typeName: string | undefined, slot: Slot): DataType {
    if (typeName === undefined || typeName === declared.name) return declared;
    const { schema } = this.types;
    const type = schema.data(typeName);
    if (type !== undefined && schema.isSubtype(typeName, declared.name)) return type;
    if (this.lenient) return declared;
    throw invalidType(slot.path(), `${shorten(typeName)} is no ${declared.name}`);
  }

  #openAny(typeName: string | undefined, referenceType: string | undefined, slot: Slot): Frame {
    if (typeName === undefined) return new LeafFrame(this, this.types.declared('string'), slot, true);
    const array = this.types.array(typeName);
    if (array !== undefined) return new ArrayFrame(this, array, slot);
    const type = this.types.named(typeName);
    switch (type?.kind) {
      case 'data':
        return new ObjectFrame(this, type.type, slot);
      case 'reference':
        return new ReferenceFrame(this, type.name, referenceType, slot);
      case 'primitive':
      case 'enum':
        return new LeafFrame(this, type, slot, true);
    }
    if (this.lenient) return new SkippedFrame();
    throw invalidType(slot.path(), `There is no type ${shorten(typeName)}`);
  }

  #checkLeafType(declared: WireType, typeName: string, slot: Slot): void {
    if (typeName === declared.name || this.lenient) return;
    const given = this.types.named(typeName);
    const fits =
      given?.kind === 'primitive' ||
      // An enumeration is a string to those who do not know better.
      (given?.kind === 'enum' && declared.kind === 'primitive' && declared.primitive.kind === 'string');
    if (!fits) throw invalidType(slot.path(), `${shorten(typeName)} is no ${declared.name}`);
  }
}

const mostAttributes = 64;

export function localName(name: string): string {
  const colon = name.indexOf(':');
  return colon === -1 ? name : name.slice(colon + 1);
}

function isTrue(text: string | undefined): boolean {
  return text === 'true' || text === '1';
}

/** An element that nobody reads, with all below it. */
export class SkippedFrame implements Frame {
  child(): Frame {
    return this;
  }
  text(_text: string): void {}
  end(): void {}
}

/** The slot of one member of an object: an array's elements are put one after the other. */
class MemberSlot implements Slot {
  readonly #values: Record<string, unknown>;
  readonly #property: Property;
  readonly #parent: { path(): string };

  constructor(values: Record<string, unknown>, property: Property, parent: { path(): string }) {
    this.#values = values;
    this.#property = property;
    this.#parent = parent;
  }

  put(value: unknown): void {
    const { name, type } = this.#property;
    const known = this.#values[name];
    if (!type.array) this.#values[name] = value;
    else if (known === undefined) this.#values[name] = [value];
    else (known as unknown[]).push(value);
  }

  path(): string {
    const { name, type } = this.#property;
    const path = memberPath(this.#parent.path(), name);
    return type.array ? `${path}[${(this.#values[name] as unknown[] | undefined)?.length ?? 0}]` : path;
  }
}

function memberPath(parent: string, name: string): string {
  return parent === '' ? name : `${parent}.${name}`;
}

/** Members by name into `values`: of a data object, and of a method's arguments. */
export function openMember(
  frames: ValueFrames,
  property: Property,
  values: Record<string, unknown>,
  attributes: Attributes,
  parent: { path(): string },
): Frame {
  const slot = new MemberSlot(values, property, parent);
  if (!property.type.array && values[property.name] !== undefined && !frames.lenient) {
    throw invalidRequest(`Member ${slot.path()} is given twice.`);
  }
  return frames.open(frames.types.declared(property.type.name), attributes, slot);
}

/** Throws for the first of `required` that is missing; a missing array is an empty one. */
export function completeMembers(
  required: readonly Property[],
  values: Record<string, unknown>,
  parent: { path(): string },
): void {
  for (const property of required) {
    if (values[property.name] !== undefined) continue;
    if (!property.type.array) throw missingMember(memberPath(parent.path(), property.name));
    values[property.name] = [];
  }
}

/** An object that got so many members one by one is a hash table to V8, and takes eight times the memory of its copy. */
const compactChildren = 13;

class ObjectFrame implements Frame {
  readonly #frames: ValueFrames;
  readonly #type: DataType;
  readonly #slot: Slot;
  readonly #values: Record<string, unknown>;
  #children = 0;

  constructor(frames: ValueFrames, type: DataType, slot: Slot) {
    this.#frames = frames;
    this.#type = type;
    this.#slot = slot;
    this.#values = { _typeName: type.name };
  }

  child(name: string, attributes: Attributes): Frame {
    this.#children += 1;
    const property = this.#type.property(name);
    if (property !== undefined) return openMember(this.#frames, property, this.#values, attributes, this.#slot);
    if (this.#frames.lenient) return new SkippedFrame();
    throw unknownMember(memberPath(this.#slot.path(), shorten(name)));
  }

  text(text: string): void {
    noText(text, this.#slot);
  }

  end(): void {
    if (!this.#frames.lenient) completeMembers(this.#frames.types.required(this.#type), this.#values, this.#slot);
    this.#slot.put(this.#children < compactChildren ? this.#values : { ...this.#values });
  }
}

class ArrayFrame implements Frame, Slot {
  readonly #frames: ValueFrames;
  readonly #array: ArrayType;
  readonly #slot: Slot;
  readonly #values: unknown[] = [];

  constructor(frames: ValueFrames, array: ArrayType, slot: Slot) {
    this.#frames = frames;
    this.#array = array;
    this.#slot = slot;
  }

  child(_name: string, attributes: Attributes): Frame {
    return this.#frames.open(this.#array.element, attributes, this);
  }

  text(text: string): void {
    noText(text, this.#slot);
  }

  end(): void {
    this.#slot.put({ _typeName: this.#array.name, _value: this.#values });
  }

  put(value: unknown): void {
    this.#values.push(value);
  }

  path(): string {
    return `${this.#slot.path()}[${this.#values.length}]`;
  }
}

class LeafFrame implements Frame {
  readonly #frames: ValueFrames;
  readonly #type: WireType;
  readonly #slot: Slot;
  readonly #any: boolean;
  #text = '';

  constructor(frames: ValueFrames, type: WireType, slot: Slot, any: boolean) {
    this.#frames = frames;
    this.#type = type;
    this.#slot = slot;
    this.#any = any;
  }

  child(name: string): Frame {
    if (this.#frames.lenient) return new SkippedFrame();
    throw invalidType(this.#slot.path(), `an element ${shorten(name)} inside a ${this.#type.name}`);
  }

  text(text: string): void {
    this.#text += text;
  }

  end(): void {
    const path = () => this.#slot.path();
    let value: unknown;
    if (this.#type.kind === 'primitive') value = parsePrimitive(this.#type.primitive, this.#text, path);
    else if (this.#type.kind === 'enum' && !this.#frames.lenient)
      value = checkEnum(this.#type.type, this.#text.trim(), path);
    else value = this.#text.trim();
    if (typeof value === 'string') value = this.#frames.kept(value);
    this.#slot.put(this.#any ? boxAny(this.#type, value) : value);
  }
}

class ReferenceFrame implements Frame {
  readonly #frames: ValueFrames;
  readonly #declared: string;
  readonly #type: string | undefined;
  readonly #slot: Slot;
  #text = '';

  constructor(frames: ValueFrames, declared: string, type: string | undefined, slot: Slot) {
    this.#frames = frames;
    this.#declared = declared;
    this.#type = type;
    this.#slot = slot;
  }

  child(name: string): Frame {
    throw invalidType(this.#slot.path(), `an element ${shorten(name)} inside a reference`);
  }

  text(text: string): void {
    this.#text += text;
  }

  end(): void {
    const value = this.#text.trim();
    if (value === '') throw invalidType(this.#slot.path(), 'a reference without a value');
    const type = this.#type ?? (abstractReferences.has(this.#declared) ? undefined : this.#declared);
    if (type === undefined) throw invalidType(this.#slot.path(), 'a reference without its type');
    if (!this.#frames.lenient) this.#frames.types.checkReference(type, this.#declared, () => this.#slot.path());
    const kept = { type: this.#frames.kept(type), value: this.#frames.kept(value) };
    this.#slot.put({ _typeName: 'ManagedObjectReference', ...kept });
  }
}

const abstractReferences = new Set(['ManagedObject', 'ManagedObjectReference']);

function noText(text: string, slot: Slot): void {
  if (/\S/.test(text)) throw invalidType(slot.path(), 'text where only elements belong');
}
