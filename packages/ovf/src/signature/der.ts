import { OvfError } from '../errors.ts';

/** One element of DER or BER (X.690), with its bytes. */
export interface DerElement {
  /** First byte: class, constructed bit and number; numbers over 30 are refused. */
  readonly tag: number;
  readonly content: Uint8Array;
  /** Header and content as they stand. */
  readonly encoded: Uint8Array;
}

export const derTags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectIdentifier: 0x06,
  sequence: 0x30,
  set: 0x31,
} as const;

/** Tag of `[number] IMPLICIT` or `EXPLICIT` in its constructed form. */
export function contextTag(number: number): number {
  return 0xa0 | number;
}

function invalid(detail: string): never {
  throw new OvfError('certificate-invalid', detail);
}

/** Two zero bytes that end an element of indefinite length. */
const endMark = 2;
const maxDepth = 32;

/** The elements that follow one another in `bytes`. Throws `certificate-invalid`. */
export function readDer(bytes: Uint8Array): DerElement[] {
  const elements: DerElement[] = [];
  for (let at = 0; at < bytes.length; ) {
    const { tag, start, end, next } = elementAt(bytes, at, 0);
    elements.push({ tag, content: bytes.subarray(start, end), encoded: bytes.subarray(at, next) });
    at = next;
  }
  return elements;
}

/** Where the content of the element at `at` starts and ends, and where the next one is. */
function elementAt(bytes: Uint8Array, at: number, depth: number) {
  const tag = bytes[at] ?? invalid('the signature is cut short');
  if ((tag & 0x1f) === 0x1f) invalid('a long tag in the signature is not known');
  if (depth > maxDepth) invalid('the signature is nested too deep');
  let length = bytes[at + 1] ?? invalid('the signature is cut short');
  let start = at + 2;
  // Of indefinite length, as streaming writers of CMS have it.
  if (length === 0x80) {
    if ((tag & 0x20) === 0) invalid('a length in the signature is not valid');
    let end = start;
    while (bytes[end] !== 0 || bytes[end + 1] !== 0) end = elementAt(bytes, end, depth + 1).next;
    return { tag, start, end, next: end + endMark };
  }
  if (length > 0x80) {
    const count = length & 0x7f;
    if (count > 4) invalid('a length in the signature is not valid');
    length = 0;
    for (const byte of bytes.subarray(start, start + count)) length = length * 256 + byte;
    start += count;
  }
  const end = start + length;
  if (end > bytes.length) invalid('the signature is cut short');
  return { tag, start, end, next: end };
}

/** The elements within one of a given tag. Throws `certificate-invalid`. */
export function within(element: DerElement | undefined, tag: number): DerElement[] {
  return readDer(contentOf(element, tag));
}

/** The content of an element of a given tag. Throws `certificate-invalid`. */
export function contentOf(element: DerElement | undefined, tag: number): Uint8Array {
  if (element?.tag !== tag) invalid(`the signature lacks an element of type 0x${tag.toString(16)}`);
  return element.content;
}

/** An object identifier with dots, such as `1.2.840.113549`. Throws `certificate-invalid`. */
export function objectIdentifier(element: DerElement | undefined): string {
  const parts: number[] = [];
  let value = 0;
  for (const byte of contentOf(element, derTags.objectIdentifier)) {
    value = value * 128 + (byte & 0x7f);
    if (!Number.isSafeInteger(value)) invalid('an object identifier in the signature is too long');
    if ((byte & 0x80) !== 0) continue;
    parts.push(value);
    value = 0;
  }
  const first = parts.shift() ?? invalid('an object identifier in the signature is empty');
  const root = Math.min(2, Math.floor(first / 40));
  return [root, first - root * 40, ...parts].join('.');
}
