import { OvfError, type OvfLocation } from '../errors.ts';

/** A unit of DSP0004 annex C as base and factor: `byte * 2^20` is `{ base: 'byte', factor: 1048576 }`. */
export interface AllocationUnit {
  readonly base: string;
  readonly factor: number;
}

/** Words that descriptors in the field use in place of the programmatic form. */
const words: Readonly<Record<string, AllocationUnit>> = {
  bytes: { base: 'byte', factor: 1 },
  kb: { base: 'byte', factor: 2 ** 10 },
  kilobyte: { base: 'byte', factor: 2 ** 10 },
  kilobytes: { base: 'byte', factor: 2 ** 10 },
  kibibyte: { base: 'byte', factor: 2 ** 10 },
  mb: { base: 'byte', factor: 2 ** 20 },
  megabyte: { base: 'byte', factor: 2 ** 20 },
  megabytes: { base: 'byte', factor: 2 ** 20 },
  mebibyte: { base: 'byte', factor: 2 ** 20 },
  gb: { base: 'byte', factor: 2 ** 30 },
  gigabyte: { base: 'byte', factor: 2 ** 30 },
  gigabytes: { base: 'byte', factor: 2 ** 30 },
  gibibyte: { base: 'byte', factor: 2 ** 30 },
  tb: { base: 'byte', factor: 2 ** 40 },
  terabyte: { base: 'byte', factor: 2 ** 40 },
  terabytes: { base: 'byte', factor: 2 ** 40 },
  mhz: { base: 'hertz', factor: 1e6 },
  megahertz: { base: 'hertz', factor: 1e6 },
  ghz: { base: 'hertz', factor: 1e9 },
  gigahertz: { base: 'hertz', factor: 1e9 },
};

const form = /^\s*([a-z][a-z -]{0,30}?)\s*((?:[*/]\s*\d{1,15}\s*(?:\^\s*\d{1,3}\s*)?){0,4})$/i;
const step = /([*/])\s*(\d+)\s*(?:\^\s*(\d+))?/g;

/** Reads an allocation unit: `byte * 2^30`, `hertz*10^6`, `byte`, and words such as `MegaBytes`. Throws `unit-unknown`. */
export function parseAllocationUnit(text: string, location: OvfLocation = {}): AllocationUnit {
  const match = form.exec(text);
  const name = match?.[1]?.toLowerCase();
  if (match === null || name === undefined) {
    throw new OvfError('unit-unknown', `the allocation unit "${text.slice(0, 64)}" is not understood`, location);
  }
  const unit = Object.hasOwn(words, name) ? words[name]! : { base: name, factor: 1 };
  let factor = unit.factor;
  for (const [, operator, number, exponent] of (match[2] ?? '').matchAll(step)) {
    const value = Number(number) ** Number(exponent ?? 1);
    factor = operator === '*' ? factor * value : factor / value;
  }
  if (!Number.isFinite(factor) || factor <= 0) {
    throw new OvfError('unit-unknown', `the allocation unit "${text.slice(0, 64)}" is out of range`, location);
  }
  return { base: unit.base, factor };
}

/** Whether a unit is written as DSP0004 has it, and not by a word such as `MegaBytes`. */
export function isProgrammaticUnit(text: string): boolean {
  const name = form.exec(text)?.[1]?.toLowerCase();
  return name !== undefined && !Object.hasOwn(words, name);
}

/** A quantity in bytes. Throws `unit-unknown` for a unit that does not count bytes and for more than 2^53-1 bytes. */
export function quantityInBytes(quantity: number, unit: string, location: OvfLocation = {}): number {
  const { base, factor } = parseAllocationUnit(unit, location);
  const bytes = Math.round(quantity * factor);
  if (base !== 'byte') throw new OvfError('unit-unknown', `"${unit}" does not count bytes`, location);
  if (!Number.isSafeInteger(bytes)) throw new OvfError('unit-unknown', `${quantity} "${unit}" is too much`, location);
  return bytes;
}
