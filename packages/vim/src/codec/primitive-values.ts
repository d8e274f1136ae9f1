import type { EnumType } from '../schema/schema.ts';
import type { Primitive } from './primitives.ts';
import { invalidType, invalidValue, shorten } from './request-faults.ts';

const int64 = { minimum: -(2n ** 63n), maximum: 2n ** 63n - 1n };
const wholeNumber = /^[+-]?\d{1,40}$/;
const decimalNumber = /^[+-]?(\d{1,400}(\.\d{0,400})?|\.\d{1,400})([eE][+-]?\d{1,5})?$/;
const dateTime = /^-?\d{4,6}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,20})?(Z|[+-]\d\d:\d\d)?$/;
const base64 = /^[A-Za-z0-9+/]*={0,2}$/;

/** Where a value stands, told only when something is wrong with it. */
export type PathOf = () => string;

/** A primitive from its lexical form in XML Schema. Throws InvalidType, and InvalidArgument when out of range. */
export function parsePrimitive(primitive: Primitive, text: string, path: PathOf): unknown {
  switch (primitive.kind) {
    case 'string':
      return text;
    case 'boolean':
      return parseBoolean(text.trim(), path);
    case 'integer':
    case 'long': {
      const digits = text.trim();
      if (!wholeNumber.test(digits)) throw invalidType(path(), `'${shorten(digits)}' is no ${primitive.xsd}`);
      const number = Number(digits);
      return checkWhole(primitive, Number.isSafeInteger(number) ? number : BigInt(digits.replace('+', '')), path);
    }
    case 'float':
      return parseFloatText(primitive, text.trim(), path);
    case 'dateTime':
      return checkDateTime(text.trim(), path);
    case 'binary':
      return checkBase64(text.replace(/\s+/g, ''), path);
  }
}

/** A whole number within its type's range; of a long, a bigint exactly where a number would not be exact. */
export function checkWhole(primitive: Primitive, value: number | bigint, path: PathOf): number | bigint {
  const { minimum = int64.minimum, maximum = int64.maximum } = primitive;
  if (value < minimum || value > maximum)
    throw invalidValue(path(), `${value} is out of the range of ${primitive.xsd}`);
  // Without the sign of a negative zero, which whole numbers do not have.
  return typeof value === 'bigint' ? exact(value) : value + 0;
}

export function checkDateTime(text: string, path: PathOf): string {
  if (!dateTime.test(text) || Number.isNaN(Date.parse(text.replace(/(\.\d{3})\d+/, '$1')))) {
    throw invalidType(path(), `'${shorten(text)}' is no dateTime`);
  }
  return text;
}

export function checkBase64(text: string, path: PathOf): string {
  if (text.length % 4 !== 0 || !base64.test(text)) throw invalidType(path(), 'this is no base64Binary');
  return text;
}

export function checkEnum(type: EnumType, text: string, path: PathOf): string {
  if (!type.values.has(text)) throw invalidValue(path(), `'${shorten(text)}' is no ${type.name}`);
  return text;
}

function exact(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function parseBoolean(text: string, path: PathOf): boolean {
  if (text === 'true' || text === '1') return true;
  if (text === 'false' || text === '0') return false;
  throw invalidType(path(), `'${shorten(text)}' is no boolean`);
}

function parseFloatText(primitive: Primitive, text: string, path: PathOf): number {
  if (text === 'NaN') return Number.NaN;
  if (text === 'INF' || text === '+INF') return Number.POSITIVE_INFINITY;
  if (text === '-INF') return Number.NEGATIVE_INFINITY;
  if (!decimalNumber.test(text)) throw invalidType(path(), `'${shorten(text)}' is no ${primitive.xsd}`);
  return Number(text);
}
