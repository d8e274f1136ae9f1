import fc from 'fast-check';
import type { TypeRef } from '../../schema/schema.ts';
import { newestVersion, rankOf } from '../api-version.ts';
import type { WireType, WireTypes } from '../wire-types.ts';

/** Characters that need care on the way: of XML, of JSON, of UTF-8. */
const text = fc.string({
  unit: fc.constantFrom(
    'a',
    'Z',
    '0',
    ' ',
    '<',
    '>',
    '&',
    '"',
    "'",
    '\n',
    '\r',
    '\t',
    'ü',
    '€',
    '😀',
    ']]>',
    '\\',
    '/',
  ),
  maxLength: 12,
});
const dateTime = fc.constantFrom('2026-01-02T03:04:05Z', '2026-01-02T03:04:05.123456Z', '1999-12-31T23:59:59+01:00');
const binary = fc.uint8Array({ maxLength: 9 }).map((bytes) => Buffer.from(bytes).toString('base64'));
const long = fc
  .bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
  .map((value) => (Number.isSafeInteger(Number(value)) ? Number(value) : value));
const double = fc.double();
/** Made once: what makes it of the pattern takes longer than all the rest. */
const referenceId = fc.stringMatching(/^[a-z]{1,8}-\d{1,4}$/);

export interface SchemaArbitraryOptions {
  /** Objects nested deeper have only what they must have. */
  readonly depth: number;
  /** Subtypes to choose from, by their base. */
  readonly subtypes: (base: string) => readonly string[];
}

/** Values of a declared type in the form in which the decoders give them back. */
export function schemaValue(types: WireTypes, type: TypeRef, options: SchemaArbitraryOptions): fc.Arbitrary<unknown> {
  const element = wireValue(types, types.declared(type.name), options);
  // An empty array that is optional is lost on the way, as SOAP has no element for it.
  return type.array ? fc.array(element, { minLength: 1, maxLength: 3 }) : element;
}

function wireValue(types: WireTypes, type: WireType, options: SchemaArbitraryOptions): fc.Arbitrary<unknown> {
  switch (type.kind) {
    case 'primitive':
      return primitiveValue(type.primitive.xsd);
    case 'enum':
      return fc.constantFrom(...type.type.values);
    case 'reference': {
      const name = abstractReferences.has(type.name) ? 'VirtualMachine' : type.name;
      return referenceId.map((value) => ({ _typeName: 'ManagedObjectReference', type: name, value }));
    }
    case 'any':
      return anyValue(types, options);
    case 'data':
      return fc.constantFrom(...options.subtypes(type.name)).chain((name) => dataValue(types, name, options));
  }
}

const abstractReferences = new Set(['ManagedObject', 'ManagedObjectReference']);

export function dataValue(types: WireTypes, name: string, options: SchemaArbitraryOptions): fc.Arbitrary<unknown> {
  const type = types.schema.data(name);
  if (type === undefined) throw new Error(`${name} is no data type`);
  const deeper = { ...options, depth: options.depth - 1 };
  const members: Record<string, fc.Arbitrary<unknown>> = { _typeName: fc.constant(name) };
  for (const property of type.properties) {
    // Versions that no client has are left out on the way.
    if (rankOf(property.since) > Math.max(newestVersion.rank, rankOf(type.since))) continue;
    const value = schemaLazily(types, property.type, deeper);
    if (!property.optional)
      members[property.name] = property.type.array && options.depth <= 0 ? fc.constant([]) : value;
    else if (options.depth > 0) members[property.name] = fc.option(value, { nil: undefined, freq: 3 });
  }
  return fc.record(members).map(withoutUndefined);
}

function schemaLazily(types: WireTypes, type: TypeRef, options: SchemaArbitraryOptions): fc.Arbitrary<unknown> {
  return fc.constant(undefined).chain(() => schemaValue(types, type, options));
}

function withoutUndefined(value: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined));
}

function primitiveValue(xsd: string): fc.Arbitrary<unknown> {
  switch (xsd) {
    case 'boolean':
      return fc.boolean();
    case 'byte':
      return fc.integer({ min: -128, max: 127 });
    case 'short':
      return fc.integer({ min: -32768, max: 32767 });
    case 'int':
      return fc.integer();
    case 'long':
      return long;
    case 'float':
    case 'double':
      return double;
    case 'dateTime':
      return dateTime;
    case 'base64Binary':
      return binary;
    default:
      return text;
  }
}

function anyValue(types: WireTypes, options: SchemaArbitraryOptions): fc.Arbitrary<unknown> {
  const box = (name: string, value: fc.Arbitrary<unknown>) => value.map((v) => ({ _typeName: name, _value: v }));
  const fractions = double.filter((value) => !Number.isSafeInteger(value) || Object.is(value, -0));
  const plain = [text, fc.boolean(), fc.integer(), fractions.filter((v) => !Object.is(v, -0))];
  const boxed = [
    box('long', long),
    box('short', primitiveValue('short')),
    box('dateTime', dateTime),
    box('base64Binary', binary),
    box('VirtualMachinePowerState', fc.constantFrom('poweredOn', 'poweredOff')),
    box('ArrayOfString', fc.array(text, { maxLength: 3 })),
    box('ArrayOfInt', fc.array(fc.integer(), { maxLength: 3 })),
    box('ArrayOfLong', fc.array(long, { maxLength: 3 })),
    wireValue(types, types.declared('ManagedEntity'), options),
    box(
      'ArrayOfManagedObjectReference',
      fc.array(wireValue(types, types.declared('Folder'), options), { maxLength: 3 }),
    ),
  ];
  if (options.depth <= 0) return fc.oneof(...plain, ...boxed);
  const objects = ['VirtualDisk', 'Description', 'OptionValue', 'NotAuthenticated'].map((name) =>
    fc.constant(undefined).chain(() => dataValue(types, name, { ...options, depth: options.depth - 1 })),
  );
  const arrays = box('ArrayOfOptionValue', fc.array(objects[2] as fc.Arbitrary<unknown>, { maxLength: 2 }));
  return fc.oneof(...plain, ...boxed, ...objects, arrays);
}
