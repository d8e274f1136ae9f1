/**
 * Values of the object model in memory: plain immutable objects in the shape of VI/JSON.
 *
 * A data object carries its type in `_typeName`; it may be left out where it is exactly the declared type. A value
 * declared anyType is a data object, a reference, a plain string, boolean or number (xsd:string, xsd:boolean, xsd:int,
 * or xsd:double for a fraction), or a `BoxedValue` where the type must be said: arrays, long, dateTime, base64Binary.
 */
export type AnyValue = string | boolean | number | bigint | BoxedValue | ManagedObjectReference | DataObject;

/** A value with its type by name: `{_typeName: 'ArrayOfString', _value: ['a']}`, `{_typeName: 'long', _value: 5}`. */
export interface BoxedValue {
  readonly _typeName: string;
  readonly _value: unknown;
}

export interface DataObject {
  readonly _typeName?: string;
}

/** Names a managed object; `type` is its most derived managed type. */
export interface ManagedObjectReference<T extends string = string> {
  readonly _typeName?: string;
  readonly type: T | (string & {});
  readonly value: string;
}
