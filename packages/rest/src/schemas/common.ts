import { type TSchema, type TUnsafe, Type } from '@sinclair/typebox';

/** An enumeration by its values: a union of literals, typed without instantiating each. */
export function oneOf<const V extends string>(...values: readonly V[]): TUnsafe<V> {
  return Type.Union(values.map((value) => Type.Literal(value))) as unknown as TUnsafe<V>;
}

/** An object that refuses members of other names. */
export function closed<P extends Record<string, TSchema>>(properties: P) {
  return Type.Object(properties, { additionalProperties: false });
}

/** Identifier of an object, such as `vm-12`. */
export const identifier = Type.String({ minLength: 1, maxLength: 256 });
export const name = Type.String({ minLength: 1, maxLength: 1024 });
/** Identifiers or names to filter by. */
export const some = Type.Optional(Type.Array(Type.String({ maxLength: 1024 }), { maxItems: 8_192 }));
export const optionalBoolean = Type.Optional(Type.Boolean());

/** Whether a list of a filter takes the value; no list takes everything, and so does an empty one. */
export function takes(list: readonly string[] | undefined, value: string | undefined): boolean {
  return list === undefined || list.length === 0 || (value !== undefined && list.includes(value));
}

export function idsOf(list: readonly string[] | undefined): readonly string[] | undefined {
  return list === undefined || list.length === 0 ? undefined : list;
}

/** The object without members that are undefined: they are left out of answers. */
export function defined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const kept: Record<string, unknown> = {};
  for (const [key, member] of Object.entries(value)) if (member !== undefined) kept[key] = member;
  return kept as { [K in keyof T]: Exclude<T[K], undefined> };
}

export const powerStates = oneOf('POWERED_OFF', 'POWERED_ON', 'SUSPENDED');

/** `POWERED_ON` of `poweredOn`, `OPEN_VM_TOOLS` of `OpenVMTools`. */
export function constantCase(text: string): string {
  return text
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/([A-Z])([A-Z][a-z])/g, '$1_$2')
    .toUpperCase();
}
