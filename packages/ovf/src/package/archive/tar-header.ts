import { OvfError } from '../../errors.ts';

export const tarBlock = 512;
/** Longest extended header (pax records, GNU long name) that is read, in bytes. */
export const maxExtendedHeader = 64 * 1024;

/** One 512-byte header of a tar archive (POSIX ustar, with the GNU and pax forms of size). */
export interface TarHeader {
  readonly name: string;
  readonly size: number;
  readonly type: string;
}

/** What extended headers say of the entry that follows them. */
export interface TarExtension {
  readonly name?: string;
  readonly size?: number;
}

function invalid(detail: string, offset: number, name?: string): never {
  const whose = name === undefined ? '' : `, whose name is ${JSON.stringify(name.slice(0, 200))}`;
  throw new OvfError('archive-invalid', `${detail} in the header at byte ${offset}${whose}`);
}

function text(block: Uint8Array, start: number, length: number): string {
  const field = block.subarray(start, start + length);
  const end = field.indexOf(0);
  return new TextDecoder('utf-8').decode(end === -1 ? field : field.subarray(0, end));
}

function number(block: Uint8Array, start: number, length: number, what: string, offset: number): number {
  const field = block.subarray(start, start + length);
  if ((field[0]! & 0x80) !== 0) {
    // GNU base-256, for what octal digits cannot hold; 0xff would be a negative number.
    if (field[0] !== 0x80) invalid(`the ${what} is not valid`, offset);
    let value = 0;
    for (const byte of field.subarray(1)) {
      value = value * 256 + byte;
      if (!Number.isSafeInteger(value)) invalid(`the ${what} is too large`, offset);
    }
    return value;
  }
  const digits = text(block, start, length).trim();
  if (!/^[0-7]*$/.test(digits)) invalid(`the ${what} is not octal`, offset);
  return digits === '' ? 0 : Number.parseInt(digits, 8);
}

/** Reads a header; absent for a block of zeros. Throws `archive-invalid`. */
export function parseTarHeader(block: Uint8Array, offset: number): TarHeader | undefined {
  if (block.every((byte) => byte === 0)) return undefined;
  let sum = 8 * 0x20;
  for (let at = 0; at < tarBlock; at += 1) if (at < 148 || at >= 156) sum += block[at]!;
  if (number(block, 148, 8, 'checksum', offset) !== sum) invalid('the checksum is wrong', offset, text(block, 0, 100));
  const posix = text(block, 257, 6) === 'ustar' && block[262] === 0;
  const prefix = posix ? text(block, 345, 155) : '';
  const name = text(block, 0, 100);
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    size: number(block, 124, 12, 'size', offset),
    type: block[156] === 0 ? '0' : String.fromCharCode(block[156]!),
  };
}

/** Reads the content of an extended header of the type `x` or `g` (pax) or `L` (GNU long name). Throws `archive-invalid`. */
export function parseTarExtension(type: string, content: Uint8Array, offset: number): TarExtension {
  if (type === 'L') return { name: text(content, 0, content.length) };
  const extension: { name?: string; size?: number } = {};
  const set = (key: string, value: string): void => {
    if (key.startsWith('GNU.sparse.')) invalid('a sparse file cannot be read', offset);
    if (key === 'path') extension.name = value;
    if (key !== 'size') return;
    if (!/^\d{1,16}$/.test(value) || !Number.isSafeInteger(Number(value))) {
      invalid('the pax size is not valid', offset);
    }
    extension.size = Number(value);
  };
  for (let at = 0; at < content.length && content[at] !== 0; ) {
    const space = content.indexOf(0x20, at);
    const digits = space === -1 ? '' : text(content, at, space - at);
    const length = /^\d{1,6}$/.test(digits) ? Number(digits) : 0;
    if (length <= space - at + 1 || at + length > content.length) invalid('a pax record is not valid', offset);
    const record = new TextDecoder('utf-8').decode(content.subarray(space + 1, at + length - 1));
    const equals = record.indexOf('=');
    if (equals > 0) set(record.slice(0, equals), record.slice(equals + 1));
    at += length;
  }
  return extension;
}
