import { VmdkError } from '../errors.ts';
import { type Descriptor, formatDescriptor, parseAssignment } from './descriptor.ts';

/** Text of a descriptor's bytes in the encoding that its own `encoding` line names. */
export function decodeDescriptor(bytes: Uint8Array, file: string): string {
  const encoding = declaredEncoding(bytes);
  if (isWindows1252(encoding)) {
    return bytesView(bytes)
      .toString('latin1')
      .replace(/[\x80-\x9f]/g, (letter) => windows1252Letter(letter.charCodeAt(0)));
  }
  let decoder: InstanceType<typeof TextDecoder>;
  try {
    decoder = new TextDecoder(encoding);
  } catch (cause) {
    throw new VmdkError('descriptor-invalid', { file, reason: `encoding "${encoding}" is unknown`, cause });
  }
  return decoder.decode(bytes);
}

/** Bytes of a descriptor in its own encoding; `unsupported-encoding` when that has no such letter. */
export function encodeDescriptor(descriptor: Descriptor, file = 'descriptor'): Buffer {
  const text = formatDescriptor(descriptor);
  if (/^utf-?8$/i.test(descriptor.encoding) || /^[\0-\x7f]*$/.test(text)) return Buffer.from(text, 'utf8');
  const letters = singleByteLetters(descriptor.encoding);
  const bytes = Buffer.alloc(text.length);
  for (let index = 0; index < text.length; index += 1) {
    const byte = letters.get(text.charAt(index));
    if (byte === undefined) {
      throw new VmdkError('unsupported-encoding', {
        file,
        reason: `"${text.charAt(index)}" in encoding "${descriptor.encoding}"`,
      });
    }
    bytes[index] = byte;
  }
  return bytes;
}

function declaredEncoding(bytes: Uint8Array): string {
  for (const line of bytesView(bytes).toString('latin1').split('\n')) {
    const assignment = parseAssignment(line);
    if (assignment?.key.toLowerCase() === 'encoding') return assignment.value;
  }
  return 'UTF-8';
}

function singleByteLetters(encoding: string): ReadonlyMap<string, number> {
  const letters = new Map<string, number>();
  const decoder = isWindows1252(encoding) ? undefined : new TextDecoder(encoding);
  for (let byte = 0; byte < 256; byte += 1) {
    const letter = decoder ? decoder.decode(Uint8Array.of(byte)) : windows1252Letter(byte);
    if (letter.length === 1 && letter !== '\ufffd') letters.set(letter, byte);
  }
  return letters;
}

/** Node's own decoder takes these 32 for control characters. */
const windows1252Letters =
  '\u20ac\x81\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\x8d\u017d\x8f' +
  '\x90\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\x9d\u017e\u0178';

function isWindows1252(encoding: string): boolean {
  return /^windows-1252$/i.test(encoding);
}

function windows1252Letter(byte: number): string {
  return byte >= 0x80 && byte < 0xa0 ? windows1252Letters.charAt(byte - 0x80) : String.fromCharCode(byte);
}

function bytesView(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
