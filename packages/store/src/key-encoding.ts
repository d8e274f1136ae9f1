const surrogate = /[\ud800-\udfff]/;

/**
 * A key as bytes whose order is the order of its UTF-16 code units, which is how JavaScript compares strings.
 *
 * This is CESU-8: UTF-8, save that each surrogate is encoded by itself in three bytes. Plain UTF-8 would sort
 * U+10000 and above after U+E000 to U+FFFF, and would lose a lone surrogate. SQLite compares BLOBs by byte.
 */
export function encodeKey(key: string): Uint8Array {
  if (!surrogate.test(key)) return Buffer.from(key, 'utf8');
  const bytes: number[] = [];
  for (let index = 0; index < key.length; index++) {
    const unit = key.charCodeAt(index);
    if (unit < 0x80) bytes.push(unit);
    else if (unit < 0x800) bytes.push(0xc0 | (unit >> 6), 0x80 | (unit & 0x3f));
    else bytes.push(0xe0 | (unit >> 12), 0x80 | ((unit >> 6) & 0x3f), 0x80 | (unit & 0x3f));
  }
  return Uint8Array.from(bytes);
}

/** The key that `encodeKey` made these bytes of. */
export function decodeKey(bytes: Uint8Array): string {
  // Only a surrogate begins with 0xed followed by 0xa0 or more.
  const hasSurrogate = bytes.some((byte, index) => byte === 0xed && (bytes[index + 1] ?? 0) >= 0xa0);
  if (!hasSurrogate) return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  let key = '';
  for (let index = 0; index < bytes.length; ) {
    const first = bytes[index++] ?? 0;
    if (first < 0x80) key += String.fromCharCode(first);
    else if (first < 0xe0) key += String.fromCharCode(((first & 0x1f) << 6) | next(bytes, index++));
    else {
      key += String.fromCharCode(((first & 0x0f) << 12) | (next(bytes, index++) << 6) | next(bytes, index++));
    }
  }
  return key;
}

const next = (bytes: Uint8Array, index: number): number => (bytes[index] ?? 0) & 0x3f;
