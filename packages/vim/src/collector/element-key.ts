import type { Schema, TypeRef } from '../schema/schema.ts';

/** True when elements of that type are told apart by a key: a property `key`, or being references. */
export function isKeyed(schema: Schema, element: string): boolean {
  const type = schema.type(element);
  if (type === undefined || type.kind === 'enum') return false;
  if (type.kind === 'managed' || element === 'ManagedObjectReference') return true;
  return declarations(schema, element, 'key').some((key) => !key.array && schema.data(key.name) === undefined);
}

/** The key of an array's element: that of its `key` property, or the value of a reference. */
export function elementKey(element: unknown): string | number | undefined {
  if (typeof element !== 'object' || element === null) return undefined;
  const { key, value, type } = element as { key?: unknown; value?: unknown; type?: unknown };
  if (typeof key === 'string' || typeof key === 'number') return key;
  if (typeof key === 'object' && key !== null) return elementKey(key);
  return typeof value === 'string' && typeof type === 'string' ? value : undefined;
}

/** The element of that key. A number and its digits are the same key. */
export function elementOf(array: readonly unknown[], key: string | number): unknown {
  const text = String(key);
  for (const element of array) {
    const own = elementKey(element);
    if (own === key || (own !== undefined && String(own) === text)) return element;
  }
  return undefined;
}

/** The types that a property has in a data type, or else in those derived from it. */
export function declarations(schema: Schema, type: string, property: string): readonly TypeRef[] {
  const own = schema.data(type)?.property(property);
  if (own !== undefined) return [own.type];
  const found = new Set<TypeRef>();
  for (const name of schema.subtypes(type)) {
    const declared = schema.data(name)?.property(property);
    if (declared !== undefined) found.add(declared.type);
  }
  return [...found];
}
