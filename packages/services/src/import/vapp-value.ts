import { isIP } from 'node:net';
import type { VAppPropertyInfo } from '@hypostyle/vim';

/** VAppPropertyInfo.type, read. */
export type VAppType =
  | {
      readonly kind: 'string';
      readonly password: boolean;
      readonly least: number;
      readonly most: number;
      readonly choices?: readonly string[];
    }
  | { readonly kind: 'int'; readonly least: bigint | undefined; readonly most: bigint | undefined }
  | { readonly kind: 'real'; readonly least: number; readonly most: number }
  | { readonly kind: 'boolean' | 'ip' }
  /** Calculated by the system out of the default value. */
  | { readonly kind: 'expression' };

const longest = 65_535;
const ranged = /^(string|password|int|real)\s*(?:\(\s*([^.()\s]*|[^()\s]*?\.\d+)\s*\.\.\s*([^()\s]*)\s*\))?$/i;
const chosen = /^string\s*(\[.*\])$/is;

/**
 * Reads `string(1..20)`, `string["a", "b"]`, `password`, `int(0..255)`, `real`, `boolean`, `ip`, `ip:Network` or
 * `expression`; an empty type is a string. Undefined for anything else.
 */
export function parseVAppType(text: string): VAppType | undefined {
  const type = text.trim();
  const lower = type.toLowerCase();
  if (type === '') return { kind: 'string', password: false, least: 0, most: longest };
  if (lower === 'boolean' || lower === 'expression') return { kind: lower };
  if (lower === 'ip' || /^ip\s*:/.test(lower)) return { kind: 'ip' };
  const list = chosen.exec(type)?.[1];
  if (list !== undefined) {
    const choices = stringsOf(list);
    return choices && { kind: 'string', password: false, least: 0, most: longest, choices };
  }
  const match = ranged.exec(type);
  if (match === null) return undefined;
  const [, name, low = '', high = ''] = match;
  return rangeType(name!.toLowerCase(), low, high);
}

function rangeType(name: string, low: string, high: string): VAppType | undefined {
  if (name === 'int') {
    if (![low, high].every((bound) => /^(-?\d{1,20})?$/.test(bound))) return undefined;
    const [least, most] = [low, high].map((bound) => (bound === '' ? undefined : BigInt(bound)));
    if (least !== undefined && most !== undefined && least > most) return undefined;
    return { kind: 'int', least, most };
  }
  const least = low === '' ? Number.NEGATIVE_INFINITY : Number(low);
  const most = high === '' ? Number.POSITIVE_INFINITY : Number(high);
  if (Number.isNaN(least) || Number.isNaN(most) || least > most) return undefined;
  if (name === 'real') return { kind: 'real', least, most };
  if (![low, high].every((bound) => /^\d{0,9}$/.test(bound))) return undefined;
  return { kind: 'string', password: name === 'password', least: Math.max(0, least), most: Math.min(most, longest) };
}

function stringsOf(list: string): readonly string[] | undefined {
  try {
    const values: unknown = JSON.parse(list);
    return Array.isArray(values) && values.every((value) => typeof value === 'string') ? values : undefined;
  } catch {
    return undefined;
  }
}

/** Why a value is none of its type; undefined when it is. The reason never holds the value: it may be a password. */
export function checkVAppValue(type: VAppType, value: string): string | undefined {
  switch (type.kind) {
    case 'expression':
      return undefined;
    case 'boolean':
      return /^(true|false)$/i.test(value) ? undefined : 'it is neither True nor False';
    case 'ip':
      return isIP(value) === 0 ? 'it is no IP address' : undefined;
    case 'real': {
      if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,4})?$/i.test(value)) return 'it is no number';
      return between(Number(value), type.least, type.most);
    }
    case 'int':
      if (!/^[+-]?\d{1,20}$/.test(value)) return 'it is no whole number';
      return between(BigInt(value.replace(/^\+/, '')), type.least, type.most);
    case 'string': {
      const length = [...value].length;
      if (length < type.least) return `it has ${length} characters, fewer than ${type.least}`;
      if (length > type.most) return `it has ${length} characters, more than ${type.most}`;
      return type.choices?.includes(value) === false ? 'it is none of its choices' : undefined;
    }
  }
}

function between<Value extends number | bigint>(
  value: Value,
  least: Value | undefined,
  most: Value | undefined,
): string | undefined {
  if (least !== undefined && value < least) return `it is less than ${least}`;
  return most !== undefined && value > most ? `it is more than ${most}` : undefined;
}

/** `class.id.instance`, without what is empty: how the guest knows a property (DSP0243 9.5). */
export function vAppPropertyKey({ classId, id, instanceId }: VAppPropertyInfo): string {
  return [classId, id, instanceId].filter((part) => part !== undefined && part !== '').join('.');
}
