import type { TypeRef } from '../schema/schema.ts';
import type { DataObject } from '../schema/values.ts';
import type { WireType, WireTypes } from './wire-types.ts';

/**
 * A primitive that was declared anyType, as memory holds it: plain where its type can be told from the value alone,
 * boxed with its type otherwise.
 */
export function boxAny(type: WireType, value: unknown): unknown {
  if (type.kind !== 'primitive') return { _typeName: type.name, _value: value };
  const { xsd } = type.primitive;
  if (xsd === 'string' || xsd === 'boolean' || xsd === 'int') return value;
  if (xsd === 'double' && !Number.isSafeInteger(value)) return value;
  return { _typeName: xsd, _value: value };
}

/** A value of a declared type as one declared anyType, for properties that go out by name. */
export function anyOf(types: WireTypes, type: TypeRef, value: unknown): unknown {
  if (value === undefined) return undefined;
  const wire = types.declared(type.name);
  if (type.array) return { _typeName: types.arrayOf(wire).name, _value: value };
  switch (wire.kind) {
    case 'primitive':
    case 'enum':
      return boxAny(wire, value);
    case 'data':
      return (value as DataObject)._typeName === undefined ? { ...(value as object), _typeName: wire.name } : value;
    case 'reference':
    case 'any':
      return value;
  }
}
