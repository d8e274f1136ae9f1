import { type Descriptor, formatDescriptor, parseAssignment } from './descriptor.ts';
import { VmdkError } from './errors.ts';

/** Text of a descriptor's bytes in the encoding that its own `encoding` line names. */
export function decodeDescriptor(bytes: Uint8Array, file: string): string {
  const encoding = declaredEncoding(bytes);
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
  for (const line of Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1').split('\n')) {
    const assignment = parseAssignment(line);
    if (assignment?.key.toLowerCase() === 'encoding') return assignment.value;
  }
  return 'UTF-8';
}

function singleByteLetters(encoding: string): ReadonlyMap<string, number> {
  const decoder = new TextDecoder(encoding);
  const letters = new Map<string, number>();
  for (let byte = 0; byte < 256; byte += 1) {
    const letter = decoder.decode(Uint8Array.of(byte));
    if (letter.length === 1 && letter !== '\ufffd') letters.set(letter, byte);
  }
  return letters;
}
