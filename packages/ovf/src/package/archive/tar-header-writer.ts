import { tarBlock } from './tar-header.ts';

/** Highest size that the eleven octal digits of a USTAR header hold: 8 GiB - 1. */
const maxOctalSize = 8 ** 11 - 1;

/**
 * The USTAR header of a regular file, mode 0644. Sizes over 8 GiB take GNU's base-256 form, as the tools in use write it. A
 * name that the header's 100 and 155 bytes cannot hold comes before it in a pax header.
 */
export function formatTarHeader(name: string, size: number): Uint8Array {
  const parts = splitName(name);
  if (parts !== undefined) return formatHeader(parts, size, '0');
  const record = paxRecord('path', name);
  const padding = Buffer.alloc((tarBlock - (record.length % tarBlock)) % tarBlock);
  const short = Buffer.from(name, 'utf8')
    .subarray(0, 100)
    .toString('latin1')
    .replace(/[^\x20-\x7e]/g, '_');
  return Buffer.concat([
    formatHeader(['', 'PaxHeaders/name'], record.length, 'x'),
    record,
    padding,
    formatHeader(['', short], size, '0'),
  ]);
}

/** `length key=value`, where the length counts itself. */
function paxRecord(key: string, value: string): Buffer {
  const rest = ` ${key}=${value}\n`;
  const bytes = Buffer.byteLength(rest);
  let length = bytes + 1;
  while (`${length}`.length + bytes !== length) length = `${length}`.length + bytes;
  return Buffer.from(`${length}${rest}`, 'utf8');
}

function formatHeader([prefix, rest]: readonly [string, string], size: number, type: string): Buffer {
  const header = Buffer.alloc(tarBlock);
  header.write(rest, 0, 'utf8');
  header.write('0000644\0', 100, 'latin1');
  header.write('0000000\0', 108, 'latin1');
  header.write('0000000\0', 116, 'latin1');
  if (size <= maxOctalSize) header.write(`${size.toString(8).padStart(11, '0')}\0`, 124, 'latin1');
  else {
    header.writeUInt8(0x80, 124);
    header.writeBigUInt64BE(BigInt(size), 128);
  }
  header.write('00000000000\0', 136, 'latin1');
  header.write(`        ${type}`, 148, 'latin1');
  header.write('ustar\x0000', 257, 'latin1');
  header.write(prefix, 345, 'utf8');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}

/** The name as the header's two fields hold it; absent when they cannot. */
function splitName(name: string): readonly [prefix: string, rest: string] | undefined {
  if (Buffer.byteLength(name) <= 100) return ['', name];
  for (let slash = name.indexOf('/'); slash !== -1; slash = name.indexOf('/', slash + 1)) {
    const [prefix, rest] = [name.slice(0, slash), name.slice(slash + 1)];
    if (rest !== '' && Buffer.byteLength(prefix) <= 155 && Buffer.byteLength(rest) <= 100) return [prefix, rest];
  }
  return undefined;
}
