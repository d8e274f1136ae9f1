import type { ProductProperty } from './envelope.ts';

/** What the qualifiers of a property ask of its value (DSP0243 table 8, and VMware's MinValue and MaxValue). */
export interface PropertyQualifiers {
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minValue?: number;
  readonly maxValue?: number;
  readonly valueMap?: readonly string[];
  /** What is understood by nobody here: left to the deployer, such as `Ip("VM Network")`. */
  readonly others: readonly string[];
}

const qualifier = /([A-Za-z]+)\s*(?:\(((?:[^)"']|"[^"]*"|'[^']*')*)\)|\{((?:[^}"]|"(?:[^"\\]|\\.)*")*)\})?[\s,]*/;
const mapValue = /"((?:[^"\\]|\\.)*)"|([^,\s][^,]*)/g;

/** Reads `MinLen(1), MaxLen(6)`, `ValueMap{"a","b"}` and the like; absent when the text is none of it. */
export function parseQualifiers(text: string): PropertyQualifiers | undefined {
  const read: { -readonly [Key in keyof PropertyQualifiers]: PropertyQualifiers[Key] } = { others: [] };
  const others: string[] = [];
  const source = text.trim();
  const next = new RegExp(qualifier, 'y');
  while (next.lastIndex < source.length) {
    const match = next.exec(source);
    if (match === null) return undefined;
    const [whole, name, argument, map] = match;
    const number = Number(argument);
    const isNumber = argument !== undefined && argument.trim() !== '' && Number.isFinite(number);
    switch (name!.toLowerCase()) {
      case 'minlen':
        if (!isNumber) return undefined;
        read.minLength = number;
        break;
      case 'maxlen':
        if (!isNumber) return undefined;
        read.maxLength = number;
        break;
      case 'minvalue':
        if (!isNumber) return undefined;
        read.minValue = number;
        break;
      case 'maxvalue':
        if (!isNumber) return undefined;
        read.maxValue = number;
        break;
      case 'valuemap':
        if (map === undefined) return undefined;
        read.valueMap = [...map.matchAll(mapValue)].map(([, quoted, plain]) =>
          quoted === undefined ? plain!.trim() : quoted.replace(/\\(.)/g, '$1'),
        );
        break;
      default:
        others.push(whole.replace(/[\s,]+$/, ''));
    }
  }
  return { ...read, others };
}

const integerRanges: Readonly<Record<string, readonly [bigint, bigint]>> = {
  uint8: [0n, 0xffn],
  sint8: [-0x80n, 0x7fn],
  uint16: [0n, 0xffffn],
  sint16: [-0x8000n, 0x7fffn],
  uint32: [0n, 0xffff_ffffn],
  sint32: [-0x8000_0000n, 0x7fff_ffffn],
  int: [-0x8000_0000n, 0x7fff_ffffn],
  uint64: [0n, 0xffff_ffff_ffff_ffffn],
  sint64: [-0x8000_0000_0000_0000n, 0x7fff_ffff_ffff_ffffn],
};

/** A value in its type's canonical form, or why it is not one. The reason never holds the value: it may be a password. */
export function checkPropertyValue(
  property: Pick<ProductProperty, 'type' | 'qualifiers'>,
  value: string,
): { readonly value: string } | { readonly problem: string } {
  const type = property.type.toLowerCase();
  const typed = typedValue(type, value);
  if ('problem' in typed) return typed;
  const qualifiers = parseQualifiers(property.qualifiers ?? '');
  if (qualifiers === undefined) return { problem: `its qualifiers "${property.qualifiers}" cannot be read` };
  const { minLength, maxLength, minValue, maxValue, valueMap } = qualifiers;
  const length = [...typed.value].length;
  if (type === 'string' && minLength !== undefined && length < minLength) {
    return { problem: `it has ${length} characters, fewer than ${minLength}` };
  }
  if (type === 'string' && maxLength !== undefined && length > maxLength) {
    return { problem: `it has ${length} characters, more than ${maxLength}` };
  }
  if (minValue !== undefined && Number(typed.value) < minValue) return { problem: `it is less than ${minValue}` };
  if (maxValue !== undefined && Number(typed.value) > maxValue) return { problem: `it is more than ${maxValue}` };
  if (valueMap !== undefined && !valueMap.includes(typed.value)) {
    return { problem: `it is none of ${valueMap.slice(0, 20).join(', ')}${valueMap.length > 20 ? ' …' : ''}` };
  }
  return typed;
}

function typedValue(type: string, value: string): { readonly value: string } | { readonly problem: string } {
  const trimmed = value.trim();
  if (type === 'string') return { value };
  if (type === 'boolean') {
    const lower = trimmed.toLowerCase();
    return lower === 'true' || lower === 'false' ? { value: lower } : { problem: 'it is not a boolean' };
  }
  if (type === 'real32' || type === 'real64' || type === 'real') {
    if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(trimmed)) return { problem: `it is not a ${type}` };
    const number = type === 'real32' ? Math.fround(Number(trimmed)) : Number(trimmed);
    return Number.isFinite(number) ? { value: trimmed } : { problem: `it is out of the range of ${type}` };
  }
  const range = Object.hasOwn(integerRanges, type) ? integerRanges[type]! : undefined;
  if (range === undefined) return { problem: `its type "${type}" does not exist` };
  if (!/^[+-]?\d{1,20}$/.test(trimmed)) return { problem: `it is not a ${type}` };
  const number = BigInt(trimmed.replace(/^\+/, ''));
  if (number < range[0] || number > range[1]) return { problem: `it is not from ${range[0]} to ${range[1]}` };
  return { value: String(number) };
}
