import { EncodingError } from './encoding-error.ts';

/** A whole number in decimal digits, never in exponents. */
export function integerText(value: unknown): string {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'number' || !Number.isFinite(value)) {
    throw new EncodingError(`${typeof value} ${String(value)} where a whole number belongs`);
  }
  return Number.isSafeInteger(value) ? `${value}` : BigInt(Math.trunc(value)).toString();
}

/** The XML Schema type of a plain number in an anyType. */
export function numberType(value: number): 'int' | 'long' | 'double' {
  if (!Number.isSafeInteger(value) || Object.is(value, -0)) return 'double';
  return value >= -2147483648 && value <= 2147483647 ? 'int' : 'long';
}
